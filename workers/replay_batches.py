"""One batch of a replay: the next items past the job's cursor, each done again in its target's own way.

Comes in: the job and how many. Left behind, in the caller's transaction: deliveries due again, events fanned out anew,
messages transformed anew. A process that dies before the commit has replayed none of the batch.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import Connection, text

from shared.crypto import KeyRing
from shared.events import patterns_of
from shared.redelivery import MOVED, redeliver
from shared.replay_filters import Filters, states_of, where
from shared.states import MessageState
from workers.inbound.listings import load_listings
from workers.inbound.messages import restore
from workers.inbound.process import process

# Items one transaction takes: a few tens of milliseconds of work each.
BATCH_SIZES: Final = {"deliveries": 500, "events": 200, "messages": 100}
BATCH_BYTES: Final = 4_000_000  # of raw bodies, as in a transaction of the drain


@dataclass(slots=True)
class Batch:
    """What one batch did."""

    last: UUID | None = None  # the last item looked at; None: there was none
    is_last: bool = True  # nothing is left after it
    taken: int = 0  # items looked at: done + skipped + failed
    done: int = 0
    skipped: Counter[str] = field(default_factory=Counter)  # by reason
    failed: int = 0  # messages that failed again
    deliveries: int = 0  # made or put back among the due


# Only what had come to rest when the job was made is its own: an item that a person or the job itself has replayed
# since then is not replayed again. An event never changes.
_SETTLED: Final = {
    "deliveries": "(item.finished_at IS NULL OR item.finished_at <= :asked_at)",
    "messages": "item.processed_at <= :asked_at",
    "events": "TRUE",
}
_BYTES: Final = {"deliveries": "0", "messages": "coalesce(octet_length(item.body), 0)", "events": "0"}


def replay_batch(
    connection: Connection, ring: KeyRing, job: Mapping[Any, Any], filters: Filters, *, size: int, now: datetime
) -> Batch:
    """Replay the next `size` items of a job, or as many messages as are not too large for one transaction.

    Raises:
        NotFound: the subscription that the filters name is gone.
    """
    target = job["target"]
    condition, values = where(connection, target, filters)
    found = list(
        connection.execute(
            text(f"""
                SELECT item.id, {_BYTES[target]} AS bytes FROM {target} item
                WHERE {condition} AND item.id > :cursor AND item.id <= :bound AND {_SETTLED[target]}
                ORDER BY item.id LIMIT :size
            """),
            values
            | {"cursor": job["cursor"] or UUID(int=0), "bound": job["bound"], "size": size}
            | ({} if target == "events" else {"asked_at": job["created_at"]}),
        )
    )
    if not found:
        return Batch()
    sums = itertools.accumulate(row.bytes for row in found)
    ids = [row.id for row, total in zip(found, sums, strict=True) if total <= BATCH_BYTES] or [found[0].id]
    batch = _DOINGS[target](connection, ring, ids, filters, now)
    batch.last, batch.taken, batch.is_last = ids[-1], len(ids), len(ids) < size and len(ids) == len(found)
    return batch


def _deliveries(connection: Connection, _: KeyRing, ids: Sequence[UUID], filters: Filters, now: datetime) -> Batch:
    outcomes = Counter(redeliver(connection, ids, states=states_of("deliveries", filters), now=now).values())
    done = sum(outcomes.pop(outcome, 0) for outcome in MOVED)
    outcomes["changed"] += len(ids) - done - outcomes.total()  # rows that vanished between the two statements
    return Batch(done=done, skipped=+outcomes, deliveries=done)


# As in the first fan-out, a disabled subscription's are held. One that is on its way already is left alone.
_FAN_OUT_AGAIN = text("""
WITH wanted AS MATERIALIZED (
    SELECT t.account_id, t.type, s.id AS subscription_id, s.active, s.ordering = 'strict' AS strict,
           s.ordering <> 'none' AS ordered
    FROM json_to_recordset(CAST(:types AS json)) AS t (account_id uuid, type text, patterns text[])
    JOIN subscriptions s ON s.account_id = t.account_id
    WHERE s.deleted_at IS NULL AND s.events && t.patterns
      AND (CAST(:only AS uuid) IS NULL OR s.id = CAST(:only AS uuid))
    FOR SHARE OF s
), made AS (
    INSERT INTO deliveries (id, account_id, event_id, subscription_id, event_type, state, strict, record_id,
                            next_attempt_at, created_at)
    SELECT uuidv7(), e.account_id, e.id, w.subscription_id, e.type,
           CASE WHEN w.active THEN 'pending' ELSE 'held' END, w.strict,
           CASE WHEN w.ordered THEN e.subject_id END, :now, :now
    FROM events e JOIN wanted w ON w.account_id = e.account_id AND w.type = e.type
    WHERE e.id = ANY(CAST(:ids AS uuid[]))
    ORDER BY e.id, w.subscription_id
    ON CONFLICT (subscription_id, event_id) DO UPDATE
    SET state = EXCLUDED.state, strict = EXCLUDED.strict, record_id = EXCLUDED.record_id, tries = 0,
        next_attempt_at = :now, claim_id = NULL, lease_until = NULL, finished_at = NULL
    WHERE deliveries.state NOT IN ('pending', 'leased')
    RETURNING event_id
)
SELECT e.id, coalesce(m.deliveries, 0) AS deliveries,
       EXISTS (SELECT FROM wanted w WHERE w.account_id = e.account_id AND w.type = e.type) AS wanted
