"""Alerts: what an operator should look at. One is open for each kind and subject; it is resolved, never deleted.

Left behind: rows in `alerts`, in the caller's transaction. A process that dies in the middle leaves nothing of it.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from sqlalchemy import Connection, insert, select, update

from shared.db.tables import alerts
from shared.errors import NotFound
from shared.ids import new_id

# About a topic that posts to a source, the subject being the message that told of it; detail: topic, sourceId.
TOPIC_UNCONFIRMED: Final = "topic.unconfirmed"
TOPIC_DISCONNECTED: Final = "topic.disconnected"


def raise_alert(
    connection: Connection,
    *,
    account_id: UUID | str | None,
    kind: str,
    severity: Literal["warning", "error"],
    subject_id: UUID | str | None,
    message: str,
    detail: Mapping[str, Any] | None = None,
    now: datetime,
) -> UUID:
    """The id of the open alert of this kind about this subject: a new one, or the open one brought up to date.

    Idempotent. `message` is a sentence for people, `detail` holds no secret.
    """
    subject = None if subject_id is None else UUID(str(subject_id))
    account = None if account_id is None else UUID(str(account_id))
    values = {"severity": severity, "message": message, "detail": dict(detail or {})}
    found = connection.execute(
        update(alerts)
        .where(
            alerts.c.resolved_at.is_(None),
            alerts.c.kind == kind,
            alerts.c.subject_id.is_not_distinct_from(subject),
            alerts.c.account_id.is_not_distinct_from(account),
        )
        .values(**values)
        .returning(alerts.c.id)
    ).scalar()
    if found is not None:
        return UUID(str(found))
    alert_id = new_id()
    connection.execute(
        insert(alerts).values(id=alert_id, account_id=account, kind=kind, subject_id=subject, created_at=now, **values)
    )
    return alert_id


def resolve(connection: Connection, *, kind: str, subject_id: UUID | str, now: datetime) -> int:
    """How many open alerts of this kind about this subject were resolved. Idempotent."""
    return connection.execute(
        update(alerts)
        .where(alerts.c.resolved_at.is_(None), alerts.c.kind == kind, alerts.c.subject_id == UUID(str(subject_id)))
        .values(resolved_at=now)
    ).rowcount


def resolve_one(connection: Connection, alert_id: UUID, *, account_id: UUID, now: datetime) -> dict[str, Any]:
    """The alert, resolved; one that was resolved before keeps its time. Idempotent.

    Raises:
        NotFound: there is none of this id in the account.
    """
    row = (
        connection.execute(
            select(alerts).where(alerts.c.id == alert_id, alerts.c.account_id == account_id).with_for_update()
        )
        .mappings()
        .one_or_none()
    )
    if row is None:
        raise NotFound("alert")
    resolved_at = row["resolved_at"] or now
    connection.execute(update(alerts).where(alerts.c.id == alert_id).values(resolved_at=resolved_at))
    return {**row, "resolved_at": resolved_at}


def list_alerts(
    connection: Connection,
    *,
    account_id: UUID | None,
    is_open: bool | None = None,
    kind: str | None = None,
    before: UUID | None = None,
    limit: int = 50,
) -> list[dict[str, Any]]:
    """The newest alerts first, older than `before`; `account_id` None: of every account."""
    query = select(alerts).order_by(alerts.c.id.desc()).limit(limit)
    if account_id is not None:
        query = query.where(alerts.c.account_id == account_id)
    if is_open is not None:
        query = query.where(alerts.c.resolved_at.is_(None) if is_open else alerts.c.resolved_at.is_not(None))
    if kind is not None:
        query = query.where(alerts.c.kind == kind)
    if before is not None:
        query = query.where(alerts.c.id < before)
    return [dict(row) for row in connection.execute(query).mappings()]
