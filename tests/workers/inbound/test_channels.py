"""Each channel's webhooks on their way to records and events, with every topic that there is."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest

from shared.db.engine import transaction
from shared.ids import new_id
from shared.inbox import shard_of
from shared.providers import samples
from shared.providers.contract import Headers, Request, Sample
from shared.providers.registry import PROVIDERS
from tests.workers import rows
from tests.workers.inbound.dock import NOW, Dock
from workers.inbound.drain import drain
from workers.inbound.listings import load_listings
from workers.inbound.messages import restore
from workers.inbound.process import process

CHANNELS = ("flipkart", "selloship", "myntra", "manychat", "facebook", "robaws")


class Channel:
    """A source of one provider, beside the dock's own."""

    def __init__(self, dock: Dock, name: str) -> None:
        self.dock, self.provider = dock, PROVIDERS[name]
        settings = samples.SETTINGS[name]
        self.source_id = str(rows.source(dock.engine, dock.account_id, provider=name, settings=settings))
        self.shard = shard_of(self.source_id, "", dock.context.settings.inbox_shards)
        self.count = 0

    def send(
        self, topic: str, body: Any = None, *, minute: int = 0, number: int = 3, days: int = 0, received: int = 60
    ) -> UUID:
        """Append what the provider would send of a state of `days` and `minute`, `received` minutes on; its id."""
        self.count += 1
        at = NOW + timedelta(days=days, minutes=minute)
        made = samples.make(self.provider.name, topic, number=number, at=at)
        raw = made if body is None else orjson.dumps(body)
        sample = Sample(topic, raw, b"s", "", f"d{self.count}", at, settings=samples.SETTINGS[self.provider.name])
        method, beneath = self.provider.call(sample)
        message_id = new_id()
        appended = self.dock.context.inbox.append(
            message_id=message_id,
            source_id=self.source_id,
            tenant="",
            request=Request(method, f"/api/webhooks/x{beneath}", Headers(self.provider.sign(sample)), raw),
            received_at=NOW + timedelta(minutes=received, milliseconds=self.count),
            max_length=1000,
            rate_per_second=0,
        )
        assert appended.refused is None
        return message_id

    def drain(self) -> dict[str, int]:
        return drain(self.dock.context, self.shard, clock=lambda: NOW + timedelta(hours=2))


def states(dock: Dock) -> dict[str, tuple[str, str | None]]:
    return {row["topic"]: (row["state"], row["reason"]) for row in dock.rows("messages")}


def told(dock: Dock, *prefixes: str) -> list[str]:
    return [event for event in dock.told() if event.startswith(prefixes)]


@pytest.mark.parametrize("name", CHANNELS)
def test_every_topic_of_a_channel_goes_through(dock: Dock, name: str) -> None:
    channel = Channel(dock, name)
    topics = PROVIDERS[name].topics
    for first in (0, 100, 200):
        for number, topic in enumerate(topics, start=first):
            channel.send(topic, number=number)
    channel.drain()
    assert states(dock) == dict.fromkeys(topics, ("processed", None))
    assert dock.told()


@pytest.mark.parametrize("name", CHANNELS)
def test_every_stored_payload_is_kept_and_told(dock: Dock, name: str) -> None:
    channel = Channel(dock, name)
    payloads = list(samples.stored(name))
    ids = [channel.send(payload.topic, orjson.loads(payload.body)) for payload in payloads]
    channel.drain()
    left = [dock.message(message_id)["state"] for message_id in ids]
    # Some are about the same record, and older.
    assert set(left) <= {"processed", "stale"}
    assert left.count("processed") > len(left) / 2


@pytest.mark.parametrize("name", CHANNELS)
def test_k2_a_webhook_sent_again_changes_and_tells_nothing(dock: Dock, name: str) -> None:
    channel = Channel(dock, name)
    topic = PROVIDERS[name].topics[0]
    channel.send(topic)
    channel.drain()
    events = dock.told()
    assert events
    again = channel.send(topic)
    channel.drain()
    assert dock.message(again)["state"] == "duplicate"
    assert dock.told() == events


