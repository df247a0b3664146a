"""An order's edits on their way: added to what an older snapshot told, once each, and asked for where one can ask."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from shared.ids import new_id
from tests.doubles.shopify.order import Order
from tests.workers.inbound.dock import NOW, SHOP, Dock

ORDER = 9_110_000_000_000_000_004


def at(minute: int) -> Any:
    return NOW + timedelta(minutes=minute)


def connect(dock: Dock, *, credentials: str | None = "sealed", state: str = "active") -> UUID:
    """Have the shop connected, as far as the drain looks."""
    values = {"id": new_id(), "account": dock.account_id, "source": dock.source_id, "shop": SHOP.upper()}
    with dock.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO integrations (id, account_id, source_id, external_id, state, credentials, created_at,"
                " updated_at) VALUES (:id, :account, :source, :shop, :state, :credentials, now(), now())"
            ),
            values | {"state": state, "credentials": credentials},
        )
    return UUID(str(values["id"]))


@pytest.fixture
def order() -> Order:
    """One of two lines, last changed at the beginning."""
    made = Order(ORDER, updated_at=NOW)
    made.add("A", 1990, 3)
    made.add("B", 500, 1)
    return made


def quantities(dock: Dock) -> list[tuple[int, int]]:
    [row] = dock.rows("orders")
    return [(line["quantity"], line["currentQuantity"]) for line in row["line_items"]]


def test_an_edit_is_told_with_the_quantities_that_it_left(dock: Dock, order: Order) -> None:
    first, second = order.lines
    dock.post("orders/create", order.snapshot())
    dock.post("orders/edited", order.edit(more={second.id: 1}, less={first.id: 2}, at=at(5)))
    dock.drain()
    assert dock.told() == ["order.created", "order.paid", "order.updated"]
    told = dock.envelopes()[-1]["data"]
    assert [line["currentQuantity"] for line in told["order"]["lineItems"]] == [1, 2]
    assert set(told["changes"]) == {"lineItems"}
    assert quantities(dock) == [(3, 1), (2, 2)]
    # It is not what a snapshot of then would be: the one that comes is not stale.
    [row] = dock.rows("orders")
    assert row["version"] == NOW
    later = dock.post("orders/updated", order.snapshot())
    dock.drain()
    assert dock.message(later)["state"] == "processed"
    assert dock.rows("orders")[0]["total_minor"] == order.cents


def test_an_edit_that_a_snapshot_has_already_is_stale_and_tells_nothing(dock: Dock, order: Order) -> None:
    dock.post("orders/create", order.snapshot())
    edited = order.edit(less={order.lines[0].id: 1}, at=at(5))
    dock.post("orders/updated", order.snapshot())
    late = dock.post("orders/edited", edited)
    dock.drain()
    assert dock.message(late)["state"] == "stale"
    assert dock.told() == ["order.created", "order.paid", "order.updated"]
    assert quantities(dock) == [(3, 2), (1, 1)]


def test_an_edit_told_twice_counts_once_whoever_repeats_it(dock: Dock, order: Order) -> None:
    dock.post("orders/create", order.snapshot())
    edited = order.edit(less={order.lines[0].id: 1}, at=at(5))
    for delivery in ("one", "one", "another"):
        dock.post("orders/edited", edited, delivery_id=delivery)
        dock.drain()
    assert quantities(dock) == [(3, 2), (1, 1)]
    assert dock.told().count("order.updated") == 1


def test_two_edits_in_the_wrong_order_both_count(dock: Dock, order: Order) -> None:
    dock.post("orders/create", order.snapshot())
    edits = [order.edit(less={order.lines[0].id: 1}, at=at(minute)) for minute in (5, 6)]
    for edited in reversed(edits):
        dock.post("orders/edited", edited)
    dock.drain()
    assert quantities(dock) == [(3, 1), (1, 1)]


def test_of_an_order_that_is_not_known_or_gone_an_edit_makes_none(dock: Dock, order: Order) -> None:
    edited = order.edit(less={order.lines[0].id: 1}, at=at(5))
    first = dock.post("orders/edited", edited)
    dock.drain()
    assert (dock.rows("orders"), dock.told(), dock.message(first)["state"]) == ([], [], "processed")
    dock.post("orders/create", order.snapshot())
    dock.post("orders/delete", {"id": ORDER}, triggered_at=at(6))
    last = dock.post("orders/edited", order.edit(less={order.lines[0].id: 1}, at=at(7)))
    dock.drain()
    assert dock.message(last)["state"] == "stale"
    assert dock.told()[-1] == "order.deleted"


def test_where_the_shop_can_be_asked_the_order_is_open_until_it_was(dock: Dock, order: Order) -> None:
    integration = connect(dock)
    for minute in (5, 7, 6):
        dock.post("orders/edited", order.edit(less={order.lines[0].id: 1}, at=at(minute)))
    dock.post("shop/update", {"id": 1, "shop_owner": "Zoë"})
    dock.drain()
    subjects = {row["subject"]: (row["integration_id"], row["at"], row["times"]) for row in dock.rows("inquiries", "1")}
    assert subjects == {f"order:{ORDER}": (integration, at(7), 1), f"shop:{SHOP}": (integration, NOW, 1)}
    [work] = dock.rows("upstream_work", "1")
    wait = timedelta(hours=1, seconds=dock.context.settings.sync_debounce_seconds)
    assert (work["kind"], work["due_at"]) == ("inquiry", NOW + wait)
    dock.post("orders/edited", order.commit(added={}, removed={}, at=at(4)))
    dock.drain()
    [again] = [row for row in dock.rows("inquiries", "1") if row["subject"].startswith("order:")]
    assert (again["at"], again["times"]) == (at(7), 2)


@pytest.mark.parametrize("how", [{"credentials": None}, {"state": "disabled"}])
def test_where_nobody_can_be_asked_nothing_is_left_open(dock: Dock, order: Order, how: dict[str, Any]) -> None:
    connect(dock, **how)
    dock.post("orders/edited", order.edit(less={order.lines[0].id: 1}, at=at(5)))
    dock.post("products/delete", {"id": 7})
    dock.drain()
    assert (dock.rows("inquiries", "1"), dock.rows("upstream_work", "1")) == ([], [])
