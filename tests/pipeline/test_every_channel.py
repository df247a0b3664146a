"""Every channel's story, from its signed requests to deliveries that the CRM believes: in order, late and repeated."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from cli.acting import call, secret_of
from shared.clock import utc_now
from shared.providers import samples
from shared.providers.contract import Sample
from shared.providers.registry import PROVIDERS
from tests import envelopes
from tests.doubles.crm import Crm
from tests.doubles.shop import Webhook
from tests.pipeline.merchant import Merchant

NUMBER = 3  # of the customer, the order, the parcel: a story is about one of each


@dataclass(frozen=True)
class Story:
    """What a provider tells, in this order, and what becomes of it."""

    topics: tuple[str, ...]
    events: Mapping[str, int]
    late: str = "stale"  # the state of a message about the first topic's record from an hour before


STORIES: Mapping[str, Story] = {
    "shopify": Story(
        ("customers/create", "orders/create", "orders/paid", "orders/edited", "fulfillments/create", "refunds/create"),
        {
            "user.created": 1,
            "order.created": 1,
            "order.updated": 2,
            "order.paid": 1,
            "shipment.created": 1,
            "refund.created": 1,
        },
    ),
    "amazon": Story(
        ("ORDER_CHANGE", "FEED_PROCESSING_FINISHED", "REPORT_PROCESSING_FINISHED"),
        {"order.created": 1, "order.fulfilled": 1, "feed.finished": 1, "report.finished": 1},
    ),
    "flipkart": Story(
        ("shipment_created", "shipment_packed", "shipment_shipped", "shipment_delivered", "return_created"),
        # A return is a shipment back.
        {
            "order.created": 1,
            "order.updated": 2,
            "order.fulfilled": 1,
            "shipment.created": 2,
            "shipment.updated": 3,
            "shipment.delivered": 1,
        },
    ),
    "selloship": Story(
        ("SHIPMENT_CREATED", "SHIPMENT_UPDATED", "SHIPMENT_DELIVERED"),
        {"shipment.created": 1, "shipment.updated": 2, "shipment.delivered": 1},
    ),
    "myntra": Story(
        ("order/create", "order/pack", "order/shipped", "order/delivered", "return/create"),
        {"order.created": 1, "shipment.created": 2, "shipment.updated": 2, "shipment.delivered": 1},
    ),
    "robaws": Story(
        ("client.created", "client.updated", "article.created", "article.stock-changed"),
        {"user.created": 1, "user.updated": 1, "article.created": 1, "article.updated": 1},
    ),
    "manychat": Story(
        ("subscriber.created", "subscriber.tag_added", "subscriber.tag_removed", "subscriber.custom_field_changed"),
        {"user.created": 1, "user.updated": 4, "tag.added": 2, "tag.removed": 2, "customfield.updated": 2},
        late="processed",  # its bodies hold no time: what comes later counts, and brings the first state back
    ),
    "facebook": Story(
        ("page/messages", "page/messaging_postbacks", "page/feed"),
        # Who wrote and that they wrote are two changes; only the first message and the comment say new things of who.
        {"user.created": 1, "user.updated": 5},
        late="processed",  # a message counts whenever it comes
    ),
    "generic": Story(
        ("contact.created", "contact.updated", "contact.deleted"),
        {"user.created": 1, "user.updated": 1, "user.deleted": 1},
    ),
}


class Channel:
    """A merchant's source of one provider, and the provider that posts to it."""

    def __init__(self, merchant: Merchant, name: str) -> None:
        self.merchant, self.name = merchant, name
        self.provider, self.settings = PROVIDERS[name], samples.SETTINGS[name]
        self.tenant = f"{merchant.slug}.myshopify.com" if self.provider.has_tenants else ""
        _, self.path, secret = merchant.source(name, shop=self.tenant, settings=self.settings)
        self.secret = secret_of(self.provider, (secret.encode(),), merchant.stack.settings, now=utc_now())

    def webhook(self, topic: str, at: datetime) -> Webhook:
        """What the provider posts of a topic that was so at `at`."""
        path = f"/api/webhooks/{self.path}"
        sample = Sample(
            topic=topic,
            body=samples.make(self.name, topic, number=NUMBER, at=at, tenant=self.tenant),
            secret=self.secret,
            tenant=self.tenant,
            delivery_id=str(uuid4()),
            now=utc_now(),
            url=f"{self.merchant.stack.settings.public_url}{path}",
            settings=self.settings,
        )
        made = call(self.provider, sample, f"{self.merchant.stack.ingress_url}{path}")
        there = urlsplit(made.url)
        where = f"{there.path}?{there.query}" if there.query else there.path
        return Webhook(where, dict(made.headers), made.body, sample.delivery_id, made.method)


def test_every_provider_has_a_story() -> None:
    assert set(STORIES) == set(PROVIDERS)


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_what_a_provider_tells_arrives_signed_and_once(name: str, merchant: Merchant, crm: Crm) -> None:
    story, channel = STORIES[name], Channel(merchant, name)
    merchant.subscribe(crm, "/")
    start = utc_now() - timedelta(minutes=30)
    told = [channel.webhook(topic, start + timedelta(minutes=minute)) for minute, topic in enumerate(story.topics)]
    late = channel.webhook(story.topics[0], start - timedelta(hours=1))

    report = merchant.post(*told, late, *told)
    assert report.refused == []
    assert {one.delivery_id: 2 for one in told} | {late.delivery_id: 1} == {
        delivery_id: len(ids) for delivery_id, ids in report.accepted.items()
    }
    expected = Counter({"processed": len(told), "duplicate": len(told)}) + Counter([story.late])
    assert merchant.wait_messages(expected.total()) == expected
    assert merchant.events() == story.events
    merchant.wait_delivered(sum(story.events.values()))
    assert sorted(crm.accepted_ids("/")) == sorted(merchant.event_ids())
    assert crm.refused() == []
    bodies = [envelopes.read(receipt.body) for receipt in crm.at("/")]  # each keeps its published schema
    assert Counter(body["event"] for body in bodies) == story.events
    assert {body["metadata"]["source"] for body in bodies} == {name}
