"""Applies changes to records, set-based: of each kind one look, one insert and one update for a whole batch.

Comes in: changes in the order they hold, inside the caller's transaction. Left behind: the records as the version guard
says, locked until the commit, and an erasure where a merge asks for one (`merges`). A process that dies before the
commit leaves nothing.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import orjson
from sqlalchemy import Connection, Table, TextClause, text
from sqlalchemy.dialects import postgresql

from shared.db.tables import RECORD_TABLES
from shared.record_changes import RecordChange, RecordKey
from shared.record_kinds import KINDS, ORDER, SHIPMENT, USER
from workers.inbound import forgotten, merges, shipped_orders
from workers.inbound.guard import Applied, Effect, Row, apply

_DIALECT: Final = postgresql.dialect()  # type: ignore[no-untyped-call]
# In which all lock. Users first: they are what most messages are about. An order may follow its shipments.
_FIRST: Final = (USER.name, SHIPMENT.name, ORDER.name)
_LOCKED: Final = (*_FIRST, *(name for name in KINDS if name not in _FIRST))
_FIXED: Final = ("id", "account_id", "provider", "tenant", "external_id")


@dataclass(frozen=True, slots=True)
class _Statements:
    """What one record table is read and written with."""

    columns: tuple[str, ...]  # those of the key first
    lock: TextClause
    insert: TextClause
    update: TextClause


def _statements(table: Table) -> _Statements:
    # SQLAlchemy's names are a subclass of str, which orjson refuses as keys.
    types = {f"{column.name}": column.type.compile(dialect=_DIALECT) for column in table.columns}
    columns, rest = tuple(types), [name for name in types if name not in _FIXED]
    record = ", ".join(f"{name} {kind}" for name, kind in types.items())
    name = table.name
    return _Statements(
        columns=(*_FIXED, *rest),
        # Locked in the order of ids, as every drain does, so that two that share records wait and never deadlock. What
        # the key says is not asked for, and the id is text: making UUIDs of them costs more than the rest of the row.
        lock=text(f"""
            SELECT k.number, CAST(r.id AS text), {", ".join(f"r.{column}" for column in rest)}
            FROM json_to_recordset(CAST(:keys AS json))
                AS k (number integer, account_id uuid, provider text, tenant text, external_id text)
            JOIN {name} r USING (account_id, provider, tenant, external_id)
            ORDER BY r.id
            FOR NO KEY UPDATE OF r
        """),
        insert=text(f"""
            INSERT INTO {name} ({", ".join(columns)})
            SELECT {", ".join(columns)} FROM json_to_recordset(CAST(:rows AS json)) AS r ({record})
            ON CONFLICT (account_id, provider, tenant, external_id) DO NOTHING
            RETURNING id
        """),
        update=text(f"""
            UPDATE {name} u SET {", ".join(f"{column} = r.{column}" for column in rest)}
            FROM json_to_recordset(CAST(:rows AS json)) AS r ({record})
            WHERE u.id = r.id
        """),
    )


_STATEMENTS: Final[Mapping[str, _Statements]] = {name: _statements(RECORD_TABLES[name]) for name in KINDS}


def apply_changes(connection: Connection, changes: Sequence[RecordChange], *, now: datetime) -> list[Applied]:
    """Apply the changes in order; what each did, in the same order.

    Kinds are gone through in one order for all drains, users first: whose the others are may follow from them. An order
    may have to follow what became of a shipment or of its customer, and is one of the `consequences` of that.
    """
    given, changes = len(changes), forgotten.marked(connection, changes)
    results: dict[int, Applied] = {}
    by_kind: dict[str, dict[RecordKey, list[int]]] = {}
    for position, change in enumerate(changes):
        by_kind.setdefault(change.kind.name, {}).setdefault(change.key, []).append(position)
    causes: dict[int, int] = {}
    gone: dict[RecordKey, int] = {}
    for name in _LOCKED:
        if name == ORDER.name:  # with the orders of the batch itself: all are locked together, in one order
            told = [*merges.consequences(connection, changes, gone, now=now)]
            told += _of_shipments(changes, by_kind.get(SHIPMENT.name, {}), results)
            causes = _follow(changes, by_kind, told)
        if name not in by_kind:
            continue
        results |= _apply(connection, _STATEMENTS[name], changes, by_kind[name], now=now)
        if name == USER.name and (gone := merges.merged(changes, results)):
            changes = forgotten.marked(connection, changes)
    for position, cause in causes.items():
        one = results[cause]
        told_of = (changes[position], results[position])
        results[cause] = replace(one, consequences=(*one.consequences, told_of))
    return [results[position] for position in range(given)]


def _of_shipments(
    changes: Sequence[RecordChange], shipments: Mapping[RecordKey, Sequence[int]], results: Mapping[int, Applied]
) -> Iterator[tuple[int, RecordChange]]:
    """What orders are to hear of the shipments that changed, each with the position of its cause."""
    for cause in itertools.chain.from_iterable(shipments.values()):
        one = results[cause]
        if one.after is not None and one.effect in (Effect.CREATED, Effect.UPDATED):
            for change in shipped_orders.consequences(changes[cause], one.before, one.after):
                yield cause, change


def _follow(
    changes: list[RecordChange],
    by_kind: dict[str, dict[RecordKey, list[int]]],
    consequences: Sequence[tuple[int, RecordChange]],
) -> dict[int, int]:
    """Add to the changes what orders are to hear; by position of each, that of its cause.

    It comes right behind its cause, so that a message's own word on the order is known by then.
    """
    causes: dict[int, int] = {}
    for cause, change in consequences:
        causes[len(changes)] = cause
        by_kind.setdefault(ORDER.name, {}).setdefault(change.key, []).append(len(changes))
        changes.append(change)
    for key in {changes[position].key for position in causes}:
        by_kind[ORDER.name][key].sort(key=lambda position: (causes.get(position, position), position))
    return causes


def _apply(
    connection: Connection,
    statements: _Statements,
    changes: Sequence[RecordChange],
    open_keys: dict[RecordKey, list[int]],
    *,
    now: datetime,
) -> dict[int, Applied]:
    """Apply the changes of one kind, which are at `open_keys`; by position, what each did."""
    results: dict[int, Applied] = {}
    while open_keys:
        known = _lock(connection, statements, sorted(open_keys))
        final: dict[RecordKey, Row] = {}
        for key, positions in open_keys.items():
            row = known.get(key)
            for position in positions:
                applied = apply(row, changes[position], now=now)
                results[position] = applied
                row = applied.after
            if row is not None and row is not known.get(key):
                final[key] = row
        taken = _insert(connection, statements, [final[key] for key in sorted(final) if key not in known])
        _update(connection, statements, [final[key] for key in sorted(final) if key in known])
        # A key that another transaction inserted since we looked: look again, now that it has committed.
        open_keys = {
            key: positions
            for key, positions in open_keys.items()
            if key in final and key not in known and str(final[key]["id"]) not in taken
        }
    return results


def _lock(connection: Connection, statements: _Statements, keys: list[RecordKey]) -> dict[RecordKey, Row]:
    asked = [{"number": number, **key._asdict()} for number, key in enumerate(keys)]
    rows = connection.execute(statements.lock, {"keys": orjson.dumps(asked).decode()}).all()
    columns = statements.columns
    return {keys[row[0]]: dict(zip(columns, (row[1], *keys[row[0]], *row[2:]), strict=True)) for row in rows}


def _insert(connection: Connection, statements: _Statements, rows: list[Row]) -> set[str]:
    if not rows:
        return set()
    return {str(value) for value in connection.execute(statements.insert, _document(rows)).scalars()}


def _update(connection: Connection, statements: _Statements, rows: list[Row]) -> None:
    if rows:
        connection.execute(statements.update, _document(rows))


def _document(rows: list[Row]) -> dict[str, Any]:
    return {"rows": orjson.dumps(rows).decode()}
