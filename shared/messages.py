"""Messages as people look at them: lists without bodies, one with its headers, its body and its events.

Only reads; nothing is left behind.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select

from shared.db.tables import events, messages
from shared.errors import NotFound
from shared.ids import floor_id

_LISTED = [column for column in messages.c if column.name not in ("body", "headers", "body_digest")]
EVENTS_SHOWN = 100


def list_messages(
    connection: Connection,
    *,
    account_id: UUID | None,
    states: Sequence[str] | None = None,
    source_id: UUID | None = None,
    provider: str | None = None,
    topic: str | None = None,
    tenant: str | None = None,
    delivery_key: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    before: UUID | None = None,
    limit: int = 50,
) -> list[dict[str, Any]]:
    """The newest messages first, older than `before`, without bodies; `account_id` None: of every account."""
    query = select(*_LISTED).order_by(messages.c.id.desc()).limit(limit)
    exact = {"source_id": source_id, "provider": provider, "topic": topic, "tenant": tenant}
    for name, value in {"account_id": account_id, "delivery_key": delivery_key, **exact}.items():
        if value is not None:
            query = query.where(messages.c[name] == value)
    if states is not None:
        query = query.where(messages.c.state.in_(list(states)))
    if since is not None:
        query = query.where(messages.c.id >= floor_id(since))
    if until is not None:
        query = query.where(messages.c.id < floor_id(until))
    if before is not None:
        query = query.where(messages.c.id < before)
    return [dict(row) for row in connection.execute(query).mappings()]


def get(connection: Connection, message_id: UUID, *, account_id: UUID | None) -> dict[str, Any]:
    """The message with its raw `body` (bytes, or None), `headers`, and `events` (`{"id", "type"}`, the first ones).

    `account_id` None: whosever it is.

    Raises:
        NotFound: there is none of this id in the account, or it is past the time it is kept for.
    """
    query = select(messages).where(messages.c.id == message_id)
    if account_id is not None:
        query = query.where(messages.c.account_id == account_id)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFound("message")
    made = select(events.c.id, events.c.type).where(events.c.message_id == message_id).order_by(events.c.id)
    shown = connection.execute(made.limit(EVENTS_SHOWN)).mappings()
    return {**row, "events": [dict(event) for event in shown]}