def test_a_flipkart_shipment_goes_from_created_to_delivered(dock: Dock) -> None:
    channel = Channel(dock, "flipkart")
    steps = ("shipment_created", "shipment_packed", "shipment_shipped", "shipment_delivered")
    for minute, topic in enumerate(steps):
        channel.send(topic, minute=minute)
    channel.drain()
    assert told(dock, "shipment.") == [
        "shipment.created",
        "shipment.updated",
        "shipment.updated",
        "shipment.updated",
        "shipment.delivered",
    ]
    assert told(dock, "order.created") == ["order.created"]
    [shipment], [order] = dock.rows("shipments"), dock.rows("orders")
    assert (shipment["status"], shipment["order_external_id"]) == ("delivered", order["external_id"])
    assert order["currency"] == "INR"


def test_flipkarts_states_in_any_order_end_in_the_newest_and_lose_no_contents(dock: Dock) -> None:
    channel = Channel(dock, "flipkart")
    for minute, topic in ((3, "shipment_delivered"), (0, "shipment_created"), (2, "shipment_shipped")):
        channel.send(topic, minute=minute)
        channel.drain()
    [shipment] = dock.rows("shipments")
    assert shipment["status"] == "delivered"
    assert shipment["line_items"]
    assert shipment["order_external_id"]
    assert told(dock, "shipment.delivered") == ["shipment.delivered"]


def test_a_flipkart_return_ends_as_returned(dock: Dock) -> None:
    channel = Channel(dock, "flipkart")
    for minute, topic in enumerate(("return_created", "return_picked_up", "return_completed")):
        channel.send(topic, minute=minute)
    channel.drain()
    assert told(dock, "shipment.returned", "refund.") == ["shipment.returned", "refund.created"]


@pytest.mark.parametrize("told_first", ["return_created", "return_completed"])
def test_a_flipkart_return_for_a_replacement_leaves_no_refund(dock: Dock, told_first: str) -> None:
    channel = Channel(dock, "flipkart")
    [stored] = [one for one in samples.stored("flipkart") if one.variant == "replacement"]
    created = orjson.loads(stored.body)
    items = [{"orderItemId": item["orderItemId"]} for item in created["attributes"]["returnItems"]]
    ended = {"eventType": "return_completed", "timestamp": "2026-10-01T10:00:00+05:30", "returnId": created["returnId"]}
    bodies = {
        "return_created": created,
        "return_completed": ended | {"attributes": {"status": "RETURN_COMPLETED", "returnItems": items}},
    }
    for topic in sorted(bodies, key=lambda topic: topic != told_first):
        channel.send(topic, bodies[topic])
        channel.drain()
    assert [row["deleted_at"] is None for row in dock.rows("refunds")] == [False]
    # What was told before anybody could know better stays told.
    early = ["refund.created"] if told_first == "return_completed" else []
    assert told(dock, "shipment.returned", "refund.") == ["shipment.returned", *early]


def test_a_selloship_parcel_that_comes_back_is_told_as_returned_once(dock: Dock) -> None:
    channel = Channel(dock, "selloship")
    for minute, topic in enumerate(("SHIPMENT_CREATED", "SHIPMENT_UPDATED", "SHIPMENT_RTO")):
        channel.send(topic, minute=minute)
    waybill = orjson.loads(samples.make("selloship", "SHIPMENT_RTO", number=3, at=NOW))["waybillDetails"]["waybill"]
    details = {"waybill": waybill, "currentStatus": "RETURN_RECEIVED", "statusDate": "2026-03-02 20:00:00"}
    channel.send("WAYBILL_STATUS", {"Status": "SUCCESS", "waybillDetails": details})
    channel.drain()
    [shipment] = dock.rows("shipments")
    assert (shipment["status"], shipment["provider_status"]) == ("returned", "RETURN_RECEIVED")
    assert told(dock, "shipment.returned") == ["shipment.returned"]


