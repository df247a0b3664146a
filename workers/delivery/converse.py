"""One conversation: several leased deliveries carried together, each to a judged landing of its own.

Comes in: deliveries of one subscription whose destination batches. Comes out: a result for each, always. Nothing is
written here; a process that dies in the middle leaves the leases, the receiver has perhaps heard us, and the next
attempt is told so (`Parcel.is_repeat`).
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from shared import logs
from shared.destinations.contract import (
    OUT_OF_TIME,
    QUOTA_USED_UP,
    UNSENT,
    Answer,
    Judgement,
    Landing,
    Outgoing,
    Parcel,
    Verdict,
)
from shared.egress.sessions import Session
from workers.delivery.claim import Claimed
from workers.delivery.outcome import EVENT_EXPIRED, Result
from workers.delivery.subscribers import Subscriber
from workers.quotas import Quotas

PATIENCE_SECONDS = 1.0  # a quota that frees up this soon is waited for; else the subscription waits, and not we
MARGIN_SECONDS = 5.0  # of the lease, for writing down
LEAST_SECONDS = 1.0  # with less than this left no request is begun

_log = logs.get("delivery")


@dataclass(frozen=True, slots=True)
class Way:
    """What a conversation goes out by."""

    session: Session
    quotas: Quotas
    clock: Callable[[], datetime]
    timeout_max_seconds: float


async def carry(load: Sequence[Claimed], subscriber: Subscriber | None, way: Way) -> list[Result]:
    """The results of carrying `load`, in its order."""
    started_at = way.clock()
    expired = Landing(None, Judgement(Verdict.DEAD, EVENT_EXPIRED))
    whole = [claimed for claimed in load if claimed.body is not None]
    landings = iter(await _landings(whole, subscriber, way, now=started_at) if whole else ())
    landed = [next(landings) if claimed.body is not None else expired for claimed in load]
    return list(_results(load, landed, started_at=started_at, landed_at=way.clock()))


def _results(
    load: Sequence[Claimed], landed: Sequence[Landing], *, started_at: datetime, landed_at: datetime
) -> Iterable[Result]:
    failed: set[int] = set()  # answers, of which each is one failure of the lane, however many it fails
    for claimed, landing in zip(load, landed, strict=True):
        answer = landing.answer
        if answer is not None and answer.error_code in UNSENT:
            answer = None
        follows = id(landing.answer) in failed
        if landing.judgement.verdict not in (Verdict.DELIVERED, Verdict.LATER):
            failed.add(id(landing.answer))
        yield Result(claimed, answer, landing.judgement, started_at, landed_at, follows=follows)


async def _landings(
    load: Sequence[Claimed], subscriber: Subscriber | None, way: Way, *, now: datetime
) -> Sequence[Landing]:
    secrets = () if subscriber is None else subscriber.live_secrets(now)
    if subscriber is None:
        return _amiss("subscription_gone", len(load))
    if subscriber.destination is None or subscriber.destination.batching is None:
        return _amiss("destination_unknown", len(load))
    if not secrets:
        return _amiss("secret_missing", len(load))
    parcels = [_parcel(claimed, subscriber, secrets) for claimed in load]
    ends_at = time.monotonic() + (min(each.lease_until for each in load) - now).total_seconds() - MARGIN_SECONDS
    try:
        conversation = subscriber.destination.batching.converse(parcels, subscriber.memory, way.clock)
        try:
            outgoing = next(conversation)
            while True:
                outgoing = conversation.send(await _ask(outgoing, subscriber, secrets[0], way, ends_at=ends_at))
        except StopIteration as end:
            landings: list[Landing] = end.value
    except Exception:  # noqa: BLE001  # a destination's mistake must cost its own deliveries only
        _log.exception("delivery.unbuildable", subscription_id=load[0].subscription_id)
        return _amiss("request_unbuildable", len(load))
    if len(landings) != len(load):
        _log.error("delivery.unaccounted", subscription_id=load[0].subscription_id, parcels=len(load))
        return _amiss("request_unbuildable", len(load))
    return landings


async def _ask(outgoing: Outgoing, subscriber: Subscriber, credential: str, way: Way, *, ends_at: float) -> Answer:
    """The answer to one request of a conversation, or why it was not sent."""
    destination = subscriber.destination
    quota = None if destination is None else destination.quotas(subscriber.settings).get(outgoing.quota)
    if destination is not None and quota is not None:
        count = partial(way.quotas.take, destination.name, outgoing.quota, credential, quota)
        wait = await asyncio.to_thread(count, now=way.clock())
        if 0 < wait <= PATIENCE_SECONDS:
            await asyncio.sleep(wait)
            wait = await asyncio.to_thread(count, now=way.clock())
        if wait:
            return Answer(None, {"retry-after": str(int(wait) + 1)}, error_code=QUOTA_USED_UP)
    left = ends_at - time.monotonic()
    if left < LEAST_SECONDS:
        return Answer(None, error_code=OUT_OF_TIME)
    longest = min(subscriber.timeout_seconds, way.timeout_max_seconds, left)
    return await way.session.send(outgoing, timeout_seconds=longest)


def _parcel(claimed: Claimed, subscriber: Subscriber, secrets: tuple[str, ...]) -> Parcel:
    return Parcel(
        event_id=claimed.event_id,
        event_type=claimed.event_type,
        body=claimed.body or b"",
        delivery_id=claimed.delivery_id,
        attempt_number=claimed.attempts + 1,
        url=subscriber.url,
        secrets=secrets,
        settings=subscriber.settings,
        is_repeat=claimed.is_repeat,
    )


def _amiss(code: str, count: int) -> Sequence[Landing]:
    answer = Answer(None, error_code=code, error="Nothing was sent.")
    return [Landing(answer, Judgement(Verdict.AGAIN, code))] * count
