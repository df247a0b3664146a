"""/api/admin/deliveries: what became of every event that was owed to a webhook, and sending it again.

A replay is one transaction with its audit row, and the dispatcher is woken after its commit; a process that dies in
between leaves that to beat, which does it within a second.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from flask import Response
from pydantic import Field

from shared import deliveries, orders, replays
from shared.db.engine import transaction
from shared.deliveries import STATUSES
from shared.errors import Unacceptable
from shared.states import DeliveryState, Role
from web.api.delivery_shapes import DeliveriesAnswer, Delivery, DeliveryAnswer, DeliveryDetail
from web.api.noun import noun
from web.auth import needs, scope
from web.context import here
from web.shapes import Answer, Form, IdPath, Moment, PageQuery, answer, page

NOUN = "delivery"
REASON_MAX = 500

api = noun("Deliveries", "Events owed to webhooks, and the attempts made.", at="/api/admin/deliveries")


class SubscriptionDeliveryQuery(PageQuery):
    """Which deliveries of one webhook."""

    event_type: str | None = Field(None, description="An event type, or a pattern such as `order.*`.")
    message_id: UUID | None = Field(None, description="Of what this message meant, while its events are kept.")
    source_id: UUID | None = Field(None, description="Of what came in through this source, while its events are kept.")
    status: list[str] | None = Field(
        None, description="success, failed, pending, held, discarded, or a finer state; may be repeated."
    )
    status_code: list[str] | None = Field(
        None, description="HTTP status of the last reply: 503, or a class such as 5xx; may be repeated."
    )
    error_code: list[str] | None = Field(
        None, description="Why the last attempt failed: timeout, http_500, address_refused, …; may be repeated."
    )
    since: Moment | None = Field(None, description="Made at or after this instant.")
    until: Moment | None = Field(None, description="Made before this instant.")

    def narrowed(self) -> dict[str, Any]:
        """What `shared.deliveries.list_deliveries` is to be asked for, one row more than the page has.

        Raises:
            Unacceptable: a status is none.
        """
        return {
            "event_type": self.event_type,
            "message_id": self.message_id,
            "source_id": self.source_id,
            "states": states_of(self.status),
            "status_codes": self.status_code,
            "error_codes": self.error_code,
            "since": self.since,
            "until": self.until,
            "before": self.cursor,
            "limit": self.limit + 1,
        }


class DeliveryQuery(SubscriptionDeliveryQuery):
    """Which deliveries."""

    subscription_id: UUID | None = Field(None, description="Of this webhook.")
    event_id: UUID | None = Field(None, description="Of this event.")


class ReplayDelivery(Form):
    """Why it is sent again."""

    reason: str | None = Field(None, max_length=REASON_MAX, description="For the audit log.")


class ReplayedAnswer(Answer):
    """A delivery that was asked for again."""

    replayed: bool = Field(description="False: it was on its way already.")
    delivery: Delivery


def states_of(statuses: Sequence[str] | None) -> list[str] | None:
    """The states that the asked-for statuses mean; None when none was asked for.

    Raises:
        Unacceptable: one is neither a status nor a state.
    """
    if statuses is None:
        return None
    found: list[str] = []
    for status in statuses:
        if status in STATUSES:
            found += STATUSES[status]
        elif status in set(DeliveryState):
            found.append(status)
        else:
            raise Unacceptable("status_unknown", f"Statuses are: {', '.join(STATUSES)}.")
    return found


@api.get("", responses={"200": DeliveriesAnswer})
@needs(Role.VIEWER)
def list_deliveries(query: DeliveryQuery) -> Response:
    """List deliveries, newest first."""
    with transaction(here().engine) as connection:
        rows = deliveries.list_deliveries(
            connection,
            account_id=scope().account_id,
            subscription_id=query.subscription_id,
            event_id=query.event_id,
            **query.narrowed(),
        )
    shown, pagination = page(rows, limit=query.limit, key="cursor")
    listed = [Delivery.of(row) for row in shown]
    return answer(DeliveriesAnswer.model_validate({"deliveries": listed, "pagination": pagination}))


@api.get("/<id>", responses={"200": DeliveryAnswer})
@needs(Role.VIEWER)
def get_delivery(path: IdPath) -> Response:
    """Show a delivery with its attempts and, to operators, the body that is sent."""
    with transaction(here().engine) as connection:
        row = deliveries.get(connection, path.uuid(NOUN), account_id=scope().account_id)
    if not scope().principal.may(Role.OPERATOR):
        row["body"] = None
    return answer(DeliveryAnswer(delivery=DeliveryDetail.of(row)))


@api.post("/<id>/replay", responses={"200": ReplayedAnswer})
@needs(Role.OPERATOR)
def replay_delivery(path: IdPath, body: ReplayDelivery) -> Response:
    """Send a delivery again, under the same webhook-id."""
    context, now = here(), here().now()
    with transaction(context.engine) as connection:
        replayed = replays.replay_delivery(
            connection,
            path.uuid(NOUN),
            account_id=scope().account_id,
            asked_by=scope().principal.actor,
            reason=body.reason,
            now=now,
        )
        row = deliveries.get(connection, path.uuid(NOUN), account_id=scope().account_id)
    orders.wake_dispatch(context.settings, context.client)
    return answer(ReplayedAnswer(replayed=replayed, delivery=Delivery.of(row)))
