"""An update's sample says something new: after the sample that made its record, it is told of."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import pytest
from sqlalchemy import Engine, select

from shared.db.tables import events, messages
from shared.directory import Listing
from shared.ids import new_id
from shared.providers import preset_samples, samples
from shared.providers.contract import Source
from shared.providers.presets import SCHEMES
from shared.providers.registry import PROVIDERS
from tests import envelopes
from tests.shared.providers.acting import NOW, SECRET, Actor, actor
from tests.workers import rows
from workers.inbound.process import process
from workers.inbound.reading import Inbound

NUMBERS: Final = range(1, 13)  # every shape of a sample: older and newer, with a telephone and without
RECEIVED: Final = NOW + timedelta(minutes=5)
FLIPKARTS_SHIPMENT: Final = (
    "shipment_dispatch_dates_changed",
    "shipment_form_failed",
    "shipment_hold",
    "shipment_unhold",
    "shipment_packed",
    "shipment_ready_to_dispatch",
    "shipment_pickup_complete",
    "shipment_shipped",
    "shipment_cancelled",
)
FLIPKARTS_RETURN: Final = (
    "return_expected_date_changed",
    "return_item_tracking_id_update",
    "return_picked_up",
    "return_cancelled",
)
MYNTRAS_ORDER: Final = (
    "order/accept",
    "order/reject",
    "order/onhold",
    "order/unhold",
    "order/itemCancellation",
    "order/cancelItems",
)
MYNTRAS_PACKET: Final = ("order/readyToDispatch", "order/shipped", "order/lost")
CONTACTS: Final = {
    "contact.created": {"contact.updated": "user.updated", "contact.deleted": "user.deleted"},
    "contact.updated": {"contact.updated": "user.updated"},
}
HUBSPOTS: Final = {
    "contact.creation": {
        "contact.propertyChange": "user.updated",
        "contact.deletion": "user.deleted",
        "mixed": "user.updated",
    },
    "contact.propertyChange": {"contact.propertyChange": "user.updated"},
}

# Provider or preset -> what was told before -> what is told then -> an event that must come of it.
PAIRS: Final[Mapping[str, Mapping[str, Mapping[str, str]]]] = {
    "shopify": {
        "customers/create": {
            "customers/update": "user.updated",
            "customers_email_marketing_consent/update": "user.updated",
            "customers_marketing_consent/update": "user.updated",
            "customers/delete": "user.deleted",
            "customers/merge": "user.deleted",
        },
        "customers/update": {"customers/update": "user.updated"},
        "orders/create": {
            "orders/updated": "order.updated",
            "orders/cancelled": "order.cancelled",
            "orders/paid": "order.paid",
            "orders/fulfilled": "order.fulfilled",
            "orders/edited": "order.updated",
            "orders/delete": "order.deleted",
            "refunds/create": "refund.created",
        },
        "orders/updated": {"orders/updated": "order.updated"},
        "fulfillments/create": {"fulfillments/update": "shipment.updated"},
        "inventory_levels/update": {"inventory_levels/update": "inventory.updated"},
        "products/create": {"products/update": "product.updated", "products/delete": "product.deleted"},
        "products/update": {"products/update": "product.updated"},
    },
    "amazon": {"ORDER_CHANGE": {"ORDER_CHANGE": "order.updated"}},
    "flipkart": {
        "shipment_created": dict.fromkeys(FLIPKARTS_SHIPMENT, "shipment.updated")
        | {"shipment_delivered": "shipment.delivered"},
        "return_created": dict.fromkeys(FLIPKARTS_RETURN, "shipment.updated") | {"return_completed": "refund.created"},
        "ORDER_CREATED": {"ORDER_UPDATED": "order.updated"},
        "SHIPMENT_CREATED": {"shipment_packed": "shipment.updated"},
        "PAYMENT_UPDATED": {"PAYMENT_UPDATED": "payment.updated"},
    },
    "selloship": {
        "SHIPMENT_CREATED": {
            "SHIPMENT_UPDATED": "shipment.updated",
            "SHIPMENT_DELIVERED": "shipment.delivered",
            "SHIPMENT_RTO": "shipment.updated",
            "WAYBILL_STATUS": "shipment.updated",
        },
        "SHIPMENT_UPDATED": {"SHIPMENT_UPDATED": "shipment.updated"},
    },
    "myntra": {
        "order/create": dict.fromkeys(MYNTRAS_ORDER, "order.updated") | {"order/pack": "shipment.created"},
        "order/pack": dict.fromkeys(MYNTRAS_PACKET, "shipment.updated") | {"order/delivered": "shipment.delivered"},
        "return/create": {"return/update": "shipment.updated"},
    },
    "robaws": {
        "client.created": {"client.updated": "user.updated"},
        "client.updated": {"client.updated": "user.updated"},
        "article.created": {"article.updated": "article.updated", "article.stock-changed": "article.updated"},
        "article.updated": {"article.updated": "article.updated"},
        "article.stock-changed": {"article.stock-changed": "article.updated"},
    },
    "manychat": {
        "subscriber.created": {
            "subscriber.updated": "user.updated",
            "subscriber.tag_added": "tag.added",
            "subscriber.tag_removed": "tag.removed",
            "subscriber.custom_field_changed": "customfield.updated",
        },
        "subscriber.custom_field_changed": {"subscriber.custom_field_changed": "customfield.updated"},
    },
    "facebook": {
        "page/messages": dict.fromkeys(
            ("page/messages", "page/messaging_postbacks", "page/feed", "page/mixed"), "user.updated"
        ),
        "instagram/messages": dict.fromkeys(
            ("instagram/messages", "instagram/messaging_postbacks", "instagram/comments", "instagram/mixed"),
            "user.updated",
        ),
    },
    "generic": CONTACTS,
    "hmac": CONTACTS,
    "standard-webhooks": CONTACTS,
    "svix": CONTACTS,
    "github": {
        "ping": dict.fromkeys(("push", "issues", "pull_request"), "user.updated"),
        "push": {"push": "user.updated"},
    },
    "stripe": {
        "customer.created": {"customer.updated": "user.updated", "customer.deleted": "user.deleted"},
        "customer.updated": {"customer.updated": "user.updated"},
        "payment_intent.payment_failed": {"payment_intent.succeeded": "payment.updated"},
    },
    "slack": {
        "team_join": dict.fromkeys(
            ("user_change", "message", "app_mention", "command", "block_actions"), "user.updated"
        ),
        "user_change": {"user_change": "user.updated"},
    },
    "hubspot": HUBSPOTS,
    "hubspot-v2": HUBSPOTS,
    "hubspot-v1": HUBSPOTS,
    "twilio": {
        "message.received": dict.fromkeys(
            ("message.sent", "call.ringing", "call.completed"),
            "user.updated",
        ),
        "message.sent": dict.fromkeys(("message.delivered", "message.undelivered"), "user.updated"),
    },
}
# Told once of a record, of none, or asking for something to be done.
ALONE: Final = {
    "FEED_PROCESSING_FINISHED",
    "REPORT_PROCESSING_FINISHED",
    "shop/update",
    "app/uninstalled",
    "customers/data_request",
    "customers/redact",
    "shop/redact",
    "SubscriptionConfirmation",
    "UnsubscribeConfirmation",
    "invoice.paid",
}
EVERY: Final = [
    (name, before, topic, event)
    for name, pairs in PAIRS.items()
    for before, then in pairs.items()
    for topic, event in then.items()
]


class Telling:
    """A source, and what its provider tells it."""

    def __init__(self, engine: Engine, act: Actor) -> None:
        self.act = act
        account_id = rows.account(engine)
        self.source_id = rows.source(engine, account_id, provider=act.provider.name, settings=dict(act.source.settings))
        self.listings: dict[UUID, Listing] = {
            self.source_id: Listing(
                act.source, str(account_id), active=True, tenants=None, allowed_topics=None, rate_per_second=0
            )
        }

    def message(self, topic: str, number: int, at: datetime) -> Inbound:
        posted = samples.posted(self.act.provider.name, topic, number=number, at=at, settings=self.act.source.settings)
        sample = self.act.sample(
            topic=topic, body=posted.body, content_type=posted.content_type, now=at, delivery_id=str(new_id())
        )
        return Inbound(new_id(), self.source_id, RECEIVED, self.act.request(sample))


def acting(name: str) -> Actor:
    if name in PROVIDERS:
        return actor(name)
    return Actor(PROVIDERS["generic"], Source("source", "generic", (SECRET,), preset_samples.SETTINGS[name]))


@pytest.mark.parametrize(("name", "before", "topic", "event"), EVERY)
def test_an_update_of_what_a_sample_made_is_told(
    engine: Engine, name: str, before: str, topic: str, event: str
) -> None:
    telling = Telling(engine, acting(name))
    first = [telling.message(before, number, NOW) for number in NUMBERS]
    then = [telling.message(topic, number, NOW + timedelta(seconds=1)) for number in NUMBERS]
    with engine.begin() as connection:
        process(connection, [*first, *then], listings=telling.listings, now=RECEIVED)
        states = {row.id: row.state for row in connection.execute(select(messages.c.id, messages.c.state))}
        found = list(connection.execute(select(events.c.message_id, events.c.body)))
    told = {(row.message_id, envelopes.read(row.body)["event"]) for row in found}
    assert set(states.values()) == {"processed"}
    assert [message.message_id for message in then if (message.message_id, event) not in told] == []


@pytest.mark.parametrize("name", [*PROVIDERS, *SCHEMES])
def test_every_sample_is_one_of_a_pair(name: str) -> None:
    act = acting(name)
    named = {topic for before, then in PAIRS[name].items() for topic in (before, *then)}
    assert named | ALONE >= set(samples.topics(act.provider.name, act.source.settings))
    assert not named & ALONE
