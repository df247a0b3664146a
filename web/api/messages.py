"""/api/admin/messages, and /api/webhooks, which the public contract calls it: what providers sent.

Only reads; nothing is left behind. Bodies and headers are shown to operators only, since they are customers' data.
"""

from typing import Any, Self
from uuid import UUID

from flask import Response
from pydantic import Field

from shared import messages
from shared.db.engine import transaction
from shared.states import MessageState, Role
from web.api.noun import noun
from web.auth import needs, scope
from web.context import here
from web.shapes import Answer, IdPath, Instant, Moment, PageQuery, Pagination, Shape, answer, as_text, page

api = noun("Messages", "What providers sent, raw.", at="/api")


class MessageQuery(PageQuery):
    """Which messages."""

    state: list[MessageState] | None = Field(None, description="In this state; may be repeated.")
    source: UUID | None = Field(None, description="That came in through this source, by id.")
    provider: str | None = None
    topic: str | None = Field(None, description="The provider's word, e.g. `customers/create`.")
    tenant: str | None = Field(None, description="Of this shop or seller.")
    delivery_key: str | None = Field(None, description="The provider's own id of the delivery.")
    since: Moment | None = Field(None, description="Received at or after this instant.")
    until: Moment | None = Field(None, description="Received before this instant.")


class Message(Shape):
    """What a provider sent, without its body."""

    id: UUID = Field(description="What the provider was told when it was accepted.")
    source_id: UUID
    provider: str
    topic: str | None
    tenant: str
    delivery_key: str | None
    state: str = Field(description="processed, ignored, stale, duplicate or failed.")
    reason_code: str | None
    reason: str | None
    duplicate_of: UUID | None
    events_count: int
    replays: int
    received_at: Instant
    occurred_at: Instant | None
    processed_at: Instant


class EventOf(Shape):
    """An event that a message meant."""

    id: UUID
    type: str


class MessageDetail(Message):
    """What a provider sent."""

    method: str
    path: str
    body_sha256: str
    headers: Any | None = Field(description="As received; null for viewers.")
    body: str | None = Field(description="As received; null for viewers, and for a repeat.")
    body_encoding: str | None = Field(description="utf-8, or base64 where the bytes are no text.")
    events: list[EventOf]

    @classmethod
    def of(cls, row: dict[str, Any], *, in_full: bool) -> Self:
        """The shape of what `shared.messages.get` gives."""
        body, encoding = as_text(row["body"]) if in_full and row["body"] is not None else (None, None)
        more = {"body": body, "body_encoding": encoding, "headers": row["headers"] if in_full else None}
        return cls.model_validate({**row, "body_sha256": bytes(row["body_digest"]).hex(), **more})


class MessageAnswer(Answer):
    """One message."""

    message: MessageDetail


class MessagesAnswer(Answer):
    """A page of messages."""

    messages: list[Message]
    pagination: Pagination


class WebhookEventsAnswer(Answer):
    """A page of messages, as the public contract names them."""

    events: list[Message]
    pagination: Pagination


@api.get("/admin/messages", responses={"200": MessagesAnswer})
@needs(Role.VIEWER)
def list_messages(query: MessageQuery) -> Response:
    """List messages, newest first, without their bodies."""
    shown, pagination = _page(query)
    return answer(MessagesAnswer.model_validate({"messages": shown, "pagination": pagination}))


@api.get("/webhooks", responses={"200": WebhookEventsAnswer})
@needs(Role.VIEWER)
def list_webhook_events(query: MessageQuery) -> Response:
    """List what providers sent, newest first; the same as /api/admin/messages."""
    shown, pagination = _page(query)
    return answer(WebhookEventsAnswer.model_validate({"events": shown, "pagination": pagination}))


@api.get("/admin/messages/<id>", responses={"200": MessageAnswer})
@needs(Role.VIEWER)
def get_message(path: IdPath) -> Response:
    """Show a message and, to operators, its headers and body."""
    with transaction(here().engine) as connection:
        row = messages.get(connection, path.uuid("message"), account_id=scope().account_id)
    return answer(MessageAnswer(message=MessageDetail.of(row, in_full=scope().principal.may(Role.OPERATOR))))


def _page(query: MessageQuery) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    with transaction(here().engine) as connection:
        rows = messages.list_messages(
            connection,
            account_id=scope().account_id,
            states=query.state,
            source_id=query.source,
            provider=query.provider,
            topic=query.topic,
            tenant=query.tenant,
            delivery_key=query.delivery_key,
            since=query.since,
            until=query.until,
            before=query.cursor,
            limit=query.limit + 1,
        )
    return page(rows, limit=query.limit)