def test_a_myntra_order_and_its_packet_are_two_records(dock: Dock) -> None:
    channel = Channel(dock, "myntra")
    steps = ("order/create", "order/accept", "order/pack", "order/shipped", "order/delivered", "order/cancelItems")
    for minute, topic in enumerate(steps):
        channel.send(topic, minute=minute)
    channel.drain()
    [order], [shipment] = dock.rows("orders"), dock.rows("shipments")
    assert (shipment["order_external_id"], shipment["status"]) == (order["external_id"], "delivered")
    assert order["line_items"]
    assert set(order["attributes"]) >= {"accept", "cancelItems", "paymentMethod"}
    assert told(dock, "order.created", "shipment.created", "shipment.delivered") == [
        "order.created",
        "shipment.created",
        "shipment.delivered",
    ]


def test_metas_events_count_once_in_whatever_company_they_come(dock: Dock) -> None:
    channel = Channel(dock, "facebook")

    def message(mid: str) -> dict[str, Any]:
        return {"sender": {"id": "7"}, "timestamp": 1772452800000, "message": {"mid": mid, "text": "?"}}

    def request(*mids: str) -> dict[str, Any]:
        entry = {"id": "104200000000001", "time": 1772452800000, "messaging": [message(mid) for mid in mids]}
        return {"object": "page", "entry": [entry]}

    for mids in (("m1", "m2"), ("m2",), ("m2", "m3", "m1")):
        channel.send("page/messages", request(*mids))
    channel.drain()
    [user] = dock.rows("users")
    assert user["interactions"]["messagesCount"] == 3
    assert user["external_id"] == "7"


def test_a_manychat_contact_is_a_user_whose_tags_follow(dock: Dock) -> None:
    channel = Channel(dock, "manychat")
    for minute, topic in enumerate(("subscriber.created", "subscriber.tag_added", "subscriber.tag_removed")):
        channel.send(topic, minute=minute)
    channel.drain()
    [user] = dock.rows("users")
    assert user["tags"] == []
    assert (user["manychat_id"], user["custom_fields"]["visits"]) == (user["external_id"], "3")
    assert told(dock, "user.created", "tag.") == ["user.created", "tag.added", "tag.removed", "tag.removed"]


def test_a_manychat_message_that_tells_little_hides_nothing_of_the_next_that_tells_all(dock: Dock) -> None:
    channel = Channel(dock, "manychat")
    full = {"id": "7", "page_id": "4711", "last_interaction": "2026-03-02T11:00:00+00:00", "email": "a@shop.example"}
    channel.send("subscriber.updated", full)
    channel.send(
        "subscriber.tag_added",
        {"event": "subscriber.tag_added", "data": {"id": "7", "page_id": "4711", "tags": ["vip"]}},
    )
    later = full | {"last_interaction": "2026-03-02T11:59:00+00:00", "email": "b@shop.example"}
    last = channel.send("subscriber.updated", later)
    channel.drain()
    [user] = dock.rows("users")
    assert (user["email"], [tag["name"] for tag in user["tags"]]) == ("b@shop.example", ["vip"])
    assert user["attributes"]["last_interaction"] == later["last_interaction"]
    assert dock.message(last)["state"] == "processed"


def test_a_manychat_message_that_is_replayed_counts_as_of_when_it_came(dock: Dock) -> None:
    channel = Channel(dock, "manychat")
    first = channel.send("subscriber.updated", {"id": "7", "page_id": "4711", "email": "a@shop.example"})
    channel.send("subscriber.updated", {"id": "7", "page_id": "4711", "email": "b@shop.example"})
    channel.drain()
    again = restore(dock.message(first))
    assert again is not None
    later = NOW + timedelta(days=1)
    with transaction(dock.engine) as connection:
        listings = load_listings(connection, dock.context.ring, later)
        assert process(connection, [again], listings=listings, now=later, replay=True).stale == 1
    assert [user["email"] for user in dock.rows("users")] == ["b@shop.example"]


def test_a_robaws_article_follows_its_stock(dock: Dock) -> None:
    channel = Channel(dock, "robaws")
    for minute, topic in enumerate(("article.created", "article.stock-changed")):
        channel.send(topic, minute=minute)
    channel.drain()
    [article] = dock.rows("articles")
    sample = samples.make("robaws", "article.stock-changed", number=3, at=NOW + timedelta(minutes=1))
    assert article["stock"] == orjson.loads(sample)["data"]["stock"]
    assert told(dock, "article.") == ["article.created", "article.updated"]
