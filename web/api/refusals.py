"""/api/admin/refusals: requests that were turned away at the ingress, and why. Only reads; nothing is left behind.

The log is bounded and shared by all accounts; a key sees those of its account's sources, and one that reaches every
account sees also those of paths that no source has.
"""

from flask import Response
from pydantic import Field

from shared import refusals
from shared.states import Role
from web.api.noun import noun
from web.auth import Account, needs, scope
from web.context import here
from web.shapes import LIMIT_DEFAULT, LIMIT_MAX, Answer, Form, Pagination, Shape, answer, page

api = noun("Refusals", "Requests that were turned away.", at="/api/admin/refusals")


class RefusalQuery(Form):
    """Which page of refusals."""

    limit: int = Field(LIMIT_DEFAULT, ge=1, le=LIMIT_MAX, description="Rows on the page.")
    cursor: str | None = Field(None, pattern=r"^\d{1,18}-\d{1,18}$", description="`nextCursor` of the page before.")


class RefusalShape(Shape):
    """A request that was turned away."""

    id: str
    at: str
    code: str
    message: str
    status: int
    method: str
    path: str
    provider: str | None
    source_id: str | None
    remote_addr: str
    headers: dict[str, str] = Field(description="Credentials are gone, signatures shortened; empty for viewers.")
    body_bytes: int
    body_digest: str = Field(description="SHA-256.")
    body_start: str | None = Field(description="The first bytes; null for viewers.")


class RefusalsAnswer(Answer):
    """A page of refusals."""

    refusals: list[RefusalShape]
    pagination: Pagination


@api.get("", responses={"200": RefusalsAnswer})
@needs(Role.VIEWER, Account.ANY)
def list_refusals(query: RefusalQuery) -> Response:
    """List refused requests, newest first."""
    account = None if scope().account is None else str(scope().account)
    rows = refusals.recent(here().client, query.limit + 1, query.cursor, account_id=account)
    if not scope().principal.may(Role.OPERATOR):
        rows = [{**row, "headers": {}, "bodyStart": None} for row in rows]
    shown, pagination = page(rows, limit=query.limit)
    return answer(RefusalsAnswer.model_validate({"refusals": shown, "pagination": pagination}))
