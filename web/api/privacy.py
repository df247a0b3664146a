"""/api/admin/exports and /api/admin/erasures: people who want to see their data, or to be forgotten.

Left behind: a request with its audit row, in one transaction; the task `privacy.run` carries it out. A process that
dies after the commit leaves that to beat.
"""

from typing import Any
from uuid import UUID

from flask import Response
from pydantic import Field

from shared import orders, privacy, queues
from shared.db.engine import transaction
from shared.errors import NotFound, Unacceptable
from shared.states import Role
from web.api.noun import noun
from web.auth import needs, scope
from web.context import here
from web.shapes import Answer, Form, IdPath, Instant, PageQuery, Pagination, Shape, answer, page

api = noun("Privacy", "People who want to see their data, or to be forgotten.", at="/api/admin")


class RequestQuery(PageQuery):
    """Which requests."""

    state: str | None = Field(None, description="requested or done; an erasure also held or refused.")


class AskExport(Form):
    """Whose data is to be written to a file."""

    provider: str
    tenant: str = Field("", description="The shop or seller.")
    customer: str = Field(description="The provider's id of the customer.")


class AskErasure(AskExport):
    """Who is to be forgotten."""

    customer: str = Field(description="The provider's id of the customer, or `*` for everything of the tenant.")
    orders: list[str] = Field([], description="Orders, by the provider's ids, to be redacted as well.")
    reason: str | None = Field(None, description="Kept in the audit log.")


class Asked(Shape):
    """What every request has."""

    id: UUID
    state: str
    provider: str
    tenant: str
    subject: str = Field(description="The provider's id of the customer, or `*`.")
    message_id: UUID | None = Field(description="The message that asked; null when a person did.")
    requested_at: Instant
    due_at: Instant = Field(description="When it has to be done by law.")
    finished_at: Instant | None


class Export(Asked):
    """A request for one's data."""

    sha256: str | None = Field(description="Of the file.")
    bytes: int | None
    path: str | None = Field(description="Of the file, below the data directory; null before and after it is there.")


class Erasure(Asked):
    """A request to be forgotten."""

    orders: list[str]
    counts: dict[str, int] = Field(description="What was erased.")


class ExportAnswer(Answer):
    """One export."""

    export: Export


class ExportsAnswer(Answer):
    """A page of exports."""

    exports: list[Export]
    pagination: Pagination


class ErasureAnswer(Answer):
    """One erasure."""

    erasure: Erasure


class ErasuresAnswer(Answer):
    """A page of erasures."""

    erasures: list[Erasure]
    pagination: Pagination


@api.get("/exports", responses={"200": ExportsAnswer})
@needs(Role.OPERATOR)
def list_exports(query: RequestQuery) -> Response:
    """List requests for one's data, newest first."""
    shown, pagination = _page("export", query)
    return answer(ExportsAnswer.model_validate({"exports": shown, "pagination": pagination}))


@api.post("/exports", responses={"202": ExportAnswer})
@needs(Role.ADMIN)
def ask_export(body: AskExport) -> Response:
    """Ask for a customer's data."""
    context, now = here(), here().now()
    with transaction(context.engine) as connection:
        made = privacy.ask_export(
            connection,
            account_id=scope().account_id,
            provider=body.provider,
            tenant=body.tenant,
            subject=body.customer,
            at=now,
        )
        row = privacy.get(connection, "export", made, account_id=scope().account_id)
        scope().note(connection, "export.requested", made, detail={"customer": body.customer}, now=now)
    orders.send(context.settings, queues.PRIVACY)
    return answer(ExportAnswer(export=Export.model_validate(row)), 202)


@api.get("/exports/<id>", responses={"200": ExportAnswer})
@needs(Role.OPERATOR)
def get_export(path: IdPath) -> Response:
    """Show a request for one's data."""
    with transaction(here().engine) as connection:
        row = privacy.get(connection, "export", path.uuid("export"), account_id=scope().account_id)
    return answer(ExportAnswer(export=Export.model_validate(row)))


@api.get(
    "/exports/<id>/file",
    responses={"200": {"description": "The file.", "content": {"application/json": {"schema": {"type": "object"}}}}},
)
@needs(Role.ADMIN)
def get_export_file(path: IdPath) -> Response:
    """Get all that is known of a customer, as JSON. That it was got is noted in the audit log."""
    context, now = here(), here().now()
    export_id = path.uuid("export")
    with transaction(context.engine) as connection:
        row = privacy.get(connection, "export", export_id, account_id=scope().account_id)
        if row["path"] is None:
            raise NotFound("file")
        scope().note(connection, "export.downloaded", export_id, now=now)
    try:
        content = (context.settings.data_dir / row["path"]).read_bytes()
    except OSError as error:
        raise Unacceptable("file_unreadable", "The file is not on this machine.", status=503) from error
    name = f"attachment; filename={export_id}.json"
    return Response(content, 200, {"Content-Disposition": name}, content_type="application/json")


@api.get("/erasures", responses={"200": ErasuresAnswer})
@needs(Role.OPERATOR)
def list_erasures(query: RequestQuery) -> Response:
    """List requests to be forgotten, newest first."""
    shown, pagination = _page("erasure", query)
    return answer(ErasuresAnswer.model_validate({"erasures": shown, "pagination": pagination}))


@api.post("/erasures", responses={"202": ErasureAnswer})
@needs(Role.ADMIN)
def ask_erasure(body: AskErasure) -> Response:
    """Erase a customer, or a whole shop. It cannot be taken back."""
    context, now = here(), here().now()
    with transaction(context.engine) as connection:
        made = privacy.ask_erasure(
            connection,
            account_id=scope().account_id,
            provider=body.provider,
            tenant=body.tenant,
            subject=body.customer,
            orders=body.orders,
            at=now,
        )
        row = privacy.get(connection, "erasure", made, account_id=scope().account_id)
        scope().note(
            connection, "erasure.requested", made, reason=body.reason, detail={"customer": body.customer}, now=now
        )
    orders.send(context.settings, queues.PRIVACY)
    return answer(ErasureAnswer(erasure=Erasure.model_validate(row)), 202)


@api.get("/erasures/<id>", responses={"200": ErasureAnswer})
@needs(Role.OPERATOR)
def get_erasure(path: IdPath) -> Response:
    """Show a request to be forgotten, and what was erased."""
    with transaction(here().engine) as connection:
        row = privacy.get(connection, "erasure", path.uuid("erasure"), account_id=scope().account_id)
    return answer(ErasureAnswer(erasure=Erasure.model_validate(row)))


def _page(noun_: privacy.Noun, query: RequestQuery) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    with transaction(here().engine) as connection:
        found = privacy.list_requests(
            connection,
            noun_,
            account_id=scope().account_id,
            state=query.state,
            before=query.cursor,
            limit=query.limit + 1,
        )
    return page(found, limit=query.limit)
