"""/api/admin/integrations: the shops and sellers of a source, and their credentials, which are never shown.

Every write is one transaction with its audit row, and the ingress is told after its commit.
"""

from typing import Any, Literal
from uuid import UUID

from flask import Response
from pydantic import Field

from shared import integrations
from shared.db.engine import transaction
from shared.states import Role
from web.api.noun import noun
from web.auth import needs, scope
from web.context import here, publish_directory
from web.shapes import Answer, Done, Form, IdPath, Instant, PageQuery, Pagination, Shape, answer, page

NOUN = "integration"

api = noun("Integrations", "The shops and sellers of a source.", at="/api/admin/integrations")


class IntegrationQuery(PageQuery):
    """Which integrations."""

    source_id: UUID | None = Field(None, description="Of this source.")


class CreateIntegration(Form):
    """A new integration."""

    source_id: UUID
    external_id: str = Field(description="The shop as its provider names it, e.g. acme.myshopify.com.")
    credentials: dict[str, Any] | None = Field(None, description="Kept encrypted and never shown.")
    detail: dict[str, Any] = Field({}, description="What else is worth knowing; it is shown.")


class UpdateIntegration(Form):
    """What is to change; what is absent stays."""

    state: Literal["active", "disabled"] = "active"
    credentials: dict[str, Any] | None = Field(None, description="Null: forgotten.")
    detail: dict[str, Any] = Field({}, description="What else is worth knowing; it is shown.")


class Integration(Shape):
    """A shop or seller of a source."""

    id: UUID
    source_id: UUID
    external_id: str
    state: str
    has_credentials: bool
    credentials_end_at: Instant | None = Field(
        description="Then they end, unless a worker has renewed them before. Null: they do not end by themselves."
    )
    detail: dict[str, Any]
    created_at: Instant
    updated_at: Instant


class IntegrationAnswer(Answer):
    """One integration."""

    integration: Integration


class IntegrationsAnswer(Answer):
    """A page of integrations."""

    integrations: list[Integration]
    pagination: Pagination


@api.get("", responses={"200": IntegrationsAnswer})
@needs(Role.VIEWER)
def list_integrations(query: IntegrationQuery) -> Response:
    """List integrations, newest first."""
    with transaction(here().engine) as connection:
        rows = integrations.list_integrations(
            connection,
            here().ring,
            account_id=scope().account_id,
            source_id=query.source_id,
            before=query.cursor,
            limit=query.limit + 1,
        )
    shown, pagination = page(rows, limit=query.limit)
    return answer(IntegrationsAnswer.model_validate({"integrations": shown, "pagination": pagination}))


@api.post("", responses={"201": IntegrationAnswer})
@needs(Role.ADMIN)
def create_integration(body: CreateIntegration) -> Response:
    """Connect a shop or seller to a source."""
    context, now = here(), here().now()
    with transaction(context.engine) as connection:
        row = integrations.create(connection, context.ring, account_id=scope().account_id, now=now, **body.given())
        detail = {"sourceId": str(row["source_id"]), "externalId": row["external_id"]}
        scope().note(connection, "integration.created", row["id"], detail=detail, now=now)
    publish_directory()
    return answer(IntegrationAnswer(integration=Integration.model_validate(row)), 201)


@api.get("/<id>", responses={"200": IntegrationAnswer})
@needs(Role.VIEWER)
def get_integration(path: IdPath) -> Response:
    """Show an integration."""
    with transaction(here().engine) as connection:
        row = integrations.get(connection, here().ring, path.uuid(NOUN), account_id=scope().account_id)
    return answer(IntegrationAnswer(integration=Integration.model_validate(row)))


@api.patch("/<id>", responses={"200": IntegrationAnswer})
@needs(Role.ADMIN)
def update_integration(path: IdPath, body: UpdateIntegration) -> Response:
    """Change an integration; what is not sent stays as it is."""
    context, now = here(), here().now()
    with transaction(context.engine) as connection:
        row = integrations.change(
            connection,
            context.ring,
            path.uuid(NOUN),
            account_id=scope().account_id,
            changes=body.given(),
            now=now,
        )
        changed = {"fields": sorted(body.given()), "state": row["state"]}
        scope().note(connection, "integration.updated", row["id"], detail=changed, now=now)
    publish_directory()
    return answer(IntegrationAnswer(integration=Integration.model_validate(row)))


@api.delete("/<id>", responses={"200": Done})
@needs(Role.ADMIN)
def delete_integration(path: IdPath) -> Response:
    """Disconnect a shop or seller and forget its credentials."""
    now = here().now()
    with transaction(here().engine) as connection:
        integrations.remove(connection, path.uuid(NOUN), account_id=scope().account_id)
        scope().note(connection, "integration.deleted", path.uuid(NOUN), now=now)
    publish_directory()
    return answer(Done())