FROM events e LEFT JOIN (SELECT event_id, count(*) AS deliveries FROM made GROUP BY event_id) m ON m.event_id = e.id
WHERE e.id = ANY(CAST(:ids AS uuid[]))
""")


def _events(connection: Connection, _: KeyRing, ids: Sequence[UUID], filters: Filters, now: datetime) -> Batch:
    values: dict[str, Any] = {"ids": [str(value) for value in ids]}
    kinds = connection.execute(
        text("SELECT DISTINCT account_id, type FROM events WHERE id = ANY(CAST(:ids AS uuid[]))"), values
    )
    types = [{"account_id": kind.account_id, "type": kind.type, "patterns": patterns_of(kind.type)} for kind in kinds]
    only = None if filters.subscription is None else str(filters.subscription)
    batch = Batch()
    for row in connection.execute(
        _FAN_OUT_AGAIN, values | {"types": orjson.dumps(types).decode(), "only": only, "now": now}
    ):
        batch.deliveries += row.deliveries
        if row.deliveries:
            batch.done += 1
        else:
            batch.skipped["in_flight" if row.wanted else "unwanted"] += 1
    return batch


def _messages(connection: Connection, ring: KeyRing, ids: Sequence[UUID], filters: Filters, now: datetime) -> Batch:
    # Locked in the order of ids: a message is replayed by one job at a time.
    rows = connection.execute(
        text("""
            SELECT id, source_id, state, method, path, headers, body, received_at FROM messages
            WHERE id = ANY(CAST(:ids AS uuid[])) ORDER BY id FOR UPDATE
        """),
        {"ids": [str(value) for value in ids]},
    ).mappings()
    listings = load_listings(connection, ring, now)
    states = set(states_of("messages", filters))
    batch, again = Batch(), []
    for row in rows:
        message = restore(dict(row))
        if row["state"] not in states:
            batch.skipped["changed"] += 1
        elif message is None:
            batch.skipped["duplicate" if row["state"] == MessageState.DUPLICATE else "expired"] += 1
        elif message.source_id not in listings:
            batch.skipped["source_deleted"] += 1
        else:
            again.append(message)
    if again:
        tally = process(connection, again, listings=listings, now=now, replay=True)
        batch.done, batch.failed, batch.deliveries = len(again) - tally.failed, tally.failed, tally.deliveries
    if vanished := len(ids) - len(again) - batch.skipped.total():
        batch.skipped["changed"] += vanished
    return batch


_DOINGS: Final[dict[str, Callable[[Connection, KeyRing, Sequence[UUID], Filters, datetime], Batch]]] = {
    "deliveries": _deliveries,
    "events": _events,
    "messages": _messages,
}
