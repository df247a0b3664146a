"""/api/admin/webhooks/{id}/...: what can be done with a webhook beside changing it.

Every write is one transaction with its audit row, and the dispatcher is woken after its commit; a process that dies in
between leaves that to beat, which does it within a second.
"""

from flask import Response

from shared import deliveries, events, orders, subscriptions
from shared.db.engine import transaction
from shared.destinations.registry import DESTINATIONS
from shared.errors import Conflict
from shared.event_types import CATALOGUE
from shared.events import EventDraft
from shared.states import Role
from web.api.deliveries import SubscriptionDeliveryQuery
from web.api.delivery_shapes import DeliveriesAnswer, Delivery
from web.api.noun import noun
from web.api.webhook_shapes import (
    EnableWebhook,
    MovedAnswer,
    RotateSecret,
    TestAnswer,
    Webhook,
    WebhookMadeAnswer,
    WebhookWithSecret,
)
from web.api.webhooks import ABOUT, NOUN, PATH
from web.auth import needs, scope
from web.context import here
from web.shapes import IdPath, answer, page

TEST_TYPE = "webhook.test"

api = noun("Webhooks", ABOUT, at=PATH, part="_actions")


@api.post("/<id>/test", responses={"202": TestAnswer})
@needs(Role.OPERATOR)
def send_test(path: IdPath) -> Response:
    """Send a test event to this webhook and to no other."""
    context, now = here(), here().now()
    kind = CATALOGUE[TEST_TYPE]
    with transaction(context.engine) as connection:
        row = subscriptions.get(connection, path.uuid(NOUN), account_id=scope().account_id)
        if not row["active"]:
            raise Conflict("webhook_disabled", "The webhook is disabled; enable it first.")
        if not DESTINATIONS[row["destination"]].takes(TEST_TYPE):
            raise Conflict("test_not_carried", "This destination carries no test events; change a record instead.")
        draft = EventDraft(
            account_id=scope().account_id,
            type=TEST_TYPE,
            body=events.envelope(event_type=TEST_TYPE, data=kind.data, source="crossdock", action=kind.action, at=now),
            occurred_at=now,
        )
        events.emit(connection, [draft], now=now, only_subscription=row["id"])
        made = deliveries.list_deliveries(
            connection, account_id=scope().account_id, subscription_id=row["id"], event_id=draft.id, limit=1
        )
        scope().note(connection, "subscription.tested", row["id"], detail={"eventId": str(draft.id)}, now=now)
    orders.wake_dispatch(context.settings, context.client)
    return answer(TestAnswer(event_id=draft.id, delivery_id=made[0]["id"]), 202)


@api.post("/<id>/enable", responses={"200": MovedAnswer})
@needs(Role.OPERATOR)
def enable_webhook(path: IdPath, body: EnableWebhook) -> Response:
    """Enable a webhook, and deliver or discard what was held meanwhile."""
    context, now = here(), here().now()
    with transaction(context.engine) as connection:
        row, moved = subscriptions.enable(
            connection,
            path.uuid(NOUN),
            account_id=scope().account_id,
            held=body.held,
            newest=body.newest,
            now=now,
        )
        detail = {"held": body.held, "newest": body.newest, "moved": moved}
        scope().note(connection, "subscription.enabled", row["id"], detail=detail, now=now)
    orders.wake_dispatch(context.settings, context.client)
    return answer(MovedAnswer(webhook=Webhook.of(row), moved=moved))


@api.post("/<id>/disable", responses={"200": MovedAnswer})
@needs(Role.OPERATOR)
def disable_webhook(path: IdPath) -> Response:
    """Disable a webhook; its deliveries are held until it is enabled."""
    now = here().now()
    with transaction(here().engine) as connection:
        row, moved = subscriptions.disable(connection, path.uuid(NOUN), account_id=scope().account_id, now=now)
        scope().note(connection, "subscription.disabled", row["id"], detail={"moved": moved}, now=now)
    return answer(MovedAnswer(webhook=Webhook.of(row), moved=moved))


@api.post("/<id>/rotate-secret", responses={"200": WebhookMadeAnswer})
@needs(Role.ADMIN)
def rotate_secret(path: IdPath, body: RotateSecret) -> Response:
    """Make a new secret; the answer has it, and until the overlap ends requests carry both signatures."""
    context, now = here(), here().now()
    with transaction(context.engine) as connection:
        row, secret = subscriptions.rotate(
            connection,
            context.ring,
            path.uuid(NOUN),
            account_id=scope().account_id,
            overlap_seconds=body.overlap_seconds,
            now=now,
        )
        detail = {"overlapSeconds": body.overlap_seconds}
        scope().note(connection, "subscription.rotated", row["id"], detail=detail, now=now)
    return answer(WebhookMadeAnswer(webhook=WebhookWithSecret.of(row, secret=secret)))


@api.get("/<id>/deliveries", responses={"200": DeliveriesAnswer})
@needs(Role.VIEWER)
def list_webhook_deliveries(path: IdPath, query: SubscriptionDeliveryQuery) -> Response:
    """List a webhook's deliveries, newest first."""
    with transaction(here().engine) as connection:
        row = subscriptions.get(connection, path.uuid(NOUN), account_id=scope().account_id)
        rows = deliveries.list_deliveries(
            connection,
            account_id=scope().account_id,
            subscription_id=row["id"],
            **query.narrowed(),
        )
    shown, pagination = page(rows, limit=query.limit, key="cursor")
    listed = [Delivery.of(row) for row in shown]
    return answer(DeliveriesAnswer.model_validate({"deliveries": listed, "pagination": pagination}))
