"""What messages leave open is asked for: an edited order, a shop's own data; once, and only where nobody told since."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.upstream_work import Kind
from tests import envelopes
from tests.doubles.shopify.order import PLACED, Order
from tests.workers.sync.conftest import SHOP, Rig
from workers.inbound.drain import drain
from workers.sync.shopify_reading import whole

LATER = PLACED + timedelta(minutes=5)


@pytest.fixture
def shop(served: Rig) -> Rig:
    """A shop that tells us of everything, and that has told of one order."""
    served.set(sync_debounce_seconds=30.0)
    served.do(Kind.REGISTRATION)
    order = served.shop.order()
    order.add("A", 1990, 3)
    order.add("B", 500, 1)
    tell(served, "orders/create", order.snapshot())
    served.shop.calls.clear()
    return served


def tell(rig: Rig, topic: str, body: dict[str, Any]) -> None:
    """Have the shop post, and all that came drained."""
    assert rig.shop.tell(topic, body) == [200]
    for shard in range(4):
        drain(rig.context, shard, clock=lambda: rig.now)


def due(rig: Rig) -> dict[str, Any]:
    """Do what is due a minute later; how the inquiries stand."""
    rig.forward(minutes=1)
    rig.run()
    return rig.standing(Kind.INQUIRY)


def told(rig: Rig) -> list[str]:
    return [envelopes.read(row["body"])["event"] for row in rig.rows("SELECT body FROM events ORDER BY id")]


def known(rig: Rig) -> dict[str, Any]:
    [row] = rig.rows("SELECT * FROM orders")
    return row


def only(rig: Rig) -> Order:
    [order] = rig.shop.orders
    return order


def two_edited(rig: Rig) -> tuple[Order, Order]:
    """Two orders that are known and were edited since, of which the shop was not asked yet."""
    first, second = only(rig), rig.shop.order()
    second.add("A", 100, 2)
    tell(rig, "orders/create", second.snapshot())
    for minute, order in ((1, first), (2, second)):
        edited = order.edit(less={order.lines[0].id: 1}, at=PLACED + timedelta(minutes=minute))
        tell(rig, "orders/edited", edited)
    return first, second


def test_an_edited_order_ends_as_its_shop_has_it(shop: Rig) -> None:
    order = only(shop)
    tell(shop, "orders/edited", order.put("C", 250, 2, at=LATER))
    # At once what can be known of it: the new line's quantity, and no price.
    assert known(shop)["line_items"][2] == {"id": str(order.lines[2].id), "quantity": 2, "currentQuantity": 2}
    standing = due(shop)
    assert standing["result"] == {"asked": 1, "unexpected": 0, "events": 1}
    row = known(shop)
    assert row["version"] == LATER
    assert (row["total_minor"], row["subtotal_minor"]) == (order.cents, order.cents)
    assert row["line_items"][2]["priceMinor"] == 250
    assert row["email"] == "zoe@lindenhof.example"  # which was not asked for
    assert told(shop) == ["order.created", "order.paid", "order.updated", "order.updated"]
    assert shop.rows("SELECT * FROM inquiries") == []
    # What a webhook tells of the same state afterwards is no news, so both say it in the same words.
    tell(shop, "orders/updated", order.snapshot())
    assert told(shop)[4:] == []
    assert known(shop)["line_items"] == row["line_items"]


def test_an_edited_order_in_a_currency_that_we_do_not_know_is_read_but_for_its_amounts(shop: Rig) -> None:
    order = only(shop)
    order.currency, order.updated_at = "XYZ", LATER - timedelta(seconds=1)
    tell(shop, "orders/updated", order.snapshot())
    tell(shop, "orders/edited", order.put("C", 250, 2, at=LATER))
    assert due(shop)["result"] == {"asked": 1, "unexpected": 0, "events": 1}
    row = known(shop)
    assert (row["currency"], row["total_minor"], row["presentment"], row["version"]) == ("XYZ", None, None, LATER)
    assert [line["priceMinor"] for line in row["line_items"]] == [None] * 3
    assert row["line_items"][0]["attributes"]["price"] == "19.90"
    assert row["attributes"]["total_price_set"]["shop_money"]["currency_code"] == "XYZ"


def test_a_repeat_and_a_second_asking_change_and_tell_nothing(shop: Rig) -> None:
    edited = only(shop).edit(less={only(shop).lines[0].id: 1}, at=LATER)
    tell(shop, "orders/edited", edited)
    due(shop)
    before, events = known(shop), told(shop)
    tell(shop, "orders/edited", edited)
    due(shop)
    assert (known(shop), told(shop)) == (before, events)


def test_what_a_snapshot_has_told_since_is_not_asked_for(shop: Rig) -> None:
    order = only(shop)
    tell(shop, "orders/edited", order.edit(less={order.lines[0].id: 1}, at=LATER))
    order.updated_at = LATER + timedelta(seconds=1)
    tell(shop, "orders/updated", order.snapshot())
    assert due(shop)["result"]["asked"] == 0
    assert shop.shop.calls == []
    assert shop.rows("SELECT * FROM inquiries") == []


def test_an_order_that_we_never_had_or_that_is_gone_there_is_left_alone(shop: Rig) -> None:
    stranger = Order(77)
    stranger.add("Z", 100, 1)
    tell(shop, "orders/edited", stranger.edit(less={stranger.lines[0].id: 1}, at=LATER))
    tell(shop, "orders/edited", only(shop).edit(less={only(shop).lines[0].id: 1}, at=LATER))
    shop.shop.orders.clear()
    events = told(shop)
    assert due(shop)["state"] == "done"
    assert shop.shop.calls == ["order"]
    assert (told(shop), shop.rows("SELECT * FROM inquiries")) == (events, [])
    assert len(shop.rows("SELECT * FROM orders")) == 1


def test_many_edits_are_one_question(shop: Rig) -> None:
    order = only(shop)
    for minute in range(1, 4):
        edited = order.edit(more={order.lines[0].id: 1}, at=PLACED + timedelta(minutes=minute))
        tell(shop, "orders/edited", edited)
    assert due(shop)["result"]["asked"] == 1
    assert shop.shop.calls == ["order"]
    assert known(shop)["line_items"][0]["quantity"] == 6


def test_an_order_of_many_lines_is_asked_for_whole(shop: Rig) -> None:
    order = only(shop)
    for number in range(160):
        order.add(f"L{number}", 100, 1)
    tell(shop, "orders/edited", order.edit(less={order.lines[0].id: 1}, at=LATER))
    due(shop)
    assert [line["id"] for line in known(shop)["line_items"]] == [str(line.id) for line in order.lines]
    assert shop.shop.calls == ["order"] * 3


def test_a_snapshot_that_comes_while_the_shop_is_asked_wins(shop: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    order = only(shop)
    tell(shop, "orders/edited", order.edit(less={order.lines[0].id: 1}, at=LATER))
    answered = order.node()

    def node() -> dict[str, Any]:
        order.edit(less={order.lines[0].id: 1}, at=LATER + timedelta(minutes=1))
        tell(shop, "orders/updated", order.snapshot())
        return answered

    monkeypatch.setattr(order, "node", node)
    due(shop)
    assert (known(shop)["version"], known(shop)["line_items"][0]["currentQuantity"]) == (order.updated_at, 1)


def test_what_is_asked_for_again_meanwhile_stays_open(shop: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    order = only(shop)
    tell(shop, "orders/edited", order.edit(less={order.lines[0].id: 1}, at=LATER))
    real, answers = order.node, []

    def node() -> dict[str, Any]:
        if not answers:
            answers.append(real())
            edited = order.edit(less={order.lines[0].id: 1}, at=LATER + timedelta(minutes=1))
            tell(shop, "orders/edited", edited)
            return answers[0]
        return real()

    monkeypatch.setattr(order, "node", node)
    due(shop)
    assert known(shop)["line_items"][0]["currentQuantity"] == 1
    assert shop.rows("SELECT * FROM inquiries") == []
    assert shop.shop.calls == ["order", "order"]


@pytest.mark.parametrize(
    ("broken", "value"),
    [("totalPriceSet", None), ("updatedAt", 7), ("lineItems", [{"id": 1, "quantity": None}]), ("tags", None)],
)
def test_an_answer_that_is_no_order_holds_up_no_other(shop: Rig, broken: str, value: Any) -> None:
    first, _ = two_edited(shop)
    node = first.node() | {broken: value}
    first.node = lambda: node  # type: ignore[method-assign]
    standing = due(shop)
    assert (standing["state"], standing["result"]["asked"], standing["result"]["unexpected"]) == ("done", 1, 1)
    assert shop.rows("SELECT * FROM inquiries") == []


def test_trouble_is_tried_again_and_what_is_not_granted_is_told(shop: Rig) -> None:
    order = only(shop)
    tell(shop, "orders/edited", order.edit(less={order.lines[0].id: 1}, at=LATER))
    shop.shopify.fail(500, times=3)
    failed = due(shop)
    assert (failed["state"], failed["error_code"]) == ("failed", "server_error")
    shop.now = failed["due_at"]
    shop.run()
    assert shop.standing(Kind.INQUIRY)["state"] == "done"
    shop.shop.denied.add("order")
    tell(shop, "orders/edited", order.edit(less={order.lines[0].id: 1}, at=LATER + timedelta(minutes=9)))
    assert due(shop)["error_code"] == "access_denied"
    assert [row["kind"] for row in shop.rows("SELECT kind FROM alerts WHERE resolved_at IS NULL")] == [
        "inquiry.failing"
    ]


def test_a_worker_that_dies_leaves_what_it_did_not_come_to(shop: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    _, second = two_edited(shop)

    with monkeypatch.context() as patch:
        patch.setattr("workers.sync.shopify_orders.whole", _dies_at_the_second())
        with pytest.raises(KeyboardInterrupt):
            due(shop)
    assert [row["subject"] for row in shop.rows("SELECT subject FROM inquiries")] == [f"order:{second.id}"]
    shop.forward(seconds=shop.context.settings.lease_seconds + 1)
    shop.run()
    assert shop.rows("SELECT * FROM inquiries") == []


def _dies_at_the_second() -> Any:
    asked: list[object] = []

    def dies(*given: Any) -> Any:
        asked.append(given)
        if len(asked) > 1:
            raise KeyboardInterrupt
        return whole(*given)

    return dies


def test_a_shop_whose_data_changed_has_its_document_written_anew(shop: Rig) -> None:
    shop.do(Kind.SYNC)
    shop.shop.calls.clear()
    shop.shop.details |= {"name": "Kettles & Daughters", "currencyCode": "CHF"}
    tell(shop, "shop/update", {"id": 1, "shop_owner": "Zoë", "name": "Kettles & Daughters"})
    assert due(shop)["state"] == "done"
    assert shop.shop.calls == ["shop"]  # and not its products
    path = f"users/{shop.account}/shopify/{SHOP}/shop_metadata.json"
    [row] = shop.rows(f"SELECT body FROM documents WHERE path = '{path}'")
    document = json.loads(row["body"])
    assert document["shop"]["name"] == "Kettles & Daughters"
    assert datetime.fromisoformat(document["syncedAt"]) > shop.now - timedelta(minutes=1)
    assert shop.rows("SELECT settings FROM sources")[0]["settings"]["currencies"] == {SHOP: "CHF"}


def test_what_a_shop_does_not_know_of_an_order_is_left_as_it_was(shop: Rig) -> None:
    order = only(shop)
    before = known(shop)
    tell(shop, "orders/edited", order.put("C", 250, 2, at=LATER))
    node = order.node() | dict.fromkeys(("totalTaxSet", "totalDiscountsSet", "displayFinancialStatus"))
    order.node = lambda: node  # type: ignore[method-assign]
    assert due(shop)["result"]["unexpected"] == 0
    row = known(shop)
    assert (row["version"], row["total_minor"]) == (LATER, order.cents)
    assert [row[name] for name in ("tax_minor", "discount_minor", "financial_status")] == [
        before[name] for name in ("tax_minor", "discount_minor", "financial_status")
    ]
    assert row["attributes"].get("financial_status") != "none"
