"""/api/admin/audit: who did what, and why. Only reads; nothing is left behind."""

from typing import Any
from uuid import UUID

from flask import Response
from pydantic import Field

from shared import audit
from shared.db.engine import transaction
from shared.states import Role
from web.api.noun import noun
from web.auth import Account, needs, scope
from web.context import here
from web.shapes import Answer, Instant, PageQuery, Pagination, Shape, answer, page

api = noun("Audit", "Who did what, and why.", at="/api/admin/audit")


class AuditQuery(PageQuery):
    """Which deeds."""

    action: str | None = Field(None, description="e.g. `subscription.rotated`.")
    subject_id: str | None = Field(None, description="To this.")


class Deed(Shape):
    """Something that was done."""

    id: UUID
    account_id: UUID | None
    actor: str = Field(description="`key:<prefix>`, `cli:<login>` or `system`.")
    action: str
    subject_kind: str
    subject_id: str
    reason: str | None
    detail: dict[str, Any]
    at: Instant


class AuditAnswer(Answer):
    """A page of deeds."""

    entries: list[Deed]
    pagination: Pagination


@api.get("", responses={"200": AuditAnswer})
@needs(Role.ADMIN, Account.ANY)
def list_audit(query: AuditQuery) -> Response:
    """List deeds, newest first; of every account and above them when none is named."""
    with transaction(here().engine) as connection:
        rows = audit.list_entries(
            connection,
            account_id=scope().account,
            action=query.action,
            subject_id=query.subject_id,
            before=query.cursor,
            limit=query.limit + 1,
        )
    shown, pagination = page(rows, limit=query.limit)
    return answer(AuditAnswer.model_validate({"entries": shown, "pagination": pagination}))
