"""How webhooks, which are our subscriptions, look in the API, coming in and going out. Pure."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import Field, PlainSerializer

from web.api.delivery_shapes import Delivery
from web.shapes import Answer, Form, Instant, PageQuery, Pagination, Shape

# Seconds are kept as a fraction and shown as the public contract has them: 60, not 60.0.
Seconds = Annotated[
    float, PlainSerializer(lambda value: int(value) if value == int(value) else value, return_type=int | float)
]
_COLUMNS = {"retry_delay": "retry_delay_seconds"}


class WebhookFields(Form):
    """What can be set on a webhook."""

    name: str = Field("", description="For people.")
    url: str = Field("", description="Where events are sent: https, and no private address unless allowed.")
    events: list[str] = Field([], description="Event types, `order.*` or `*`; GET /api/admin/event-types lists them.")
    description: str = ""
    active: bool = Field(True, description="False holds its deliveries; the same as /disable and /enable.")
    destination: str = Field("webhook", description="What kind of receiver it is.")
    settings: dict[str, Any] = Field({}, description="The destination's own.")
    credential: str = Field(
        "", description="The secret of the destination's API, where its owner brings one; kept sealed, never shown."
    )
    retry_attempts: int = Field(3, description="Tries after the first.")
    retry_delay: float = Field(60, description="Seconds before the second try; it doubles with each.")
    schedule: str | None = Field(None, description="`standard`: a named schedule instead of the two above.")
    timeout_ms: int = Field(10_000, description="Longest wait for a reply.")
    disable_after: int = Field(20, description="Straight failures that disable it.")
    disable_after_seconds: float = Field(86_400, description="They must span at least this.")
    max_in_flight: int = Field(10, description="Requests in flight to it at once.")
    ordering: str = Field(
        "none",
        description="`record`: of one record's events one at a time, in their order; `strict`: of all. Destinations "
        "that keep a record's state have `record` unless told otherwise.",
    )

    def columns(self) -> dict[str, Any]:
        """The fields that were sent, by column."""
        return {_COLUMNS.get(name, name): value for name, value in self.given().items()}


class CreateWebhook(WebhookFields):
    """A new webhook."""

    name: str = Field(description="For people.")
    url: str = Field("", description="Where events are sent; may be left out for a destination whose API we know.")
    events: list[str] = Field(description="Event types, `order.*` or `*`; GET /api/admin/event-types lists them.")


class UpdateWebhook(WebhookFields):
    """What is to change; what is absent stays."""


class WebhookQuery(PageQuery):
    """Which webhooks."""

    active: bool | None = Field(None, description="Only those that are sent to; false: only those that are not.")
    name: str | None = Field(None, description="Only those with this in their name, in any case.")


class EnableWebhook(Form):
    """What becomes of the deliveries that are held."""

    held: Literal["deliver", "discard"] = "deliver"
    newest: int | None = Field(None, ge=0, description="Deliver only this many, the newest, and discard the rest.")


class RotateSecret(Form):
    """How long the old secret goes on."""

    overlap_seconds: float = Field(86_400, description="Until then requests carry both signatures.")


class Secret(Shape):
    """A secret that counts, without itself."""

    id: UUID
    created_at: str
    expires_at: str | None


class Webhook(Shape):
    """Where events are sent."""

    id: UUID
    name: str
    url: str
    events: list[str]
    description: str
    active: bool
    disabled_reason: str | None
    disabled_at: Instant | None
    destination: str
    settings: dict[str, Any]
    retry_attempts: int
    retry_delay: Seconds
    schedule: str | None
    timeout_ms: int
    disable_after: int
    disable_after_seconds: Seconds
    max_in_flight: int
    ordering: str
    success_count: int
    failed_count: int = Field(description="Failed attempts.")
    last_delivery_status: str | None = Field(description="success or failed.")
    last_delivery_at: Instant | None
    consecutive_failures: int
    paused_until: Instant | None = Field(description="Nothing is sent before: its circuit is open, or it asked for it.")
    secrets: list[Secret] = Field(description="Newest first; what they are is shown once, when they are made.")
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, row: Mapping[str, Any], **more: Any) -> Self:
        """The shape of a row of `shared.subscriptions`."""
        return cls.model_validate({**row, "retry_delay": row["retry_delay_seconds"], **more})


class WebhookWithSecret(Webhook):
    """A webhook with its secret, which is shown this once."""

    secret: str | None = Field(
        description="Save it: signatures are checked with it, and it is not shown again. null: it was brought along."
    )


class WebhookDetail(Webhook):
    """A webhook with its last deliveries."""

    deliveries: list[Delivery] = Field(description="The last 50.")


class WebhookAnswer(Answer):
    """One webhook."""

    webhook: Webhook
    warnings: list[str] = Field([], description="What to know all the same, e.g. that the host does not resolve yet.")


class WebhookMadeAnswer(Answer):
    """One webhook, its secret shown this once."""

    webhook: WebhookWithSecret
    warnings: list[str] = Field([], description="What to know all the same, e.g. that the host does not resolve yet.")


class WebhookDetailAnswer(Answer):
    """One webhook with its last deliveries."""

    webhook: WebhookDetail


class WebhooksAnswer(Answer):
    """A page of webhooks."""

    webhooks: list[Webhook]
    pagination: Pagination


class MovedAnswer(Answer):
    """A webhook that was enabled or disabled."""

    webhook: Webhook
    moved: int = Field(description="Deliveries that this made wait, or that it made due again.")


class TestAnswer(Answer):
    """A test that is on its way."""

    event_id: UUID
    delivery_id: UUID = Field(description="GET /api/admin/deliveries/{id} tells what came of it.")
