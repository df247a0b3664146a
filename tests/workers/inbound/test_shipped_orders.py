"""An order that is told of through its shipments: what it comes to, in whatever order they are told of."""

import itertools
import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from shared.clock import to_json
from shared.providers.contract import Change
from shared.record_changes import record_change
from shared.record_kinds import KINDS
from tests.workers.inbound.dock import NOW, Dock
from tests.workers.inbound.test_channels import Channel, told
from workers.inbound.shipped_orders import consequences, followed

ORDER = "OD400000000000000001"


def at(minute: int) -> str:
    return (NOW + timedelta(minutes=minute)).isoformat()


def item(item_id: str, rupees: int, *, order: str = ORDER, **more: Any) -> dict[str, Any]:
    prices = {"sellingPrice": rupees, "totalPrice": rupees, "shippingCharge": 10}
    return {
        "orderItemId": item_id,
        "orderId": order,
        "quantity": 1,
        "paymentType": "COD",
        "priceComponents": prices,
    } | more


def created(shipment: str, *items: dict[str, Any], minute: int = 0) -> dict[str, Any]:
    frame = {"eventType": "shipment_created", "timestamp": at(minute), "shipmentId": shipment}
    return frame | {"attributes": {"orderItems": list(items)}}


def became(shipment: str, what: str, *, minute: int, **attributes: Any) -> dict[str, Any]:
    frame = {"eventType": f"shipment_{what}", "timestamp": at(minute), "shipmentId": shipment}
    return frame | {"attributes": {"status": what.upper()} | attributes}


def hear(dock: Dock, *bodies: dict[str, Any], one_by_one: bool = False) -> Channel:
    channel = Channel(dock, "flipkart")
    for body in bodies:
        channel.send(body["eventType"], body)
        if one_by_one:
            channel.drain()
    channel.drain()
    return channel


def order_of(dock: Dock, order: str = ORDER) -> dict[str, Any]:
    [row] = [row for row in dock.rows("orders") if row["external_id"] == order]
    return row


def stands(dock: Dock) -> tuple[str, str]:
    row = order_of(dock)
    return row["status"], row["fulfillment_status"]


TWO = (created("S1", item("1", 100)), created("S2", item("2", 250), minute=1))


@pytest.mark.parametrize("bodies", [TWO, TWO[::-1]])
def test_two_shipments_are_one_order_of_both_their_lines_and_of_the_sum(dock: Dock, bodies: Any) -> None:
    hear(dock, *bodies)
    order = order_of(dock)
    assert (order["total_minor"], order["shipping_minor"], order["currency"]) == (35_000, 2_000, "INR")
    assert [(line["id"], line["totalMinor"]) for line in order["line_items"]] == [("1", 10_000), ("2", 25_000)]
    assert "shippingMinor" not in order["line_items"][0]
    assert order["attributes"]["shipment:S1"]["totalMinor"] == 10_000
    assert told(dock, "order.") == ["order.created", "order.updated"]


def test_a_shipment_that_is_told_of_late_adds_its_lines_and_stands_as_it_does_by_then(dock: Dock) -> None:
    channel = hear(dock, TWO[0], became("S1", "shipped", minute=5), became("S2", "shipped", minute=6))
    assert stands(dock) == ("open", "fulfilled")
    late = channel.send("shipment_created", TWO[1])
    channel.drain()
    assert dock.message(late)["state"] == "processed"
    assert (order_of(dock)["total_minor"], stands(dock)) == (35_000, ("open", "fulfilled"))
    assert [row["status"] for row in dock.rows("shipments")] == ["shipped", "shipped"]


def test_documented_traffic_tells_of_fulfilled_and_cancelled_orders(dock: Dock) -> None:
    hear(dock, created("S1", item("1", 100)), became("S1", "packed", minute=1), became("S1", "shipped", minute=2))
    assert stands(dock) == ("open", "fulfilled")
    hear(dock, became("S1", "delivered", minute=3))
    assert stands(dock) == ("closed", "fulfilled")
    assert told(dock, "order.") == ["order.created", "order.updated", "order.fulfilled", "order.updated"]
    reason = {"orderItemId": "9", "quantity": 1, "reason": "seller_cancellation"}
    hear(dock, created("S9", item("9", 90, order="OD9")), became("S9", "cancelled", minute=4, orderItems=[reason]))
    cancelled = order_of(dock, "OD9")
    assert (cancelled["status"], cancelled["cancel_reason"]) == ("cancelled", "seller_cancellation")
    assert cancelled["cancelled_at"] == NOW + timedelta(minutes=4)
    assert told(dock, "order.")[-2:] == ["order.updated", "order.cancelled"]


