"""Tells whom a change really refers to: somebody who was erased, or merged into another.

Comes in: changes, inside the caller's transaction. Comes out: the same. Those that refer to an erased person or to an
order of theirs, by way of an order or a parcel that we did not have when they were, are marked: the guard takes in
nothing personal of them. Those of somebody who was merged are the other's. Nothing is left behind. A mark that is
committed a moment later is not seen; the erasure looks again once this transaction, which has its id by now, has ended.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import orjson
from sqlalchemy import Connection, TextClause, text

from shared.record_changes import RecordChange, RecordKey
from shared.record_kinds import KINDS
from shared.users import MERGED_INTO
from workers.inbound.merges import HOPS
from workers.inbound.subjects import REFERENCES


def _statement(table: str) -> TextClause:
    return text(f"""
        SELECT k.number, CASE WHEN r.redacted_at IS NULL THEN r.attributes ->> '{MERGED_INTO}' END
        FROM json_to_recordset(CAST(:keys AS json))
            AS k (number integer, account_id uuid, provider text, tenant text, external_id text)
        JOIN {table} r USING (account_id, provider, tenant, external_id)
        WHERE r.redacted_at IS NOT NULL
            OR (r.deleted_at IS NOT NULL AND r.attributes ->> '{MERGED_INTO}' IS NOT NULL)
    """)


_GONE: Final = {kind: _statement(KINDS[kind].table) for _, kind in REFERENCES}


def marked(connection: Connection, changes: Sequence[RecordChange]) -> list[RecordChange]:
    """The changes, in their order."""
    found = list(changes)
    for field, kind in REFERENCES:
        referring = {
            at: change.key._replace(external_id=str(other))
            for at, change in enumerate(found)
            if change.kind.personal and (other := change.fields.get(field)) is not None
        }
        for _ in range(HOPS):
            if not referring:
                break
            gone = _gone(connection, kind, sorted(set(referring.values())))
            # What was marked a moment ago is not in the table yet.
            gone |= {change.key: None for change in found if change.is_of_forgotten and change.kind.name == kind}
            onward: dict[int, RecordKey] = {}
            for at, key in referring.items():
                if key not in gone:
                    continue
                kept = gone[key]
                if kept is None:
                    found[at] = replace(found[at], is_of_forgotten=True)
                else:
                    found[at] = replace(found[at], fields={**found[at].fields, field: kept})
                    onward[at] = key._replace(external_id=kept)
            referring = onward
    return found


def _gone(connection: Connection, kind: str, keys: list[RecordKey]) -> dict[RecordKey, str | None]:
    """Of these, whoever is erased, as `None`, and whoever was merged, as the id of who was kept."""
    asked = [{"number": number, **key._asdict()} for number, key in enumerate(keys)]
    rows = connection.execute(_GONE[kind], {"keys": orjson.dumps(asked).decode()}).all()
    return {keys[number]: kept for number, kept in rows}
