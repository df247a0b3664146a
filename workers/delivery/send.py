"""One attempt: from a leased delivery to a judged answer.

Comes in: a delivery, its subscriber, the way out. Comes out: a result, always. Nothing is written here; a process that
dies in the middle leaves the lease, and the receiver has perhaps heard us.
"""

from collections.abc import Callable
from datetime import datetime

from shared import logs
from shared.destinations.contract import Answer, Judgement, Outgoing, Parcel, Verdict
from shared.egress.sessions import Session
from workers.delivery.claim import Claimed
from workers.delivery.outcome import EVENT_EXPIRED, Result
from workers.delivery.subscribers import Subscriber

FLIGHT_FAILED = "flight_failed"  # our own code failed with the request or its answer

_log = logs.get("delivery")


async def attempt(
    claimed: Claimed,
    subscriber: Subscriber | None,
    session: Session,
    *,
    clock: Callable[[], datetime],
    timeout_max_seconds: float,
) -> Result:
    """The result of sending `claimed` once."""
    started_at = clock()
    if claimed.body is None:
        return Result(claimed, None, Judgement(Verdict.DEAD, EVENT_EXPIRED), started_at, started_at)
    outgoing = _build(claimed, subscriber, now=started_at)
    if isinstance(outgoing, Judgement):
        return Result(claimed, None, outgoing, started_at, started_at)
    judge = None if subscriber is None or subscriber.destination is None else subscriber.destination.judge
    if isinstance(outgoing, Outgoing) and subscriber is not None and judge is not None:
        answer = Answer(None, error_code=FLIGHT_FAILED, error="It failed on our side; the log says where.")
        try:
            answer = await session.send(outgoing, timeout_seconds=min(subscriber.timeout_seconds, timeout_max_seconds))
            landed_at = clock()
            is_done = answer.status in outgoing.done_statuses
            judgement = Judgement(Verdict.DELIVERED) if is_done else judge(answer, landed_at)
        except Exception:  # noqa: BLE001  # without a result it would be sent again with every lease, for ever
            _log.exception("delivery.flight_failed", delivery_id=claimed.delivery_id)
            landed_at = clock()
            judgement = Judgement(Verdict.AGAIN, FLIGHT_FAILED)
    else:
        landed_at = started_at
        answer = Answer(None, error_code=str(outgoing), error="Nothing was sent.")
        judgement = Judgement(Verdict.AGAIN, answer.error_code)
    return Result(claimed, answer, judgement, started_at, landed_at)


def _build(claimed: Claimed, subscriber: Subscriber | None, *, now: datetime) -> Outgoing | Judgement | str:
    """The request; or that the destination has none to send; or the code of what is amiss with us."""
    if subscriber is None or claimed.body is None:
        return "subscription_gone"
    if subscriber.destination is None or subscriber.destination.build is None:
        return "destination_unknown"
    secrets = subscriber.live_secrets(now)
    if not secrets:
        return "secret_missing"
    parcel = Parcel(
        event_id=claimed.event_id,
        event_type=claimed.event_type,
        body=claimed.body,
        delivery_id=claimed.delivery_id,
        attempt_number=claimed.attempts + 1,
        url=subscriber.url,
        secrets=secrets,
        settings=subscriber.settings,
    )
    try:
        return subscriber.destination.build(parcel, now)
    except Exception:  # noqa: BLE001  # a destination's mistake must cost its own deliveries only
        _log.exception("delivery.unbuildable", delivery_id=claimed.delivery_id)
        return "request_unbuildable"