STORY = (
    *TWO,
    became("S1", "shipped", minute=2),
    became("S2", "cancelled", minute=3),
    became("S1", "delivered", minute=4),
)


@pytest.mark.parametrize("one_by_one", [True, False])
@pytest.mark.parametrize("order", [*itertools.islice(itertools.permutations(range(5)), 0, 120, 17)])
def test_whatever_order_they_are_told_in_the_order_ends_the_same(
    dock: Dock, order: tuple[int, ...], one_by_one: bool
) -> None:
    hear(dock, *(STORY[number] for number in order), one_by_one=one_by_one)
    row = order_of(dock)
    assert (row["total_minor"], stands(dock), row["cancelled_at"]) == (35_000, ("closed", "fulfilled"), None)
    assert [(line["id"], line["status"]) for line in row["line_items"]] == [("1", "fulfilled"), ("2", None)]
    assert told(dock, "order.created", "order.fulfilled", "order.cancelled").count("order.created") == 1


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ((None, None), ("open", "unfulfilled")),
        (("shipped", None), ("open", "partial")),
        (("shipped", "delivered"), ("open", "fulfilled")),
        (("delivered", "delivered"), ("closed", "fulfilled")),
        (("cancelled", None), ("open", "unfulfilled")),
        (("cancelled", "shipped"), ("open", "fulfilled")),
        (("cancelled", "cancelled"), ("cancelled", "unfulfilled")),
        (("hold", "packed"), ("open", "unfulfilled")),
    ],
)
def test_an_order_stands_as_its_shipments_do(dock: Dock, states: Any, expected: Any) -> None:
    bodies = [became(f"S{n}", state, minute=5) for n, state in enumerate(states, start=1) if state is not None]
    hear(dock, *TWO, *bodies)
    assert stands(dock) == expected


def test_a_line_that_is_sent_again_after_a_cancellation_counts_once_and_one_in_two_parcels_adds_up(dock: Dock) -> None:
    hear(dock, created("S1", item("1", 100)), became("S1", "cancelled", minute=1))
    hear(dock, created("S2", item("1", 100), minute=2))
    assert (order_of(dock)["total_minor"], stands(dock)) == (10_000, ("open", "unfulfilled"))
    assert order_of(dock)["cancelled_at"] is None
    hear(dock, created("S3", item("1", 100), minute=3))
    [line] = order_of(dock)["line_items"]
    assert (line["quantity"], line["totalMinor"], order_of(dock)["total_minor"]) == (2, 20_000, 20_000)


def test_an_order_that_is_paid_is_told_as_such_by_its_first_shipment_and_once(dock: Dock) -> None:
    hear(dock, *(created(f"S{n}", item(f"{n}", 100, paymentType="PREPAID"), minute=n) for n in (1, 2)))
    assert told(dock, "order.") == ["order.created", "order.paid", "order.updated"]


def test_a_shipment_of_two_orders_moves_both(dock: Dock) -> None:
    hear(dock, created("S1", item("1", 100), item("2", 50, order="OD2")), became("S1", "delivered", minute=1))
    assert {row["external_id"]: row["status"] for row in dock.rows("orders")} == {ORDER: "closed", "OD2": "closed"}
    assert (order_of(dock)["total_minor"], order_of(dock, "OD2")["total_minor"]) == (10_000, 5_000)
    assert told(dock, "order.fulfilled") == ["order.fulfilled"] * 2


def whole(status: str, *, minute: int, **attributes: Any) -> dict[str, Any]:
    frame = {"eventType": "ORDER_UPDATED", "timestamp": at(minute), "orderId": ORDER}
    return frame | {"attributes": {"status": status} | attributes}


