"""Tells what is said of people who were erased, by way of an order or a parcel that we did not have when they were.

Comes in: changes, inside the caller's transaction. Comes out: the same, those marked that refer to an erased person or
to an order of theirs: the guard takes in nothing personal of them. Nothing is left behind. A mark that is committed a
moment later is not seen; the erasure looks again once this transaction, which has its id by now, has ended.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import orjson
from sqlalchemy import Connection, TextClause, text

from shared.record_changes import RecordChange, RecordKey
from shared.record_kinds import KINDS
from workers.inbound.subjects import REFERENCES


def _statement(table: str) -> TextClause:
    return text(f"""
        SELECT k.number
        FROM json_to_recordset(CAST(:keys AS json))
            AS k (number integer, account_id uuid, provider text, tenant text, external_id text)
        JOIN {table} r USING (account_id, provider, tenant, external_id)
        WHERE r.redacted_at IS NOT NULL
    """)


_REDACTED: Final = {kind: _statement(KINDS[kind].table) for _, kind in REFERENCES}


def marked(connection: Connection, changes: Sequence[RecordChange]) -> list[RecordChange]:
    """The changes, in their order."""
    found = list(changes)
    for field, kind in REFERENCES:
        referring = {
            at: change.key._replace(external_id=str(other))
            for at, change in enumerate(found)
            if change.kind.personal and (other := change.fields.get(field)) is not None
        }
        if not referring:
            continue
        forgotten = _redacted(connection, kind, sorted(set(referring.values())))
        # What was marked a moment ago is not in the table yet.
        forgotten |= {change.key for change in found if change.is_of_forgotten and change.kind.name == kind}
        for at, key in referring.items():
            if key in forgotten:
                found[at] = replace(found[at], is_of_forgotten=True)
    return found


def _redacted(connection: Connection, kind: str, keys: list[RecordKey]) -> set[RecordKey]:
    asked = [{"number": number, **key._asdict()} for number, key in enumerate(keys)]
    numbers = connection.execute(_REDACTED[kind], {"keys": orjson.dumps(asked).decode()}).scalars()
    return {keys[number] for number in numbers}
