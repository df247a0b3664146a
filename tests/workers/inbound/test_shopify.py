"""A shop's webhooks on their way to records and events, with every topic that there is."""

import random
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest

from shared.providers import samples
from shared.providers.registry import PROVIDERS
from shared.providers.shopify import sample_orders
from tests.workers import rows
from tests.workers.inbound.dock import NOW, SHOP, Dock
from workers.inbound.drain import drain

TOPICS = PROVIDERS["shopify"].topics
ORDER = "9110000000000000004"


def at(minute: int) -> datetime:
    return NOW + timedelta(minutes=minute)


def body(topic: str, minute: int = 0, number: int = 3, **changed: Any) -> dict[str, Any]:
    made: dict[str, Any] = orjson.loads(samples.make("shopify", topic, number=number, at=at(minute), tenant=SHOP))
    return made | changed


def told(dock: Dock, prefix: str = "") -> list[str]:
    return [event for event in dock.told() if event.startswith(prefix)]


@pytest.mark.parametrize("first", [0, 100, 200])
def test_every_topic_of_a_shop_goes_through(dock: Dock, first: int) -> None:
    # Each about a customer, order or product of its own: one that is deleted takes nothing more.
    for number, topic in enumerate(TOPICS, start=first):
        dock.post(topic, body(topic, number=number))
    dock.drain()
    left = {message["topic"]: (message["state"], message["reason"]) for message in dock.rows("messages")}
    assert left == dict.fromkeys(TOPICS, ("processed", None))
    for table in ("users", "orders", "refunds", "products", "inventory_levels", "shipments", "exports", "erasures"):
        assert dock.rows(table), table


def test_an_order_is_told_as_it_goes_on_and_each_step_once(dock: Dock) -> None:
    for minute, topic in enumerate(("orders/create", "orders/paid", "orders/fulfilled", "orders/cancelled")):
        snapshot = body(topic, minute)
        # The same state is told by its own topic and by orders/updated, in either order.
        for told_as in (topic, "orders/updated"):
            dock.post(told_as, snapshot, triggered_at=at(minute))
    dock.drain()
    assert told(dock, "order.") == [
        "order.created",
        "order.updated",
        "order.paid",
        "order.updated",
        "order.fulfilled",
        "order.updated",
        "order.cancelled",
    ]
    [order] = dock.rows("orders")
    assert (order["external_id"], order["status"], order["version"]) == (ORDER, "cancelled", at(3))


def test_snapshots_in_any_order_end_in_the_newest(dock: Dock) -> None:
    steps = list(enumerate(("orders/create", "orders/updated", "orders/paid", "orders/fulfilled")))
    random.Random(7).shuffle(steps)
    for minute, topic in [*steps, *steps]:
        dock.post(topic, body(topic, minute), triggered_at=at(minute))
    dock.drain()
    [order] = dock.rows("orders")
    assert (order["version"], order["financial_status"], order["fulfillment_status"]) == (at(3), "paid", "fulfilled")
    for once in ("order.created", "order.paid", "order.fulfilled"):
        assert told(dock, once) == [once]


def test_when_a_record_came_to_be_is_what_the_shop_says_in_every_event(dock: Dock) -> None:
    for topic in ("customers/create", "orders/create", "products/create", "fulfillments/create", "refunds/create"):
        dock.post(topic, body(topic))
    dock.drain()
    for envelope, topic in zip(
        dock.envelopes(), ("customers", "orders", "products", "fulfillments", "refunds"), strict=True
    ):
        [record] = [one for name, one in envelope["data"].items() if name != "changes"]
        created = datetime.fromisoformat(body(f"{topic}/create")["created_at"])
        assert datetime.fromisoformat(record["timestamps"]["createdAt"]) == created, topic


def test_an_order_of_250_lines_is_kept_and_told_whole(dock: Dock) -> None:
    dock.post("orders/create", orjson.loads(orjson.dumps(sample_orders.order("orders/create", 3, NOW, lines=250))))
    dock.drain()
    [order] = dock.rows("orders")
    [envelope] = dock.envelopes()
    assert len(order["line_items"]) == len(envelope["data"]["order"]["lineItems"]) == 250
    assert order["total_minor"] == envelope["data"]["order"]["totalMinor"]


