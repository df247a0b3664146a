"""Documents made of what providers were asked, by path: what the API shows. A worker writes them elsewhere as well.

Left behind: a row in `documents`, in the caller's transaction. A process that dies in the middle leaves the one before.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects.postgresql import insert

from shared.db.upstream_tables import documents
from shared.errors import NotFound
from shared.ids import new_id

_SHOWN = tuple(column for column in documents.columns if column.name != "body")


def is_of(path: str, account_id: UUID | str) -> bool:
    """Whether the path is a plain one in the account's own folder, `users/<account>/`: no part leads elsewhere."""
    is_plain = path.isprintable() and "\\" not in path and not {"", ".", ".."} & set(path.split("/"))
    return is_plain and path.startswith(f"users/{account_id}/")


def put(connection: Connection, *, account_id: UUID, path: str, body: str, now: datetime) -> None:
    """Write the document over the one of its path.

    Raises:
        ValueError: the path is none of the account's own.
    """
    if not is_of(path, account_id):
        raise ValueError("the path is none of the account's own")
    raw = body.encode()
    written = {"body": body, "sha256": hashlib.sha256(raw).hexdigest(), "bytes": len(raw), "updated_at": now}
    values = {"id": new_id(), "account_id": account_id, "path": path, "created_at": now, **written}
    statement = insert(documents).values(**values)
    connection.execute(statement.on_conflict_do_update(index_elements=["path"], set_=written))


def list_documents(
    connection: Connection, *, account_id: UUID | None, prefix: str = "", before: UUID | None = None, limit: int = 50
) -> list[dict[str, Any]]:
    """The newest documents first, older than `before`, without their bodies; `account_id` None: of every account."""
    query = select(*_SHOWN).order_by(documents.c.id.desc()).limit(limit)
    if account_id is not None:
        query = query.where(documents.c.account_id == account_id)
    if prefix:
        query = query.where(documents.c.path.startswith(prefix, autoescape=True))
    if before is not None:
        query = query.where(documents.c.id < before)
    return [dict(row) for row in connection.execute(query).mappings()]


def paths_below(connection: Connection, prefix: str) -> list[str]:
    """The path of every document whose path begins so."""
    query = select(documents.c.path).where(documents.c.path.startswith(prefix, autoescape=True))
    return list(connection.execute(query).scalars())


def forget(connection: Connection, paths: Sequence[str]) -> int:
    """How many of the documents there were; none is left here, whatever was written elsewhere."""
    return connection.execute(delete(documents).where(documents.c.path.in_(paths))).rowcount


def read(connection: Connection, path: str, *, account_id: UUID | None) -> dict[str, Any]:
    """The document with its body.

    Raises:
        NotFound: there is none of this path in the account.
    """
    query = select(documents).where(documents.c.path == path)
    if account_id is not None:
        query = query.where(documents.c.account_id == account_id)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFound("document")
    return dict(row)
