"""/api/admin/events and /api/admin/event-types: what messages meant in our words, and the words there are.

Only reads; nothing is left behind.
"""

from typing import Any
from uuid import UUID

import orjson
from flask import Response
from pydantic import Field
from sqlalchemy import select

from shared.db.engine import transaction
from shared.db.tables import events
from shared.errors import NotFound
from shared.event_schemas import event_schema
from shared.event_types import CATALOGUE
from shared.ids import floor_id
from shared.states import Role
from web.api.noun import noun
from web.auth import Account, needs, scope
from web.context import here
from web.shapes import Answer, IdPath, Instant, Moment, PageQuery, Pagination, Shape, answer, page

api = noun("Events", "What messages meant, in our words.", at="/api/admin")

_LISTED = [column for column in events.c if column.name != "body"]


class EventQuery(PageQuery):
    """Which events."""

    type: str | None = Field(None, description="Of this type.")
    message_id: UUID | None = Field(None, description="That this message meant.")
    source_id: UUID | None = Field(None, description="That came in through this source.")
    subject_id: UUID | None = Field(None, description="About this record.")
    since: Moment | None = Field(None, description="Made at or after this instant.")
    until: Moment | None = Field(None, description="Made before this instant.")


class Event(Shape):
    """One event."""

    id: UUID = Field(description="The `webhook-id` header of every delivery of it.")
    type: str
    message_id: UUID | None = Field(description="What it came from; null for our own.")
    source_id: UUID | None
    subject_kind: str | None
    subject_id: UUID | None
    occurred_at: Instant
    created_at: Instant


class EventDetail(Event):
    """One event with its envelope."""

    body: dict[str, Any] | None = Field(description="What is sent; null for viewers.")


class EventAnswer(Answer):
    """One event."""

    event: EventDetail


class EventsAnswer(Answer):
    """A page of events."""

    events: list[Event]
    pagination: Pagination


class EventKind(Shape):
    """One event type."""

    type: str
    description: str
    reserved: bool = Field(description="It may be subscribed to already, but nothing emits it yet.")
    data: dict[str, Any] = Field(description="An example of the envelope's `data`.")
    json_schema: dict[str, Any] = Field(alias="schema", description="The JSON Schema of the whole envelope.")


class EventTypesAnswer(Answer):
    """Every event type."""

    event_types: list[EventKind]


@api.get("/events", responses={"200": EventsAnswer})
@needs(Role.VIEWER)
def list_events(query: EventQuery) -> Response:
    """List events, newest first, without their bodies."""
    asked = select(*_LISTED).where(events.c.account_id == scope().account_id)
    for name in ("type", "message_id", "source_id", "subject_id"):
        if (value := getattr(query, name)) is not None:
            asked = asked.where(events.c[name] == value)
    if query.since is not None:
        asked = asked.where(events.c.id >= floor_id(query.since))
    if query.until is not None:
        asked = asked.where(events.c.id < floor_id(query.until))
    if query.cursor is not None:
        asked = asked.where(events.c.id < query.cursor)
    with transaction(here().engine) as connection:
        rows = connection.execute(asked.order_by(events.c.id.desc()).limit(query.limit + 1)).mappings()
        found = [dict(row) for row in rows]
    shown, pagination = page(found, limit=query.limit)
    return answer(EventsAnswer.model_validate({"events": shown, "pagination": pagination}))


@api.get("/events/<id>", responses={"200": EventAnswer})
@needs(Role.VIEWER)
def get_event(path: IdPath) -> Response:
    """Show an event and, to operators, its envelope."""
    asked = select(events).where(events.c.id == path.uuid("event"), events.c.account_id == scope().account_id)
    with transaction(here().engine) as connection:
        row = connection.execute(asked).mappings().one_or_none()
    if row is None:
        raise NotFound("event")
    body = orjson.loads(row["body"]) if scope().principal.may(Role.OPERATOR) else None
    return answer(EventAnswer(event=EventDetail.model_validate({**row, "body": body})))


@api.get("/event-types", responses={"200": EventTypesAnswer})
@needs(Role.VIEWER, Account.ANY)
def list_event_types() -> Response:
    """List every event type, with its JSON Schema and an example of each."""
    kinds = [
        EventKind.model_validate(
            {
                "type": name,
                "description": kind.description,
                "reserved": kind.reserved,
                "data": kind.data,
                "schema": event_schema(name),
            }
        )
        for name, kind in CATALOGUE.items()
    ]
    return answer(EventTypesAnswer(event_types=kinds))
