"""Gives the orders of a customer who was merged into another to the other.

Comes in: changes and what they did to users, inside the caller's transaction. Comes out: what the orders are to hear,
which is told as `order.updated` of each. Only reads; nothing is left behind.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import orjson
from sqlalchemy import Connection, text

from shared.record_changes import RecordChange, RecordKey
from shared.record_kinds import ORDER
from shared.users import MERGED_INTO
from workers.inbound.guard import Applied

HOPS: Final = 8  # who was kept may have been merged since, and merges come in no order; ends a circle, too

_ENDS: Final = text(f"""
WITH RECURSIVE way AS (
    SELECT k.number, u.account_id, u.provider, u.tenant, u.attributes ->> '{MERGED_INTO}' AS kept,
        1 AS hops
    FROM json_to_recordset(CAST(:keys AS json))
        AS k (number integer, account_id uuid, provider text, tenant text, external_id text)
    JOIN users u USING (account_id, provider, tenant, external_id)
    UNION ALL
    SELECT way.number, way.account_id, way.provider, way.tenant, u.attributes ->> '{MERGED_INTO}',
        way.hops + 1
    FROM way JOIN users u ON u.account_id = way.account_id AND u.provider = way.provider AND u.tenant = way.tenant
        AND u.external_id = way.kept AND u.deleted_at IS NOT NULL AND u.attributes ->> '{MERGED_INTO}' IS NOT NULL
    WHERE way.hops < {HOPS}
), ends AS (
    SELECT DISTINCT ON (number) * FROM way ORDER BY number, hops DESC
)
SELECT number, kept FROM ends ORDER BY number
""")
# Not locked here: they are locked together with the other orders of the batch, in one order.
_ORDERS: Final = text("""
SELECT k.number, o.external_id
FROM json_to_recordset(CAST(:keys AS json))
    AS k (number integer, account_id uuid, provider text, tenant text, external_id text)
JOIN orders o ON o.account_id = k.account_id AND o.provider = k.provider AND o.tenant = k.tenant
    AND o.customer_external_id = k.external_id
ORDER BY k.number, o.id
""")


@dataclass(frozen=True, slots=True)
class _Merge:
    gone: RecordKey
    kept: str  # in the end


def merged(changes: Sequence[RecordChange], applied: Mapping[int, Applied]) -> dict[RecordKey, int]:
    """The users of `applied` who are merged into another, with the position of the last change that says so."""
    return {
        changes[position].key: position
        for position, one in applied.items()
        if changes[position].op == "delete"
        and one.after is not None
        and one.after["deleted_at"] is not None
        and one.after["attributes"].get(MERGED_INTO) is not None
    }


def consequences(
    connection: Connection, changes: Sequence[RecordChange], gone: Mapping[RecordKey, int]
) -> Iterator[tuple[int, RecordChange]]:
    """What the orders of `gone`, whom `merged` found, are to hear, each with the position of its cause.

    Idempotent. Nothing is asked of the database when nobody was merged.
    """
    if not gone:
        return
    merges = _merges(connection, sorted(gone))
    for number, order in connection.execute(_ORDERS, {"keys": _document([one.gone for one in merges])}).all():
        key, kept = merges[number].gone, merges[number].kept
        cause = gone[key]
        fields = {key.external_id: kept}
        version = changes[cause].version
        yield cause, RecordChange(ORDER, key._replace(external_id=order), "repoint", version, fields)


def _merges(connection: Connection, gone: Sequence[RecordKey]) -> list[_Merge]:
    rows = connection.execute(_ENDS, {"keys": _document(gone)}).all()
    return [_Merge(gone[row.number], row.kept) for row in rows]


def _document(keys: Sequence[RecordKey]) -> str:
    return orjson.dumps([{"number": number, **key._asdict()} for number, key in enumerate(keys)]).decode()
