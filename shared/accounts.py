"""Accounts: the merchants that own everything else. The public API's `X-Admin-ID` names one by id or slug.

Left behind: rows in `accounts`, in the caller's transaction. A process that dies in the middle leaves nothing of it.
"""

import re
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects.postgresql import insert

from shared.db.tables import accounts
from shared.errors import Conflict, NotFound, Unacceptable
from shared.ids import new_id, parse_id

_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
TITLE_MAX = 200


def create(connection: Connection, *, slug: str, title: str = "", now: datetime) -> dict[str, Any]:
    """The new account: `{"id", "slug", "title", "created_at"}`. `title` empty: the slug.

    Raises:
        Unacceptable: the slug is not 1 to 63 of a-z, 0-9 and inner hyphens, or it reads as an id.
        Conflict: the slug is taken.
    """
    if not _SLUG.fullmatch(slug) or parse_id(slug) is not None:
        raise Unacceptable("slug_malformed", "A slug is 1 to 63 characters of a-z, 0-9 and inner hyphens.")
    row = (
        connection.execute(
            insert(accounts)
            .values(id=new_id(), slug=slug, title=_title(title or slug), created_at=now)
            .on_conflict_do_nothing(index_elements=["slug"])
            .returning(accounts)
        )
        .mappings()
        .one_or_none()
    )
    if row is None:
        raise Conflict("slug_taken", f"There is an account {slug!r} already.")
    return dict(row)


def get(connection: Connection, name: UUID | str) -> dict[str, Any]:
    """The account with this id or slug.

    Raises:
        NotFound: there is none.
    """
    found = find(connection, name)
    if found is None:
        raise NotFound("account")
    return found


def find(connection: Connection, name: UUID | str) -> dict[str, Any] | None:
    """The account with this id or slug, or None."""
    account_id = parse_id(name)
    which = accounts.c.id == account_id if account_id else accounts.c.slug == str(name)
    row = connection.execute(select(accounts).where(which)).mappings().one_or_none()
    return None if row is None else dict(row)


def list_accounts(connection: Connection, *, before: UUID | None = None, limit: int = 50) -> list[dict[str, Any]]:
    """The newest accounts first, older than `before`."""
    query = select(accounts).order_by(accounts.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(accounts.c.id < before)
    return [dict(row) for row in connection.execute(query).mappings()]


def retitle(connection: Connection, account_id: UUID, *, title: str) -> dict[str, Any]:
    """The account under its new title. Idempotent.

    Raises:
        NotFound: there is none.
    """
    row = (
        connection.execute(
            update(accounts).where(accounts.c.id == account_id).values(title=_title(title)).returning(accounts)
        )
        .mappings()
        .one_or_none()
    )
    if row is None:
        raise NotFound("account")
    return dict(row)


def _title(title: str) -> str:
    if not title.strip() or len(title) > TITLE_MAX:
        raise Unacceptable("title_malformed", f"A title has 1 to {TITLE_MAX} characters.")
    return title.strip()