def test_what_is_told_of_the_order_itself_is_not_the_shipments_to_change(dock: Dock) -> None:
    lines = [item("1", 100), item("2", 250), item("3", 5)]
    hear(dock, whole("APPROVED", minute=0, orderItems=lines, totalAmount="355.00", paymentStatus="PAID"))
    hear(dock, created("S1", item("1", 100), minute=1), became("S1", "shipped", minute=2))
    order = order_of(dock)
    assert (order["total_minor"], len(order["line_items"]), order["financial_status"]) == (35_500, 3, "paid")
    assert stands(dock) == ("open", "partial")  # two lines are in no parcel yet
    hear(dock, whole("CANCELLED", minute=3), became("S1", "delivered", minute=4))
    assert order_of(dock)["status"] == "cancelled"


def test_money_of_another_currency_is_left_alone(dock: Dock) -> None:
    hear(dock, whole("APPROVED", minute=0, currency="KWD"), *TWO)
    order = order_of(dock)
    assert (order["currency"], order["total_minor"], order["line_items"]) == ("KWD", None, [])


def test_a_shipment_that_was_shipped_before_the_order_is_known_makes_no_order(dock: Dock) -> None:
    hear(dock, became("S1", "shipped", minute=5))
    assert dock.rows("orders") == []
    hear(dock, created("S1", item("1", 100)))
    assert stands(dock) == ("open", "fulfilled")
    assert told(dock, "order.") == ["order.created", "order.updated", "order.fulfilled"]


def test_what_is_said_again_by_another_source_tells_of_nothing(dock: Dock) -> None:
    hear(dock, *STORY)
    events = dock.told()
    hear(dock, *STORY)
    assert dock.told() == events


def test_an_order_of_before_that_kept_no_lines_by_shipment_keeps_those_it_has(dock: Dock) -> None:
    hear(dock, TWO[0])
    old = {"shipment:S1": {"totalMinor": 10_000, "lineItemIds": ["1"]}}
    with dock.engine.begin() as connection:
        connection.execute(text("UPDATE orders SET attributes = CAST(:old AS jsonb)"), {"old": json.dumps(old)})
    hear(dock, TWO[1])
    assert [line["id"] for line in order_of(dock)["line_items"]] == ["1"]


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.just("1"),
    lambda some: st.lists(some, max_size=3) | st.dictionaries(st.sampled_from(["id", "quantity", "lineItems"]), some),
)
SAID = st.dictionaries(
    st.sampled_from(["lineItems", "placedAt", "number", "currency", "financialStatus", "status", "cancelledAt"]), ANY
)
KEYS = st.sampled_from(["shipment:1", "shipment:2", "shipment_state:1", "shipment_state:2", "shipment_1_at", "x"])


@given(st.dictionaries(KEYS, ANY | SAID), st.dictionaries(KEYS, ANY | SAID), ANY)
def test_whatever_stands_in_attributes_an_order_can_be_written_down(earlier: Any, now: Any, order_ids: Any) -> None:
    blank = {**KINDS["order"].blank, "version": None}
    for before in (None, {**blank, "attributes": earlier}):
        columns = followed(before, {**blank, "attributes": now})
        change = Change("order", "upsert", "1", NOW, columns)
        record_change(change, account_id=UUID(int=1), provider="p", tenant="", version=NOW)
    told_of = Change("shipment", "upsert", "1", NOW, {"status": "shipped"})
    shipment = record_change(told_of, account_id=UUID(int=1), provider="p", tenant="", version=NOW)
    after = {"attributes": {"orderIds": order_ids}, "status": "shipped", "version": NOW}
    assert all(isinstance(one.key.external_id, str) for one in consequences(shipment, None, after))


def instant(minute: int) -> datetime:
    return NOW + timedelta(minutes=minute)


def test_each_part_has_its_clock(dock: Dock) -> None:
    hear(dock, *STORY)
    attributes = order_of(dock)["attributes"]
    assert attributes["shipment_S2_at"].startswith(to_json(instant(1))[:19])
    assert attributes["state_of_shipment_S2_at"].startswith(to_json(instant(3))[:19])
    assert attributes["shipment_state:S2"]["status"] == "cancelled"
