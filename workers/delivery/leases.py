"""Leases that come back without a result: expired ones of a dead dispatcher, and unused ones of a live one.

Left behind: deliveries that are due again, or held or discarded when their subscription is closed. Their tries are not
counted, since nobody knows of one. A process that dies in the middle leaves them leased, for the next sweep.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, text

# A lease whose subscription's row is gone altogether can only be discarded.
_BACK = """
WITH lapsed AS (
    SELECT d.id, s.active AND s.deleted_at IS NULL AS open, s.id IS NULL OR s.deleted_at IS NOT NULL AS gone
    FROM deliveries d LEFT JOIN subscriptions s ON s.id = d.subscription_id
    WHERE d.state = 'leased' AND {condition}
    ORDER BY d.id
    FOR NO KEY UPDATE OF d SKIP LOCKED
)
UPDATE deliveries d
SET state = CASE WHEN lapsed.gone THEN 'discarded' WHEN lapsed.open THEN 'pending' ELSE 'held' END,
    finished_at = CASE WHEN lapsed.gone THEN CAST(:now AS timestamptz) END,
    next_attempt_at = LEAST(d.next_attempt_at, :now),
    last_error = CASE WHEN {flown} THEN COALESCE(d.last_error, 'interrupted') ELSE d.last_error END,
    claim_id = NULL, lease_until = NULL
FROM lapsed WHERE d.id = lapsed.id
"""
_EXPIRE = text(_BACK.format(condition="d.lease_until <= :now", flown="true"))
_GIVE_BACK = text(
    _BACK.format(
        condition="d.id = ANY(CAST(:ids AS uuid[])) AND d.claim_id = ANY(CAST(:claims AS uuid[]))",
        flown="CAST(:flown AS boolean)",
    )
)
_EARLIER = text("SELECT LEAST(CAST(:now AS timestamptz), now())")


def sweep(connection: Connection, *, now: datetime) -> int:
    """What `expire` does, once the database's clock says so as well as `now`.

    A sweep that is ahead would take every lease away from a live dispatcher, and what a slow receiver answers would
    never count.
    """
    return expire(connection, now=connection.execute(_EARLIER, {"now": now}).scalar_one())


def expire(connection: Connection, *, now: datetime) -> int:
    """How many deliveries were taken back from dispatchers that did not report in time. Idempotent.

    Their next request carries the same webhook-id, for the last one may have arrived.
    """
    return connection.execute(_EXPIRE, {"now": now}).rowcount


def give_back(connection: Connection, ids: Sequence[str], claims: Sequence[str], *, flown: bool, now: datetime) -> int:
    """How many deliveries were handed back that were leased under one of `claims`. Idempotent.

    `flown`: they were on their way, and may have arrived.
    """
    if not ids:
        return 0
    return connection.execute(
        _GIVE_BACK, {"ids": list(ids), "claims": list(claims), "flown": flown, "now": now}
    ).rowcount
