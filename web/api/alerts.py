"""/api/admin/alerts: what an operator should look at.

Resolving is one transaction with its audit row.
"""

from typing import Any
from uuid import UUID

from flask import Response
from pydantic import Field

from shared import alerts
from shared.db.engine import transaction
from shared.states import Role
from web.api.noun import noun
from web.auth import needs, scope
from web.context import here
from web.shapes import Answer, IdPath, Instant, PageQuery, Pagination, Shape, answer, page

api = noun("Alerts", "What an operator should look at.", at="/api/admin/alerts")


class AlertQuery(PageQuery):
    """Which alerts."""

    open: bool | None = Field(None, description="True: open ones; false: resolved ones.")
    kind: str | None = Field(None, description="e.g. `subscription.disabled`.")


class Alert(Shape):
    """Something to look at."""

    id: UUID
    kind: str
    severity: str = Field(description="warning or error.")
    subject_id: UUID | None = Field(description="What it is about.")
    message: str
    detail: dict[str, Any]
    created_at: Instant
    resolved_at: Instant | None


class AlertAnswer(Answer):
    """One alert."""

    alert: Alert


class AlertsAnswer(Answer):
    """A page of alerts."""

    alerts: list[Alert]
    pagination: Pagination


@api.get("", responses={"200": AlertsAnswer})
@needs(Role.VIEWER)
def list_alerts(query: AlertQuery) -> Response:
    """List alerts, newest first."""
    with transaction(here().engine) as connection:
        rows = alerts.list_alerts(
            connection,
            account_id=scope().account_id,
            is_open=query.open,
            kind=query.kind,
            before=query.cursor,
            limit=query.limit + 1,
        )
    shown, pagination = page(rows, limit=query.limit)
    return answer(AlertsAnswer.model_validate({"alerts": shown, "pagination": pagination}))


@api.post("/<id>/resolve", responses={"200": AlertAnswer})
@needs(Role.OPERATOR)
def resolve_alert(path: IdPath) -> Response:
    """Resolve an alert; it is raised anew when its cause shows again."""
    now = here().now()
    with transaction(here().engine) as connection:
        row = alerts.resolve_one(connection, path.uuid("alert"), account_id=scope().account_id, now=now)
        scope().note(connection, "alert.resolved", row["id"], detail={"kind": row["kind"]}, now=now)
    return answer(AlertAnswer(alert=Alert.model_validate(row)))
