"""Writing results down: one transaction for a batch of them.

Comes in: results of attempts. Left behind: the deliveries' states, an attempt each, the lanes' rows, and what follows
from them. A result counts only while its claim holds. A process that dies before the commit leaves leases that expire:
those deliveries are sent again, with the same webhook-id.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from random import Random
from typing import Any

import orjson
from sqlalchemy import Connection, text

from shared.clock import after
from shared.destinations.contract import Answer, Judgement, Verdict
from shared.settings import Settings
from shared.states import DeliveryState
from workers.delivery import disable, lane
from workers.delivery.backoff import Policy, next_delay
from workers.delivery.claim import Claimed

EVENT_EXPIRED = "event_expired"
UNRECORDABLE = "unrecordable"  # the database refused what was to be written of an attempt
LATER_SECONDS = 60.0  # how long "later" is when nobody says

_LANES = text("""
SELECT l.*, s.account_id, s.name, s.url, s.active, s.deleted_at, s.retry_attempts, s.retry_delay_seconds, s.schedule,
    s.disable_after, s.disable_after_seconds
FROM lanes l JOIN subscriptions s ON s.id = l.subscription_id
WHERE l.subscription_id = ANY(CAST(:ids AS uuid[]))
ORDER BY l.subscription_id
FOR NO KEY UPDATE OF l
""")

# One document in: far cheaper to make and to read than a dozen bound arrays. The state is asked for as in `claim`.
_SETTLE = text("""
WITH result AS (
    SELECT * FROM json_to_recordset(CAST(:results AS json)) AS result(id uuid, claim uuid, state text,
        next_at timestamptz, sent bool, tried bool, verdict text, status int, code text, error text, excerpt text,
        ms int, started timestamptz)
), settled AS (
    UPDATE deliveries d SET state = r.state, claim_id = NULL, lease_until = NULL,
        tries = d.tries + r.tried::int, attempts = d.attempts + r.sent::int,
        next_attempt_at = COALESCE(r.next_at, d.next_attempt_at),
        finished_at = CASE WHEN r.state IN ('delivered', 'dead', 'discarded') THEN CAST(:now AS timestamptz) END,
        last_status = r.status, last_error = r.code
    FROM result r WHERE d.id = r.id AND d.state = (SELECT 'leased') AND d.claim_id = r.claim
    RETURNING d.id, d.account_id, d.subscription_id, d.event_id, d.attempts AS number, r.sent, r.verdict, r.status,
        r.code, r.error, r.excerpt, r.ms, r.started
), noted AS (
    INSERT INTO attempts (id, account_id, delivery_id, subscription_id, event_id, number, verdict, status, error_code,
        error, response_excerpt, duration_ms, started_at)
    SELECT uuidv7(), account_id, id, subscription_id, event_id, number, verdict, status, code, error, excerpt, ms,
        started
    FROM settled WHERE sent
)
SELECT CAST(id AS text) FROM settled
""")

_SAVE = text("""
UPDATE lanes l SET success_count = r.success_count, failed_count = r.failed_count,
    last_delivery_status = r.last_delivery_status, last_delivery_at = r.last_delivery_at,
    consecutive_failures = r.consecutive_failures, first_failure_at = r.first_failure_at, pauses = r.pauses,
    paused_until = r.paused_until, warned_percent = r.warned_percent
FROM unnest(CAST(:id AS uuid[]), CAST(:success_count AS bigint[]), CAST(:failed_count AS bigint[]),
    CAST(:last_delivery_status AS text[]), CAST(:last_delivery_at AS timestamptz[]),
    CAST(:consecutive_failures AS int[]), CAST(:first_failure_at AS timestamptz[]), CAST(:pauses AS int[]),
    CAST(:paused_until AS timestamptz[]), CAST(:warned_percent AS int[]))
AS r(id, success_count, failed_count, last_delivery_status, last_delivery_at, consecutive_failures, first_failure_at,
    pauses, paused_until, warned_percent)
WHERE l.subscription_id = r.id
""")
_BURY = text("""
UPDATE deliveries SET state = :state, claim_id = NULL, lease_until = NULL, tries = tries + 1, finished_at = :now,
    last_status = NULL, last_error = :code
