"""Applies changes to users, set-based: one look, one insert, one update for a whole batch.

Comes in: changes in the order they hold, inside the caller's transaction. Left behind: the users as the version guard
says, locked until the commit. A process that dies before it leaves nothing.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import orjson
from sqlalchemy import Connection, text
from sqlalchemy.dialects import postgresql

from shared.db.tables import users
from workers.inbound.fields import UserChange, UserKey
from workers.inbound.guard import Applied, Row, apply

_DIALECT: Final = postgresql.dialect()  # type: ignore[no-untyped-call]
# SQLAlchemy's names are a subclass of str, which orjson refuses as keys.
_TYPES: Final = {f"{column.name}": column.type.compile(dialect=_DIALECT) for column in users.columns}
_COLUMNS: Final = tuple(_TYPES)
_FIXED: Final = ("id", "account_id", "provider", "tenant", "external_id")
_RECORD: Final = ", ".join(f"{name} {kind}" for name, kind in _TYPES.items())

# Locked in the order of ids, as every drain does, so that two that share users wait and never deadlock. What the key
# says is not asked for, and the id is text: making UUIDs of them costs more than the rest of the row.
_LOCK = text(f"""
SELECT k.number, CAST(u.id AS text), {", ".join(f"u.{name}" for name in _COLUMNS if name not in _FIXED)}
FROM json_to_recordset(CAST(:keys AS json))
    AS k (number integer, account_id uuid, provider text, tenant text, external_id text)
JOIN users u USING (account_id, provider, tenant, external_id)
ORDER BY u.id
FOR NO KEY UPDATE OF u
""")
_INSERT = text(f"""
INSERT INTO users ({", ".join(_COLUMNS)})
SELECT {", ".join(_COLUMNS)} FROM json_to_recordset(CAST(:rows AS json)) AS r ({_RECORD})
ON CONFLICT (account_id, provider, tenant, external_id) DO NOTHING
RETURNING id
""")
_UPDATE = text(f"""
UPDATE users u SET {", ".join(f"{name} = r.{name}" for name in _COLUMNS if name not in _FIXED)}
FROM json_to_recordset(CAST(:rows AS json)) AS r ({_RECORD})
WHERE u.id = r.id
""")


def apply_changes(connection: Connection, changes: Sequence[UserChange], *, now: datetime) -> list[Applied]:
    """Apply the changes in order; what each did, in the same order."""
    results: dict[int, Applied] = {}
    open_keys: dict[UserKey, list[int]] = {}
    for position, change in enumerate(changes):
        open_keys.setdefault(change.key, []).append(position)
    while open_keys:
        known = _lock(connection, sorted(open_keys))
        final: dict[UserKey, Row] = {}
        for key, positions in open_keys.items():
            row = known.get(key)
            for position in positions:
                applied = apply(row, changes[position], now=now)
                results[position] = applied
                row = applied.after
            if row is not None and row is not known.get(key):
                final[key] = row
        taken = _insert(connection, [final[key] for key in sorted(final) if key not in known])
        _update(connection, [final[key] for key in sorted(final) if key in known])
        # A key that another transaction inserted since we looked: look again, now that it has committed.
        open_keys = {
            key: positions
            for key, positions in open_keys.items()
            if key in final and key not in known and str(final[key]["id"]) not in taken
        }
    return [results[position] for position in range(len(changes))]


def _lock(connection: Connection, keys: list[UserKey]) -> dict[UserKey, Row]:
    asked = [{"number": number, **key._asdict()} for number, key in enumerate(keys)]
    rows = connection.execute(_LOCK, {"keys": orjson.dumps(asked).decode()}).all()
    return {keys[row[0]]: dict(zip(_COLUMNS, (row[1], *keys[row[0]], *row[2:]), strict=True)) for row in rows}


def _insert(connection: Connection, rows: list[Row]) -> set[str]:
    if not rows:
        return set()
    return {str(value) for value in connection.execute(_INSERT, _document(rows)).scalars()}


def _update(connection: Connection, rows: list[Row]) -> None:
    if rows:
        connection.execute(_UPDATE, _document(rows))


def _document(rows: list[Row]) -> dict[str, Any]:
    return {"rows": orjson.dumps(rows).decode()}
