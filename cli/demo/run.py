"""The run: CRM up, stage built, stack started, webhooks sent, everything awaited, sums checked.

Comes in: settings of running servers. Left behind: the rows, for as long as the caller keeps the data folder. Whatever
is killed while it runs is started again by the supervisor, and the sums must come out all the same.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from honcho.printer import Printer

from cli import running, stack
from cli.demo import facts, plan, reckoning, stage
from cli.demo.crm import Crm
from cli.demo.facts import Facts, Progress
from cli.demo.plan import Plan
from cli.demo.send import Sent, send
from cli.demo.stage import Cast
from cli.station import Station
from shared.inbox import Inbox

SETTLE_SECONDS = 90.0  # after the last webhook was sent
POLL_SECONDS = 0.2
# The settings that differ from a real installation's: a receiver on this machine, and patience of seconds.
OVERRIDES: dict[str, object] = {
    "allow_http_destinations": True,
    "allowed_destination_cidrs": "127.0.0.0/8",
    "circuit_pause_seconds": 0.3,
    "circuit_pause_max_seconds": 1.0,
    "log_level": "WARNING",
}


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it."""

    plan: Plan
    cast: Cast
    sent: Sent
    crm: Crm
    facts: Facts
    checks: list[reckoning.Check]
    settled: bool  # False: something was still on its way when patience ended
    send_seconds: float
    total_seconds: float  # from the first webhook to the last delivery

    @property
    def holds(self) -> bool:
        """Whether every sum is right."""
        return self.settled and all(check.holds for check in self.checks)


Watcher = Callable[[Sent, Progress, Crm], None]


@asynccontextmanager
async def run(station: Station, count: int, *, printer: Printer, watch: Watcher) -> AsyncIterator[Result]:
    """The result, while everything still runs; it is stopped when the block ends."""
    crm = Crm(stage.desks())
    await crm.start()
    try:
        cast = await asyncio.to_thread(stage.build, station, crm)
        addresses = stack.addresses_of(station.settings)
        with running.processes(station.settings, printer):
            ready = [f"{addresses.ingress}/healthz"]
            await asyncio.to_thread(running.wait_until_ready, ready, stopped=threading.Event())
            await asyncio.to_thread(running.wait_until_workers, station.settings)
            yield await _play(station, plan.make(count, now=station.now()), cast, crm, watch)
    finally:
        await crm.stop()


async def _play(station: Station, planned: Plan, cast: Cast, crm: Crm, watch: Watcher) -> Result:
    ingress = stack.addresses_of(station.settings).ingress
    sent = Sent(total=planned.webhooks)
    started = time.monotonic()
    sending = asyncio.create_task(send(planned, cast, ingress, sent))
    try:
        settled, sent_at = await _settle(station, sending, lambda progress: watch(sent, progress, crm))
    finally:
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sending
    ended = time.monotonic()
    with station.engine.connect() as connection:
        found = facts.gather(connection)
    return Result(
        plan=planned,
        cast=cast,
        sent=sent,
        crm=crm,
        facts=found,
        checks=reckoning.reckon(planned, cast, sent, crm.desks, found),
        settled=settled,
        send_seconds=sent_at - started,
        total_seconds=ended - started,
    )


async def _settle(
    station: Station, sending: "asyncio.Task[None]", tell: Callable[[Progress], None]
) -> tuple[bool, float]:
    """Whether nothing was on its way any more before patience ended, and when (monotonic) the sending was done."""
    inbox = Inbox(station.client, shards=station.settings.inbox_shards)
    sent_at: float | None = None
    while True:
        done = sending.done()
        if done and sent_at is None:
            sending.result()
            sent_at = time.monotonic()
        progress = await asyncio.to_thread(facts.progress, station, inbox)
        tell(progress)
        # `done` was read before the progress, so nothing can have been appended in between.
        if sent_at is not None and (progress.is_settled or time.monotonic() > sent_at + SETTLE_SECONDS):
            return progress.is_settled, sent_at
        await asyncio.sleep(POLL_SECONDS)
