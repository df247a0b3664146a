"""Sending again: deliveries that rest are put back among the due, with their event, body and webhook-id as they were.

Comes in: ids. Left behind: rows that are due now (or held, when the subscription is disabled), in the caller's
transaction. A process that dies before the commit has changed nothing.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, text

# What became of one delivery: its new state, or why it was passed over.
MOVED: Final = ("pending", "held")

# The row is locked before it is judged, so that one the dispatcher takes in between is judged as it then is; in the
# order of ids, so that two replays wait for each other rather than deadlock. The subscription is locked against being
# disabled meanwhile, which would leave a pending delivery where all are held. It is ordered as its subscription now is.
_REDELIVER = text("""
WITH item AS MATERIALIZED (
    SELECT d.id, d.state, s.active, s.deleted_at IS NOT NULL AS gone, s.ordering, e.subject_id, e.id IS NOT NULL AS kept
    FROM deliveries d JOIN subscriptions s ON s.id = d.subscription_id LEFT JOIN events e ON e.id = d.event_id
    WHERE d.id = ANY(CAST(:ids AS uuid[]))
    ORDER BY d.id
    FOR UPDATE OF d FOR SHARE OF s
), moved AS (
    UPDATE deliveries d
    SET state = CASE WHEN item.active THEN 'pending' ELSE 'held' END,
        strict = item.ordering = 'strict', record_id = CASE WHEN item.ordering <> 'none' THEN item.subject_id END,
        tries = 0, next_attempt_at = :now, claim_id = NULL, lease_until = NULL, finished_at = NULL
    FROM item
    WHERE d.id = item.id AND item.state = ANY(:states) AND item.kept AND NOT item.gone
    RETURNING d.id, d.state
)
SELECT item.id,
       CASE WHEN moved.id IS NOT NULL THEN moved.state
            WHEN item.state IN ('pending', 'leased') THEN 'in_flight'
            WHEN item.state <> ALL(:states) THEN 'changed'
            WHEN item.gone THEN 'subscription_deleted'
            ELSE 'expired' END AS outcome
FROM item LEFT JOIN moved ON moved.id = item.id
""")


def redeliver(connection: Connection, ids: Sequence[UUID], *, states: Sequence[str], now: datetime) -> dict[UUID, str]:
    """What became of each delivery: `pending` or `held` if it was put back, or else why not.

    Only those in one of `states` are put back, all tries before them. Why not: `in_flight` (on its way already),
    `changed` (no longer in one of `states`), `subscription_deleted`, `expired` (its event's time of keeping is over).
    Ids that are not there are not in the answer.
    """
    if not ids:
        return {}
    values = {"ids": [str(value) for value in ids], "states": [str(state) for state in states], "now": now}
    return {row.id: row.outcome for row in connection.execute(_REDELIVER, values)}
