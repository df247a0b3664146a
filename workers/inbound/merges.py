"""Gives the orders of a customer who was merged into another to the other.

Comes in: changes and what they did to users, inside the caller's transaction. Left behind: orders of whoever was kept,
locked until the commit; nothing is told of each, since `user.deleted` says whose they are now. A process that dies
before the commit leaves nothing.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Final

import orjson
from sqlalchemy import Connection, text

from shared.record_changes import RecordChange, RecordKey
from shared.users import MERGED_INTO
from workers.inbound.guard import Applied

HOPS: Final = 8  # who was kept may have been merged since, and merges come in no order; ends a circle, too

# Locked in the order of ids, as every drain does. An order's version is its own: that it changed hands is no statement
# of its provider about it.
_REPOINT: Final = text(f"""
WITH RECURSIVE way AS (
    SELECT u.account_id, u.provider, u.tenant, u.external_id AS gone, u.attributes ->> '{MERGED_INTO}' AS kept,
        1 AS hops
    FROM json_to_recordset(CAST(:keys AS json))
        AS k (account_id uuid, provider text, tenant text, external_id text)
    JOIN users u USING (account_id, provider, tenant, external_id)
    UNION ALL
    SELECT way.account_id, way.provider, way.tenant, way.gone, u.attributes ->> '{MERGED_INTO}', way.hops + 1
    FROM way JOIN users u ON u.account_id = way.account_id AND u.provider = way.provider AND u.tenant = way.tenant
        AND u.external_id = way.kept AND u.deleted_at IS NOT NULL AND u.attributes ->> '{MERGED_INTO}' IS NOT NULL
    WHERE way.hops < {HOPS}
), ends AS (
    SELECT DISTINCT ON (account_id, provider, tenant, gone) account_id, provider, tenant, gone, kept
    FROM way ORDER BY account_id, provider, tenant, gone, hops DESC
), theirs AS MATERIALIZED (
    SELECT o.id, ends.kept
    FROM ends JOIN orders o ON o.account_id = ends.account_id AND o.provider = ends.provider
        AND o.tenant = ends.tenant AND o.customer_external_id = ends.gone
    ORDER BY o.id
    FOR NO KEY UPDATE OF o
)
UPDATE orders o SET customer_external_id = theirs.kept, updated_at = :now FROM theirs WHERE o.id = theirs.id
""")


def merged(changes: Sequence[RecordChange], applied: Mapping[int, Applied]) -> set[RecordKey]:
    """The users of `applied`, by the position of the change, who are merged into another."""
    return {
        changes[position].key
        for position, one in applied.items()
        if changes[position].op == "delete"
        and one.after is not None
        and one.after["deleted_at"] is not None
        and one.after["attributes"].get(MERGED_INTO) is not None
    }


def repoint(connection: Connection, gone: AbstractSet[RecordKey], *, now: datetime) -> None:
    """Have the orders of these follow whom they were merged into.

    Idempotent. Nothing is asked of the database when nobody was merged.
    """
    if gone:
        keys = orjson.dumps([key._asdict() for key in sorted(gone)]).decode()
        connection.execute(_REPOINT, {"keys": keys, "now": now})
