"""The audit log: who did what, to what, and why. A row is written in the transaction of the deed itself.

Left behind: one row a deed, never changed. A process that dies in the middle leaves neither the deed nor its row.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, insert, select

from shared.db.tables import audit_log
from shared.ids import new_id


def record(
    connection: Connection,
    *,
    account_id: UUID | str | None,
    actor: str,
    action: str,
    subject_kind: str,
    subject_id: UUID | str,
    reason: str | None = None,
    detail: Mapping[str, Any] | None = None,
    now: datetime,
) -> UUID:
    """The id of the row that says so. `account_id` None is a deed above all accounts; `detail` holds no secret.

    `actor` is `key:<prefix>`, `cli:<login>` or `system`; `action` is `noun.verbed`, e.g. `subscription.rotated`.
    """
    row_id = new_id()
    connection.execute(
        insert(audit_log).values(
            id=row_id,
            account_id=None if account_id is None else UUID(str(account_id)),
            actor=actor,
            action=action,
            subject_kind=subject_kind,
            subject_id=str(subject_id),
            reason=reason,
            detail=dict(detail or {}),
            at=now,
        )
    )
    return row_id


def list_entries(
    connection: Connection,
    *,
    account_id: UUID | None,
    action: str | None = None,
    subject_id: str | None = None,
    before: UUID | None = None,
    limit: int = 50,
) -> list[dict[str, Any]]:
    """The newest rows first, older than `before`; `account_id` None: of every account and above them."""
    query = select(audit_log).order_by(audit_log.c.id.desc()).limit(limit)
    if account_id is not None:
        query = query.where(audit_log.c.account_id == account_id)
    if action is not None:
        query = query.where(audit_log.c.action == action)
    if subject_id is not None:
        query = query.where(audit_log.c.subject_id == subject_id)
    if before is not None:
        query = query.where(audit_log.c.id < before)
    return [dict(row) for row in connection.execute(query).mappings()]
