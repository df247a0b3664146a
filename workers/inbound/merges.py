"""Gives the orders of a customer who was merged into another to the other.

Comes in: changes and what they did to users, inside the caller's transaction. Comes out: what the orders are to hear,
which is told as `order.updated` of each. Those of somebody who was merged into an erased person hear nothing: left
behind is then a mark that this one is erased too, and an open erasure, which takes the orders and all else of theirs.
A process that dies before the commit leaves nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import orjson
from sqlalchemy import Connection, text

from shared import audit, privacy
from shared.record_changes import RecordChange, RecordKey
from shared.record_kinds import ORDER
from shared.users import MERGED_INTO
from workers.inbound.guard import Applied

HOPS: Final = 8  # who was kept may have been merged since, and merges come in no order; ends a circle, too

_ENDS: Final = text(f"""
WITH RECURSIVE way AS (
    SELECT k.number, u.account_id, u.provider, u.tenant, u.redacted_at, u.attributes ->> '{MERGED_INTO}' AS kept,
        1 AS hops
    FROM json_to_recordset(CAST(:keys AS json))
        AS k (number integer, account_id uuid, provider text, tenant text, external_id text)
    JOIN users u USING (account_id, provider, tenant, external_id)
    UNION ALL
    SELECT way.number, way.account_id, way.provider, way.tenant, way.redacted_at, u.attributes ->> '{MERGED_INTO}',
        way.hops + 1
    FROM way JOIN users u ON u.account_id = way.account_id AND u.provider = way.provider AND u.tenant = way.tenant
        AND u.external_id = way.kept AND u.deleted_at IS NOT NULL AND u.attributes ->> '{MERGED_INTO}' IS NOT NULL
    WHERE way.hops < {HOPS}
), ends AS (
    SELECT DISTINCT ON (number) * FROM way ORDER BY number, hops DESC
)
SELECT ends.number, ends.kept, u.redacted_at IS NOT NULL AS is_into_erased, ends.redacted_at IS NOT NULL AS is_erased
FROM ends LEFT JOIN users u ON u.account_id = ends.account_id AND u.provider = ends.provider
    AND u.tenant = ends.tenant AND u.external_id = ends.kept
ORDER BY ends.number
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
_MARK: Final = text("""
UPDATE users u SET redacted_at = :now
FROM json_to_recordset(CAST(:keys AS json)) AS k (account_id uuid, provider text, tenant text, external_id text)
WHERE u.account_id = k.account_id AND u.provider = k.provider AND u.tenant = k.tenant
    AND u.external_id = k.external_id
""")


@dataclass(frozen=True, slots=True)
class _Merge:
    gone: RecordKey
    kept: str  # in the end
    is_into_erased: bool
    is_erased: bool


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
    connection: Connection, changes: Sequence[RecordChange], gone: Mapping[RecordKey, int], *, now: datetime
) -> Iterator[tuple[int, RecordChange]]:
    """What the orders of `gone`, whom `merged` found, are to hear, each with the position of its cause.

    Idempotent. Nothing is asked of the database when nobody was merged.
    """
    if not gone:
        return
    merges = _merges(connection, sorted(gone))
    _forget(connection, [one for one in merges if one.is_into_erased], now=now)
    merges = [one for one in merges if not one.is_into_erased]
    for number, order in connection.execute(_ORDERS, {"keys": _document([one.gone for one in merges])}).all():
        key, kept = merges[number].gone, merges[number].kept
        cause = gone[key]
        fields = {key.external_id: kept}
        version = changes[cause].version
        yield cause, RecordChange(ORDER, key._replace(external_id=order), "repoint", version, fields)


def _merges(connection: Connection, gone: Sequence[RecordKey]) -> list[_Merge]:
    rows = connection.execute(_ENDS, {"keys": _document(gone)}).all()
    return [_Merge(gone[row.number], row.kept, row.is_into_erased, row.is_erased) for row in rows]


def _forget(connection: Connection, merges: Sequence[_Merge], *, now: datetime) -> None:
    """Have those who turn out to be an erased person erased as well: all at once is the erasure's work, not a drain's.

    They are marked at once, so that nothing brings them back before it comes, and no second one is asked for.
    """
    fresh: dict[RecordKey, list[RecordKey]] = {}
    for one in merges:
        if not one.is_erased:
            fresh.setdefault(one.gone._replace(external_id=one.kept), []).append(one.gone)
    for kept, gone in fresh.items():
        connection.execute(_MARK, {"keys": _document(gone), "now": now})
        account_id, provider, tenant, subject = kept
        asked = privacy.ask_erasure(
            connection, account_id=account_id, provider=provider, tenant=tenant, subject=subject, at=now
        )
        audit.record(
            connection,
            account_id=account_id,
            actor="system",
            action="erasure.requested",
            subject_kind="erasure",
            subject_id=asked,
            reason="Others were merged into a customer who is erased.",
            detail={"customer": subject, "merged": [key.external_id for key in gone]},
            now=now,
        )


def _document(keys: Sequence[RecordKey]) -> str:
    return orjson.dumps([{"number": number, **key._asdict()} for number, key in enumerate(keys)]).decode()
