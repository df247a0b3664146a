"""The full way, from the signed webhook to the receiver: its peak in a closed loop, its latencies in an open one.

Left behind: nothing but the figures; the rows go with the stage's database. If a process of the stack ends by itself,
the run fails and shows its log.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.counts import counts, unsettled
from bench.figures import rate_within, spread
from bench.load import Load
from bench.procs import Meter
from bench.rig import Receiver, Sent, receiving, send
from bench.seed import make_world
from bench.stack import Stack, free_port, procfile

SETTLE_SECONDS = 90.0  # past the retry delay of one that failed by chance
OPEN_FIRST = 10_000_000  # the open loop's numbers begin here: customers of their own


@dataclass
class FullWay:
    """What one run of the whole stack gave."""

    accepted_rate: float = 0.0  # a second, in the steady part of the closed loop
    delivered_rate: float = 0.0
    open_rate: float = 0.0  # of the open loop, as asked
    latency_ms: dict[str, dict[str, float]] = field(default_factory=dict)  # `ack`, `accepted_to_delivered`
    cpu: dict[str, float] = field(default_factory=dict)  # seconds per 1,000 events, by process, closed loop
    rss_mb: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)


def measure(
    stack: Stack, *, peak_seconds: float, warm_up_seconds: float, open_seconds: float, open_share: float, accounts: int,
    outstanding: int,
) -> FullWay:  # fmt: skip
    """Every process of the Procfile, `accounts` accounts with one source and one subscription each."""
    result = FullWay()
    port = free_port()
    with receiving(stack.folder, port) as receiver:
        world = make_world(stack, urls=[[receiver.url(number)] for number in range(accounts)])
        stack.start(*procfile())
        try:
            load = Load(
                port=stack.ingress_port,
                record="",
                targets=world.targets,
                count=int(peak_seconds * 3000),
                customers=5_000,
                seconds=warm_up_seconds + peak_seconds,
                outstanding=outstanding,
                progress=str(receiver.progress),
            )
            meter = Meter(stack.pids() | {"receiver": receiver.pid})
            before = time.monotonic_ns()
            sent = send(stack.folder, load, started=meter.__enter__)
            settle(stack, receiver, SETTLE_SECONDS)
            meter.__exit__()
            result.cpu, result.rss_mb = meter.per_thousand(receiver.count), meter.peak_rss_mb
            peak_of = _window(sent, before, warm_up_seconds)
            result.accepted_rate = rate_within([one.answered for one in sent if one.status == 200], *peak_of)
            # What was delivered is not known until the receiver ends; at this load it equals what was accepted.
            result.open_rate = open_share * result.accepted_rate
            later = Load(
                port=stack.ingress_port,
                record="",
                targets=world.targets,
                count=int(result.open_rate * (open_seconds + warm_up_seconds)) + 1,
                first=OPEN_FIRST,
                customers=OPEN_FIRST + 2_000,
                seconds=warm_up_seconds + open_seconds,
                rate=result.open_rate,
            )
            steady = send(stack.folder, later)
            settle(stack, receiver, SETTLE_SECONDS)
            stack.check()
        finally:
            stack.stop()
    result.delivered_rate = rate_within(receiver.instants, *peak_of)
    result.latency_ms = latencies(steady, receiver, warm_up_seconds)
    result.counts = counts(stack, [*sent, *steady], receiver)
    return result


def _window(sent: Sequence[Sent], before: int, warm_up_seconds: float) -> tuple[int, int]:
    start = min((one.sent for one in sent), default=before)
    return start + int(warm_up_seconds * 1e9), max((one.sent for one in sent), default=before)


def latencies(
    sent: Sequence[Sent],
    receiver: Receiver,
    warm_up_seconds: float,
    *,
    wanted: Callable[[int], bool] | None = None,
) -> dict[str, dict[str, float]]:
    """Milliseconds from due to acknowledged, and from acknowledged to received, of what was due after the warm-up."""
    start = min(one.due for one in sent) + int(warm_up_seconds * 1e9)
    counted = [one for one in sent if one.due >= start and one.status == 200 and (wanted is None or wanted(one.number))]
    missing = [one.number for one in counted if one.number not in receiver.arrivals]
    if missing:
        print(f"  {len(missing)} of {len(counted)} acknowledged webhooks never reached the receiver: {missing[:5]} ...")
    return {
        "ack": spread([(one.answered - one.due) / 1e6 for one in counted]),
        # The receiver may have it before the sender has read the 200: then it took no time.
        "accepted_to_delivered": spread(
            [
                max(0, receiver.arrivals[one.number] - one.answered) / 1e6
                for one in counted
                if one.number in receiver.arrivals
            ]
        ),
    }


def settle(stack: Stack, receiver: Receiver, seconds: float, *, leaving: int = 0) -> None:
    """Return when nothing but `leaving` webhooks is under way, or the receiver has seen nothing new for `seconds`."""
    last, since = -1, time.monotonic()
    while unsettled(stack) > leaving:
        stack.check()
        if receiver.count != last:
            last, since = receiver.count, time.monotonic()
        if time.monotonic() - since > seconds:
            print(f"  {unsettled(stack)} still under way after {seconds:g} s without a delivery")
            return
        time.sleep(0.1)
