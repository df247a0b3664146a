"""/api/admin/webhooks: subscriptions by the name that the public contract gives them.

Every write is one transaction with its audit row; a process that dies in the middle leaves nothing of it. A secret is
shown once, in the answer to the call that made it.
"""

from flask import Response

from shared import deliveries, subscriptions
from shared.db.engine import transaction
from shared.states import Role
from shared.subscription_fields import check, told
from web.api.delivery_shapes import Delivery
from web.api.noun import noun
from web.api.webhook_shapes import (
    CreateWebhook,
    UpdateWebhook,
    Webhook,
    WebhookAnswer,
    WebhookDetail,
    WebhookDetailAnswer,
    WebhookMadeAnswer,
    WebhookQuery,
    WebhooksAnswer,
    WebhookWithSecret,
)
from web.auth import needs, scope
from web.context import here
from web.shapes import Done, IdPath, answer, page

LAST_DELIVERIES = 50
NOUN = "webhook"

ABOUT = "Where an account's events are sent."
PATH = "/api/admin/webhooks"

api = noun("Webhooks", ABOUT, at=PATH)


@api.get("", responses={"200": WebhooksAnswer})
@needs(Role.VIEWER)
def list_webhooks(query: WebhookQuery) -> Response:
    """List webhooks, newest first."""
    with transaction(here().engine) as connection:
        rows = subscriptions.list_subscriptions(
            connection,
            account_id=scope().account_id,
            active=query.active,
            name=query.name,
            before=query.cursor,
            limit=query.limit + 1,
        )
    shown, pagination = page(rows, limit=query.limit)
    return answer(
        WebhooksAnswer.model_validate({"webhooks": [Webhook.of(row) for row in shown], "pagination": pagination})
    )


@api.post("", responses={"201": WebhookMadeAnswer})
@needs(Role.ADMIN)
def create_webhook(body: CreateWebhook) -> Response:
    """Create a webhook; the answer has its secret, which is not shown again."""
    context, now = here(), here().now()
    checked = check(context.settings, body.columns())
    with transaction(context.engine) as connection:
        row, secret = subscriptions.create(
            connection, context.ring, context.settings, account_id=scope().account_id, checked=checked, now=now
        )
        scope().note(connection, "subscription.created", row["id"], detail=told(checked.values), now=now)
    made = WebhookMadeAnswer(webhook=WebhookWithSecret.of(row, secret=secret or None), warnings=list(checked.warnings))
    return answer(made, 201)


@api.get("/<id>", responses={"200": WebhookDetailAnswer})
@needs(Role.VIEWER)
def get_webhook(path: IdPath) -> Response:
    """Show a webhook with its last 50 deliveries."""
    with transaction(here().engine) as connection:
        row = subscriptions.get(connection, path.uuid(NOUN), account_id=scope().account_id)
        last = deliveries.list_deliveries(
            connection, account_id=scope().account_id, subscription_id=row["id"], limit=LAST_DELIVERIES
        )
    detail = WebhookDetail.of(row, deliveries=[Delivery.of(delivery) for delivery in last])
    return answer(WebhookDetailAnswer(webhook=detail))


@api.patch("/<id>", responses={"200": WebhookAnswer})
@needs(Role.ADMIN)
def update_webhook(path: IdPath, body: UpdateWebhook) -> Response:
    """Change a webhook; what is not sent stays as it is."""
    context, now = here(), here().now()
    with transaction(context.engine) as connection:
        before = subscriptions.get(connection, path.uuid(NOUN), account_id=scope().account_id)
    checked = check(context.settings, body.columns(), destination=before["destination"])
    with transaction(context.engine) as connection:
        row = subscriptions.change(
            connection, context.ring, before["id"], account_id=scope().account_id, checked=checked, now=now
        )
        scope().note(connection, "subscription.updated", row["id"], detail=told(checked.values), now=now)
    return answer(WebhookAnswer(webhook=Webhook.of(row), warnings=list(checked.warnings)))


@api.delete("/<id>", responses={"200": Done})
@needs(Role.ADMIN)
def delete_webhook(path: IdPath) -> Response:
    """Delete a webhook; its waiting deliveries are discarded, its history stays."""
    now = here().now()
    with transaction(here().engine) as connection:
        discarded = subscriptions.remove(connection, path.uuid(NOUN), account_id=scope().account_id, now=now)
        scope().note(connection, "subscription.deleted", path.uuid(NOUN), detail={"discarded": discarded}, now=now)
    return answer(Done())
