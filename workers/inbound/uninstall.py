"""Lets go of a shop that has thrown the app out.

Comes in: whose it is and when that was, inside the caller's transaction. Left behind: the integration switched off, its
credentials gone, with an entry in the audit log and an alert, and none that its work fails. What was begun for it the
next order of upstream work gives up. A process that dies before the commit leaves nothing.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from shared import audit
from shared.alerts import raise_alert, resolve
from shared.upstream_work import Kind

# An uninstall may come after the next install; host names have no case.
_UNINSTALL = text("""
UPDATE integrations SET state = 'uninstalled', credentials = NULL, updated_at = :now
WHERE source_id = CAST(:source_id AS uuid) AND lower(external_id) = lower(:external_id) AND state <> 'uninstalled'
  AND coalesce(installed_at, created_at) <= :at
RETURNING id
""")


@dataclass(frozen=True, slots=True)
class Uninstalled:
    """Who says that an app is not in a shop any more."""

    account_id: UUID
    source_id: UUID
    provider: str
    external_id: str  # the shop
    at: datetime
    reason: str  # for the audit log
    message_id: UUID | None = None


def uninstall(connection: Connection, told: Uninstalled, *, now: datetime) -> None:
    """Switch the shop's integration off, unless it was connected after `told.at`. Idempotent."""
    values = {"source_id": str(told.source_id), "external_id": told.external_id, "at": told.at, "now": now}
    detail: dict[str, Any] = {"externalId": told.external_id}
    for integration_id in connection.execute(_UNINSTALL, values).scalars().all():
        audit.record(
            connection,
            account_id=told.account_id,
            actor="system",
            action="integration.uninstalled",
            subject_kind="integration",
            subject_id=integration_id,
            reason=told.reason,
            detail=detail if told.message_id is None else detail | {"messageId": str(told.message_id)},
            now=now,
        )
        for kind in Kind:  # what failed for it waits for nobody any more
            for trouble in ("failing", "incomplete"):
                resolve(connection, kind=f"{kind}.{trouble}", subject_id=integration_id, now=now)
        raise_alert(
            connection,
            account_id=told.account_id,
            kind="integration.uninstalled",
            severity="warning",
            subject_id=integration_id,
            message=f"{told.external_id} has uninstalled the app; its credentials are wiped.",
            detail=detail,
            now=now,
        )
