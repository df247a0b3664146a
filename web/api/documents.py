"""/api/admin/documents: what was read of providers, as JSON documents by path. Only reads; nothing is left behind."""

from flask import Response
from pydantic import BaseModel, Field

from shared import documents
from shared.db.engine import transaction
from shared.states import Role
from web.api.noun import noun
from web.auth import needs, scope
from web.context import here
from web.shapes import Answer, Instant, PageQuery, Pagination, Shape, answer, page

api = noun("Documents", "What was read of a provider, e.g. a shop's products.", at="/api/admin/documents")


class DocumentQuery(PageQuery):
    """Which documents."""

    prefix: str = Field("", max_length=500, description="Whose path begins so.")


class DocumentPath(BaseModel):
    """A path with a document's own path in it."""

    path: str = Field(description="The document's path, e.g. users/.../shopify/.../shop_products.json.")


class Document(Shape):
    """A document without its content."""

    path: str
    bytes: int
    sha256: str = Field(description="Of the content.")
    created_at: Instant
    updated_at: Instant


class DocumentsAnswer(Answer):
    """A page of documents."""

    documents: list[Document]
    pagination: Pagination


@api.get("", responses={"200": DocumentsAnswer})
@needs(Role.VIEWER)
def list_documents(query: DocumentQuery) -> Response:
    """List documents, newest first."""
    with transaction(here().engine) as connection:
        rows = documents.list_documents(
            connection,
            account_id=scope().account_id,
            prefix=query.prefix,
            before=query.cursor,
            limit=query.limit + 1,
        )
    shown, pagination = page(rows, limit=query.limit)
    return answer(DocumentsAnswer.model_validate({"documents": shown, "pagination": pagination}))


@api.get("/<path:path>", responses={"200": {"content": {"application/json": {"schema": {}}}}})
@needs(Role.VIEWER)
def read_document(path: DocumentPath) -> Response:
    """Read a document; its ETag is the SHA-256 of what it says."""
    with transaction(here().engine) as connection:
        row = documents.read(connection, path.path, account_id=scope().account_id)
    response = Response(row["body"], 200, content_type="application/json")
    response.set_etag(row["sha256"])
    response.last_modified = row["updated_at"]
    return response