def test_an_order_that_is_deleted_stays_so(dock: Dock) -> None:
    dock.post("orders/create", body("orders/create"))
    dock.post("orders/delete", body("orders/delete"), triggered_at=at(9))
    late = dock.post("orders/updated", body("orders/updated", 5), triggered_at=at(5))
    dock.drain()
    assert told(dock) == ["order.created", "order.deleted"]
    assert dock.message(late)["state"] == "stale"


def test_a_refund_that_is_on_its_way_is_told_again_once_its_money_went_back(dock: Dock) -> None:
    refund = body("refunds/create")
    [transaction] = refund["transactions"]
    pending = refund | {"transactions": [transaction | {"status": "pending"}]}
    dock.post("refunds/create", pending)
    for minute in (1, 2):
        dock.post("orders/updated", body("orders/updated", minute, refunds=[refund]), triggered_at=at(minute))
    late = dock.post("refunds/create", pending)
    dock.drain()
    [row] = dock.rows("refunds")
    assert row["amount_minor"] == row["line_items"][0]["amountMinor"] > 0
    assert row["presentment"]["currency"] == "JPY"
    assert told(dock, "refund.") == ["refund.created", "refund.updated"]
    assert dock.message(late)["state"] == "stale"
    updated = next(one for one in dock.envelopes() if one["event"] == "refund.updated")
    assert updated["data"]["changes"]["amountMinor"] == {"old": None, "new": row["amount_minor"]}


def test_a_refund_is_heard_of_in_its_order_alone_too(dock: Dock) -> None:
    dock.post("orders/updated", body("orders/updated", 1, refunds=[body("refunds/create")]))
    dock.post("refunds/create", body("refunds/create"))
    dock.drain()
    assert told(dock) == ["order.created", "refund.created"]


def test_a_parcel_is_told_until_it_is_there(dock: Dock) -> None:
    words = (None, "in_transit", "delivered")
    for minute, word in enumerate(words):
        dock.post("fulfillments/update", body("fulfillments/update", minute, shipment_status=word))
    dock.drain()
    assert told(dock) == ["shipment.created", "shipment.updated", "shipment.updated", "shipment.delivered"]


def test_a_parcel_was_delivered_when_it_was_first_told_and_not_when_it_was_last_written_to(dock: Dock) -> None:
    words = ((-11_522, "in_transit"), (-11_521, "delivered"), (-2, "delivered"))  # the last eight days later
    for minute, word in words:
        dock.post("fulfillments/update", body("fulfillments/update", minute, shipment_status=word, name=f"#{minute}"))
    dock.drain()
    [parcel] = dock.rows("shipments")
    assert (parcel["delivered_at"], parcel["version"]) == (at(-11_521), at(-2))
    # One that was not there after all, and then is.
    for minute, word in ((-1, "failure"), (0, "delivered")):
        dock.post("fulfillments/update", body("fulfillments/update", minute, shipment_status=word))
        dock.drain()
        [parcel] = dock.rows("shipments")
        assert parcel["delivered_at"] == (at(minute) if word == "delivered" else None)


def test_stock_is_the_last_that_was_counted(dock: Dock) -> None:
    for minute, available in ((2, 5), (1, 9), (3, None)):
        dock.post("inventory_levels/update", body("inventory_levels/update", minute, available=available))
    dock.drain()
    [level] = dock.rows("inventory_levels")
    assert level["available"] is None
    assert told(dock) == ["inventory.updated", "inventory.updated"]


def test_a_source_that_leaves_topics_out_cannot_leave_out_what_the_law_asks_for(dock: Dock) -> None:
    narrow = rows.source(dock.engine, dock.account_id, allowed_topics=["customers/create"])
    # The drain looks the sources up anew within a second, or at one that it does not know: this one.
    for topic in ("customers/redact", "orders/create"):
        dock.post(topic, body(topic), source_id=narrow, shard=dock.shard)
    drain(dock.context, dock.shard, clock=lambda: NOW)
    left = {message["topic"]: message["state"] for message in dock.rows("messages")}
    assert left == {"customers/redact": "processed", "orders/create": "ignored"}
    assert len(dock.rows("erasures")) == 1
