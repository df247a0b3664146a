"""/healthz and /metrics: for machines that watch. Only reads; nothing is left behind.

/metrics counts over all accounts. It is open to a direct caller on this machine, and else needs a key that reaches
every account; a request that a proxy passed on is not a direct one.
"""

from flask import Response, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from sqlalchemy import text

from shared import metrics
from shared.db.engine import transaction
from shared.errors import Forbidden
from shared.states import Role
from web.auth import authenticated, open_to_all
from web.context import here
from web.shapes import ErrorAnswer, Shape, answer

api = APIBlueprint("health", __name__, abp_tags=[Tag(name="Health", description="For machines that watch.")])

_LOOPBACK = ("127.0.0.1", "::1")
_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via")


class Health(Shape):
    """How the console is."""

    status: str


@api.get("/healthz", responses={"200": Health, "503": ErrorAnswer})
@open_to_all
def healthz() -> Response:
    """Say whether the console answers and reaches its database."""
    with transaction(here().engine) as connection:
        connection.execute(text("SELECT 1"))
    return answer(Health(status="ok"))


@api.get(
    "/metrics",
    responses={
        "200": {"content": {"text/plain": {"schema": {"type": "string"}}}},
        "401": ErrorAnswer,
        "403": ErrorAnswer,
    },
)
@open_to_all
def show_metrics() -> Response:
    """Show the counters, in the Prometheus text format."""
    direct = request.remote_addr in _LOOPBACK and not any(name in request.headers for name in _FORWARDED)
    if not direct or "Authorization" in request.headers:
        principal = authenticated()
        if principal.account_id is not None or not principal.may(Role.VIEWER):
            raise Forbidden("account_forbidden", "This needs a key that reaches every account.")
    context = here()
    with transaction(context.engine) as connection:
        scrape = metrics.render(connection, context.client, now=context.now())
    return Response(scrape, content_type=metrics.CONTENT_TYPE)
