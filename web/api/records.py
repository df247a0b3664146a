"""/api/admin/orders, products, inventory, ...: the records of every kind, as the providers' messages left them.

Only reads; nothing is left behind. Kinds that say something of a person are shown to operators only.
"""

from typing import Any, Final
from uuid import UUID

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from pydantic import BaseModel, Field, create_model

from shared import records
from shared.db.engine import transaction
from shared.record_kinds import RECORDS, Form, RecordKind
from shared.states import Role
from web.api.noun import noun
from web.auth import needs, scope
from web.context import here
from web.shapes import Answer, IdPath, Instant, Moment, PageQuery, Pagination, Shape, answer, page

api = noun("Records", "Orders, products and the rest, as providers tell of them.", at="/api/admin")

_TYPES: Final[dict[Form, Any]] = {
    Form.TEXT: str | None,
    Form.ID: str | None,
    Form.TIME: Instant | None,
    Form.MINOR: int | None,
    Form.COUNT: int | None,
    Form.NUMBER: float | None,
    Form.FLAG: bool,
    Form.OBJECT: dict[str, Any],
    Form.PART: dict[str, Any] | None,
    Form.TEXTS: list[str],
    Form.ITEMS: list[dict[str, Any]],
}


class RecordQuery(PageQuery):
    """Which records."""

    provider: str | None = Field(None, description="Of this provider.")
    tenant: str | None = Field(None, description="Of this shop or seller.")
    external_id: str | None = Field(None, description="The provider's id.")
    order_external_id: str | None = Field(None, description="Of the order with this id at the provider.")
    status: str | None = Field(None, description="In this status.")
    updated_after: Moment | None = Field(None, description="Changed after this instant.")
    deleted: bool = Field(False, description="Those deleted at the provider as well.")


class Timestamps(Shape):
    """When it came to be, by the provider's clock where it says so, and when we last heard news of it."""

    created_at: Instant
    updated_at: Instant


class Framed(Shape):
    """What every record has."""

    id: UUID
    external_id: str = Field(description="Its id at the provider.")
    provider: str
    tenant: str
    timestamps: Timestamps
    deleted_at: Instant | None = Field(description="When it was deleted at the provider; its fields are blank then.")
    redacted_at: Instant | None = Field(description="When its person was erased.")


def _shape(kind: RecordKind) -> type[BaseModel]:
    name = kind.name.capitalize()
    fields: dict[str, Any] = {field.name: (_TYPES[field.form], ...) for field in kind.fields}
    return create_model(name, __base__=Framed, __doc__=f"One of: {kind.title.lower()}.", **fields)


def _routes(blueprint: APIBlueprint, kind: RecordKind) -> None:
    shape = _shape(kind)
    field: dict[str, Any] = {kind.name: (shape, ...)}
    one: type[BaseModel] = create_model(f"{shape.__name__}Answer", __base__=Answer, __doc__="One record.", **field)
    many: type[BaseModel] = create_model(
        f"{shape.__name__}PageAnswer",
        __base__=Answer,
        __doc__="A page of records.",
        records=(list[shape], ...),  # type: ignore[valid-type]  # made just above
        pagination=(Pagination, ...),
    )
    role = Role.OPERATOR if kind.personal else Role.VIEWER

    def list_view(query: RecordQuery) -> Response:
        with transaction(here().engine) as connection:
            found = records.list_records(
                connection,
                kind,
                account_id=scope().account_id,
                provider=query.provider,
                tenant=query.tenant,
                external_id=query.external_id,
                order_external_id=query.order_external_id,
                status=query.status,
                updated_after=query.updated_after,
                with_deleted=query.deleted,
                before=query.cursor,
                limit=query.limit + 1,
            )
        rows, pagination = page(found, limit=query.limit)
        shown = [records.shown(kind, row) for row in rows]
        return answer(many.model_validate({"records": shown, "pagination": pagination}))

    def get_view(path: IdPath) -> Response:
        with transaction(here().engine) as connection:
            row = records.get(connection, kind, path.uuid(kind.name), account_id=scope().account_id)
        return answer(one.model_validate({kind.name: records.shown(kind, row)}))

    list_view.__name__, list_view.__doc__ = f"list_{kind.plural}", f"List {kind.title.lower()}, newest first."
    get_view.__name__, get_view.__doc__ = f"get_{kind.name}", f"Show one of: {kind.title.lower()}."
    blueprint.get(f"/{kind.plural}", responses={"200": many})(needs(role)(list_view))
    blueprint.get(f"/{kind.plural}/<id>", responses={"200": one})(needs(role)(get_view))


for _kind in RECORDS.values():
    _routes(api, _kind)
