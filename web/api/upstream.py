"""/api/webhooks/register/{id} and /api/admin/integrations/{id}/...: what is done at an integration's provider.

A request only asks: in one transaction with its audit row the work is due, and after it a worker is told. A process
that dies in between leaves that to beat, which looks every few seconds.
"""

from typing import Any

from flask import Response
from pydantic import Field

from shared import integrations, orders, queues, registrations, upstream_work
from shared.db.engine import transaction
from shared.states import Role
from shared.upstream_work import Kind
from web.api.noun import noun
from web.auth import needs, scope
from web.context import here
from web.shapes import Answer, IdPath, Instant, Shape, answer

NOUN = "integration"

api = noun("Integrations", "The shops and sellers of a source.", at="/api", part="_upstream")


class Work(Shape):
    """How one kind of work at the provider stands."""

    kind: str = Field(description="registration, trial, sync or inquiry.")
    state: str = Field(description="waiting, running, done or failed.")
    due_at: Instant | None
    tries: int = Field(description="Failures in a row.")
    result: dict[str, Any] = Field(description="Of the last time it was done.")
    error_code: str | None
    error: str | None
    started_at: Instant | None
    finished_at: Instant | None = Field(description="When it was last done.")


class Registration(Shape):
    """How one topic stands at the provider."""

    topic: str
    state: str = Field(description="registered, refused, or by_hand: a person enters it there.")
    external_id: str | None
    address: str | None
    note: str | None = Field(
        description="Why it is refused, what to enter where, or in which other version it is sent."
    )
    drops: int = Field(description="How often the provider had dropped it, and it was put back.")
    registered_at: Instant | None
    checked_at: Instant


class UpstreamAnswer(Answer):
    """What is done and registered at the provider, as of now."""

    work: list[Work]
    registrations: list[Registration]


@api.post("/webhooks/register/<id>", responses={"202": UpstreamAnswer})
@needs(Role.ADMIN)
def register_webhooks(path: IdPath) -> Response:
    """Have an integration's webhooks registered at its provider; safe to repeat."""
    return _ask(path, Kind.REGISTRATION)


@api.post("/admin/integrations/<id>/test", responses={"202": UpstreamAnswer})
@needs(Role.OPERATOR)
def test_webhooks(path: IdPath) -> Response:
    """Have a signed webhook sent the whole way to our public address, as the provider would."""
    return _ask(path, Kind.TRIAL)


@api.post("/admin/integrations/<id>/sync", responses={"202": UpstreamAnswer})
@needs(Role.OPERATOR)
def sync_integration(path: IdPath) -> Response:
    """Have an integration's data read whole at its provider, now."""
    return _ask(path, Kind.SYNC)


@api.get("/admin/integrations/<id>/upstream", responses={"200": UpstreamAnswer})
@needs(Role.VIEWER)
def show_upstream(path: IdPath) -> Response:
    """Show what is done and registered at an integration's provider."""
    with transaction(here().engine) as connection:
        row = integrations.get(connection, here().ring, path.uuid(NOUN), account_id=scope().account_id)
        return _standing(connection, row, 200)


def _ask(path: IdPath, kind: Kind) -> Response:
    context, now = here(), here().now()
    with transaction(context.engine) as connection:
        row = integrations.get(connection, here().ring, path.uuid(NOUN), account_id=scope().account_id)
        upstream_work.ask_for(connection, row, kind, now=now)
        scope().note(connection, f"integration.{kind}_asked", row["id"], now=now)
        asked = _standing(connection, row, 202)
    orders.send(context.settings, queues.UPSTREAM_WORK)
    return asked


def _standing(connection: Any, row: dict[str, Any], status: int) -> Response:
    found = {
        "work": upstream_work.standing(connection, row["id"]),
        "registrations": registrations.list_registrations(connection, row["id"]),
    }
    return answer(UpstreamAnswer.model_validate(found), status)