WHERE id = CAST(:id AS uuid) AND state = 'leased' AND claim_id = CAST(:claim AS uuid)
""")
_LANE_FIELDS = [entry.name for entry in fields(lane.Lane)]


@dataclass(frozen=True, slots=True)
class Result:
    """What an attempt came to; `answer` None: nothing was sent, and the judgement says why."""

    claimed: Claimed
    answer: Answer | None
    judgement: Judgement
    started_at: datetime
    landed_at: datetime
    follows: bool = False  # another delivery of the same request stands for its failure


@dataclass(slots=True)
class Recorded:
    """What a batch did: counts, and the lanes that take no more for now."""

    counts: Counter[str] = field(default_factory=Counter)
    closed: set[str] = field(default_factory=set)


def record(
    connection: Connection, results: Sequence[Result], *, settings: Settings, now: datetime, rng: Random
) -> Recorded:
    """Write a batch of results down and settle what follows from them. A result whose claim is lost changes nothing."""
    ids = sorted({result.claimed.subscription_id for result in results})
    rows = {str(row.subscription_id): row for row in connection.execute(_LANES, {"ids": ids})}
    states = [_state(result, rows.get(result.claimed.subscription_id), now=now, rng=rng) for result in results]
    settled = _settle(connection, results, states, now=now)

    recorded = Recorded()
    landings: dict[str, list[lane.Landing]] = {}
    for result, (state, _) in zip(results, states, strict=True):
        if result.claimed.delivery_id not in settled:
            recorded.counts["lost"] += 1
            continue
        recorded.counts[state.value] += 1
        if result.answer is not None:
            recorded.counts[f"attempts:{result.judgement.verdict}"] += 1
        elif result.judgement.verdict is not Verdict.LATER:
            continue
        landings.setdefault(result.claimed.subscription_id, []).append(
            lane.Landing(
                result.landed_at, result.judgement.verdict, result.judgement.retry_after_seconds, result.follows
            )
        )
    _move_lanes(connection, {rows[key]: some for key, some in landings.items() if key in rows}, settings, recorded, now)
    recorded.closed |= {key for key in ids if key not in rows or not _is_open(rows[key])}
    return recorded


def bare(result: Result) -> Result:
    """The result with nothing of what the receiver said but its status and its verdict."""
    code = None if result.judgement.verdict is Verdict.DELIVERED else UNRECORDABLE
    answer = result.answer and Answer(result.answer.status, error_code=code, duration_ms=result.answer.duration_ms)
    return replace(result, answer=answer, judgement=replace(result.judgement, code=code))


def bury(connection: Connection, result: Result, *, now: datetime) -> Recorded:
    """End the delivery of a result that cannot be written down: delivered if it was, else dead, for a person to see."""
    was_delivered = result.judgement.verdict is Verdict.DELIVERED
    state = DeliveryState.DELIVERED if was_delivered else DeliveryState.DEAD
    claimed = result.claimed
    values = {"state": state, "code": UNRECORDABLE, "id": claimed.delivery_id, "claim": claimed.claim_id, "now": now}
    counted = state.value if connection.execute(_BURY, values).rowcount else "lost"
    return Recorded(Counter({counted: 1}))


def _is_open(row: Any) -> bool:
    return bool(row.active) and row.deleted_at is None


def _state(result: Result, row: Any, *, now: datetime, rng: Random) -> tuple[DeliveryState, datetime | None]:
    """What the delivery becomes, and when it is tried again if it is."""
    judgement = result.judgement
    match judgement.verdict:
        case Verdict.DELIVERED:
            return DeliveryState.DELIVERED, None
        case Verdict.DEAD:
            return DeliveryState.DEAD, None
        case _ if row is None or row.deleted_at is not None:
            return DeliveryState.DISCARDED, None
        case Verdict.GONE:
            return DeliveryState.HELD, None
        case Verdict.LATER:
            wait = judgement.retry_after_seconds or LATER_SECONDS
            return (DeliveryState.PENDING if row.active else DeliveryState.HELD), after(now, wait)
    policy = Policy(row.retry_attempts, row.retry_delay_seconds, row.schedule)
    delay = next_delay(result.claimed.tries + 1, policy, retry_after_seconds=judgement.retry_after_seconds, rng=rng)
    if delay is None:
        return DeliveryState.DEAD, None
    return (DeliveryState.PENDING if row.active else DeliveryState.HELD), after(now, delay)


def _settle(
    connection: Connection,
    results: Sequence[Result],
    states: Sequence[tuple[DeliveryState, datetime | None]],
    *,
    now: datetime,
) -> set[str]:
    """The ids of the deliveries whose results counted."""
    rows = []
    for result, (state, next_at) in zip(results, states, strict=True):
        claimed, answer = result.claimed, result.answer or Answer(None)
        rows.append(
            {
                "id": claimed.delivery_id,
                "claim": claimed.claim_id,
                "state": state,
                "next_at": next_at,
                "sent": result.answer is not None,
                "tried": result.answer is not None and result.judgement.verdict is not Verdict.LATER,
                "verdict": result.judgement.verdict,
                "status": answer.status,
                "code": result.judgement.code,
                "error": answer.error,
                "excerpt": answer.excerpt or None,
                "ms": answer.duration_ms,
                "started": result.started_at,
            }
        )
    return set(connection.execute(_SETTLE, {"results": orjson.dumps(rows).decode(), "now": now}).scalars())


def _move_lanes(
    connection: Connection,
    landings: dict[Any, list[lane.Landing]],
    settings: Settings,
    recorded: Recorded,
    now: datetime,
) -> None:
    changes: list[tuple[Any, lane.Change]] = []
    for row, some in landings.items():
        limits = lane.Limits(
            settings.circuit_failures,
            settings.circuit_pause_seconds,
            settings.circuit_pause_max_seconds,
            row.disable_after,
            row.disable_after_seconds,
        )
        before = lane.Lane(**{name: getattr(row, name) for name in _LANE_FIELDS})
        changes.append((row, lane.after(before, some, limits, now=now)))
    if not changes:
        return
    values = {name: [getattr(change.lane, name) for _, change in changes] for name in _LANE_FIELDS}
    connection.execute(_SAVE, {"id": [str(row.subscription_id) for row, _ in changes], **values})
    for row, change in changes:
        failures = change.lane.consecutive_failures
        if change.disable and _is_open(row):
            disable.disable(connection, row, reason=change.disable, failures=failures, now=now)
            recorded.counts["disabled"] += 1
            recorded.closed.add(str(row.subscription_id))
        elif change.warn_percent:
            disable.warn(connection, row, percent=change.warn_percent, failures=failures, now=now)
        elif change.recovered:
            disable.recover(connection, row, now=now)
        if change.lane.paused_until is not None and change.lane.paused_until > now:
            recorded.closed.add(str(row.subscription_id))
