"""Records other than users: their one JSON form, and how they are listed and found.

Comes in: rows, or what is asked for. Only reads; nothing is left behind.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select

from shared.db.tables import RECORD_TABLES
from shared.errors import NotFound
from shared.record_json import record_json, value_json
from shared.record_kinds import RecordKind
from shared.users import MERGED_INTO, user_json

LIMIT_DEFAULT = 50


def shown(kind: RecordKind, row: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON of a row as it stands: of a tombstone with all its fields blank, and when it was deleted or redacted."""
    found = user_json(row) if kind.name == "user" else record_json(kind, row)
    if kind.name == "user":
        found["mergedInto"] = row["attributes"].get(MERGED_INTO)
    return {**found, "deletedAt": value_json(row["deleted_at"]), "redactedAt": value_json(row["redacted_at"])}


def list_records(
    connection: Connection,
    kind: RecordKind,
    *,
    account_id: UUID | None,
    provider: str | None = None,
    tenant: str | None = None,
    external_id: str | None = None,
    order_external_id: str | None = None,
    status: str | None = None,
    updated_after: datetime | None = None,
    with_deleted: bool = False,
    before: UUID | None = None,
    limit: int = LIMIT_DEFAULT,
) -> list[dict[str, Any]]:
    """Rows of `kind`, newest first, older than `before`; `account_id` None: of every account.

    A filter on a field that the kind does not have finds nothing.
    """
    table = RECORD_TABLES[kind.name]
    query = select(table).order_by(table.c.id.desc()).limit(limit)
    wanted = {
        "account_id": account_id,
        "provider": provider,
        "tenant": tenant,
        "external_id": external_id,
        "order_external_id": order_external_id,
        "status": status,
    }
    for name, value in wanted.items():
        if value is None:
            continue
        if name not in table.c:
            return []
        query = query.where(table.c[name] == value)
    if updated_after is not None:
        query = query.where(table.c.updated_at > updated_after)
    if not with_deleted:
        query = query.where(table.c.deleted_at.is_(None))
    if before is not None:
        query = query.where(table.c.id < before)
    return [dict(row) for row in connection.execute(query).mappings()]


def get(connection: Connection, kind: RecordKind, record_id: UUID, *, account_id: UUID | None) -> dict[str, Any]:
    """The row of a record, tombstone or not; `account_id` None: whosever it is.

    Raises:
        NotFound: there is none of this id in the account.
    """
    table = RECORD_TABLES[kind.name]
    query = select(table).where(table.c.id == record_id)
    if account_id is not None:
        query = query.where(table.c.account_id == account_id)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFound(kind.name)
    return dict(row)
