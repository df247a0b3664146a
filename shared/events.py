"""Events: the envelope, and the one place that inserts events and fans them out.

Comes in: drafts, inside the caller's transaction. Left behind: event rows, their bodies fixed for ever, and one
delivery for every subscription that wants them. A process that dies before the caller's commit leaves nothing; after
it, everything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Connection, text

from shared.clock import to_json
from shared.event_types import CATALOGUE, EventType, matches, patterns_of
from shared.ids import new_id

__all__ = ["CATALOGUE", "EventDraft", "EventType", "emit", "envelope", "matches", "patterns_of"]


@dataclass(frozen=True, slots=True)
class EventDraft:
    """An event that is about to be."""

    account_id: UUID
    type: str
    body: str  # the envelope
    occurred_at: datetime
    message_id: UUID | None = None  # None: our own (subscription.disabled, a test)
    source_id: UUID | None = None
    subject_kind: str | None = None  # e.g. user
    subject_id: UUID | str | None = None
    accepted_at: datetime | None = None  # when the ingress took its message
    id: UUID = field(default_factory=new_id)


def envelope(*, event_type: str, data: Mapping[str, Any], source: str, action: str, at: datetime) -> str:
    """The JSON text of an event, as it is stored and sent."""
    return orjson.dumps(
        {
            "event": event_type,
            "timestamp": to_json(at),
            "data": data,
            "metadata": {"source": source, "action": action},
        }
    ).decode()


# Many short columns as one JSON document, which the server parses several times faster than bound values; the bodies
# beside it as an array, which spares them being escaped and unescaped once more.
_INSERT = """
WITH drafts AS MATERIALIZED (
    SELECT * FROM ROWS FROM (
        json_to_recordset(CAST(:drafts AS json)) AS (
            id uuid, account_id uuid, type text, occurred_at timestamptz, message_id uuid, source_id uuid,
            subject_kind text, subject_id uuid, accepted_at timestamptz
        ),
        unnest(CAST(:bodies AS text[]))
    ) AS d (id, account_id, type, occurred_at, message_id, source_id, subject_kind, subject_id, accepted_at, body)
), inserted AS (
    INSERT INTO events (id, account_id, message_id, source_id, type, subject_kind, subject_id, body, occurred_at,
                        created_at)
    SELECT id, account_id, message_id, source_id, type, subject_kind, subject_id, body, occurred_at, :now
    FROM drafts
), wanted AS MATERIALIZED (
    -- Matched once per account and type, not once per event: there are few types in a batch and many events.
    SELECT t.account_id, t.type, s.id AS subscription_id, s.active, s.ordering = 'strict' AS strict,
           s.ordering <> 'none' AS ordered
    FROM json_to_recordset(CAST(:types AS json)) AS t (account_id uuid, type text, patterns text[])
    JOIN subscriptions s ON s.account_id = t.account_id
    WHERE s.deleted_at IS NULL
      AND (s.events && t.patterns OR s.id = CAST(:only AS uuid))
      AND (CAST(:only AS uuid) IS NULL OR s.id = CAST(:only AS uuid))
      AND s.id IS DISTINCT FROM CAST(:other_than AS uuid)
    {lock}
)
INSERT INTO deliveries (id, account_id, event_id, subscription_id, event_type, state, strict, record_id,
                        next_attempt_at, accepted_at, created_at)
SELECT uuidv7(), d.account_id, d.id, w.subscription_id, d.type, CASE WHEN w.active THEN 'pending' ELSE 'held' END,
       w.strict, CASE WHEN w.ordered THEN d.subject_id END,
       LEAST(:now, now()), d.accepted_at, :now  -- a drain that is ahead must not make them due later
FROM drafts d JOIN wanted w ON w.account_id = d.account_id AND w.type = d.type
ORDER BY d.id
"""
# The share lock makes a concurrent disable wait, so that its held deliveries include these. A caller that leaves a
# subscription out is disabling it and has it locked; two of those would wait for each other for ever.
_EMIT = text(_INSERT.format(lock="FOR SHARE OF s"))
_EMIT_WITHOUT_LOCK = text(_INSERT.format(lock=""))


def emit(
    connection: Connection,
    drafts: Sequence[EventDraft],
    *,
    now: datetime,
    only_subscription: UUID | str | None = None,
    except_subscription: UUID | str | None = None,
) -> tuple[int, int]:
    """Insert events and their deliveries; how many of each, as (events, deliveries).

    An event nobody wants is kept all the same. A delivery of an inactive subscription is held. `only_subscription`
    gets the events whatever its patterns say (a test), and nobody else does.
    """
    if not drafts:
        return 0, 0
    kinds = {(draft.account_id, draft.type) for draft in drafts}
    result = connection.execute(
        _EMIT if except_subscription is None else _EMIT_WITHOUT_LOCK,
        {
            "drafts": orjson.dumps([_short(draft) for draft in drafts]).decode(),
            "bodies": [draft.body for draft in drafts],
            "types": orjson.dumps(
                [{"account_id": account_id, "type": kind, "patterns": patterns_of(kind)} for account_id, kind in kinds]
            ).decode(),
            "now": now,
            "only": None if only_subscription is None else str(only_subscription),
            "other_than": None if except_subscription is None else str(except_subscription),
        },
    )
    return len(drafts), result.rowcount


def _short(draft: EventDraft) -> dict[str, Any]:
    return {
        "id": draft.id,
        "account_id": draft.account_id,
        "type": draft.type,
        "occurred_at": draft.occurred_at,
        "message_id": draft.message_id,
        "source_id": draft.source_id,
        "subject_kind": draft.subject_kind,
        "subject_id": draft.subject_id,
        "accepted_at": draft.accepted_at,
    }
