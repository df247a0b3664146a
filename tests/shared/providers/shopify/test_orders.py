"""Orders, their refunds and their parcels, in minor units of the shop's currency."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from shared.errors import PayloadUnexpected
from shared.providers.shopify import sample_orders
from tests.shared.providers.acting import NOW
from tests.shared.providers.shopify.shop import ACT, change, stored

SNAPSHOTS = ["orders/create", "orders/updated", "orders/cancelled", "orders/paid", "orders/fulfilled"]


def test_an_order_becomes_ours_with_text_ids_and_whole_minor_units():
    found = change("orders/create", stored("orders/create"))
    assert (found.kind, found.op, found.external_id) == ("order", "upsert", "9110000000000000732")
    assert found.version == datetime(2026, 11, 5, 3, 12, 30, tzinfo=UTC)
    fields = found.fields
    assert (fields["number"], fields["status"], fields["currency"]) == ("#1731", "open", "EUR")
    assert (fields["financial_status"], fields["fulfillment_status"]) == ("pending", "unfulfilled")
    assert fields["customer_external_id"] == "7230000000000000732"
    assert fields["shipping_address"]["name"] == "Anaïs Ørsted–Łuczak"
    assert fields["line_items"][2] == {
        "id": "9110000001000731003",
        "sku": "CHN-013",
        "title": "Чайник эмалированный",
        "quantity": 3,
        "currentQuantity": 3,
        "priceMinor": 5420,
        "totalMinor": 16260,
        "productId": "9220000000000000014",
        "variantId": "9220000000010013001",
        "status": "unfulfilled",
    }
    # A custom line is of no product.
    assert (fields["line_items"][1]["sku"], fields["line_items"][1]["productId"]) == (None, None)


@pytest.mark.parametrize("topic", SNAPSHOTS)
def test_whatever_the_topic_the_snapshot_means_the_same(topic):
    body = stored("orders/updated")
    assert change(topic, body) == change("orders/updated", body)


@pytest.mark.parametrize("number", range(14))
def test_the_amounts_of_an_order_add_up(number):
    fields = change("orders/paid", sample("orders/paid", number)).fields
    assert sum(line["totalMinor"] for line in fields["line_items"]) == fields["subtotal_minor"]
    assert fields["subtotal_minor"] + fields["shipping_minor"] == fields["total_minor"]
    listed = sum(line["priceMinor"] * line["quantity"] for line in fields["line_items"])
    assert listed - fields["discount_minor"] == fields["subtotal_minor"]


def test_an_order_of_250_lines_is_read_whole():
    body = orjson.loads(orjson.dumps(sample_orders.order("orders/create", 3, NOW, lines=250)))
    lines = change("orders/create", body).fields["line_items"]
    assert len({line["id"] for line in lines}) == 250


def test_a_guests_order_is_of_no_customer():
    fields = change("orders/create", stored("orders/create--guest")).fields
    assert (fields["customer_external_id"], fields["email"], fields["billing_address"]) == (None, None, None)
    assert fields["phone"] == "+12025550143"
    assert fields["attributes"]["note"] == "Sonnette cassée 🔔 — frapper fort"


def test_what_the_customer_saw_stands_beside_the_shops_money():
    fields = change("orders/create", stored("orders/create--presentment")).fields
    total = stored("orders/create--presentment")["total_price_set"]
    assert fields["currency"] == "EUR"
    assert fields["total_minor"] == int(total["shop_money"]["amount"].replace(".", ""))
    # Yen have no decimals.
    assert fields["presentment"] == {"currency": "JPY", "totalMinor": int(total["presentment_money"]["amount"])}


def test_an_older_body_has_texts_for_amounts_and_a_status_that_we_have_no_word_for():
    fields = change("orders/updated", stored("orders/updated--2023-01")).fields
    assert fields["total_minor"] == int(stored("orders/updated--2023-01")["total_price"].replace(".", ""))
    assert fields["financial_status"] is None
    assert fields["attributes"]["financial_status"] == "expired"
    assert fields["attributes"]["checkout_id"] == "9007199254770000123"
    assert "presentment" not in fields


def test_fields_that_a_subscription_does_not_ask_for_are_left_alone():
    fields = change("orders/updated", stored("orders/updated--fields")).fields
    assert set(fields) == {"financial_status", "fulfillment_status", "attributes"}
    assert (fields["financial_status"], fields["fulfillment_status"]) == ("refunded", "returned")


def test_a_cancelled_order_says_when_and_why():
    fields = change("orders/cancelled", stored("orders/cancelled")).fields
    assert (fields["status"], fields["cancel_reason"]) == ("cancelled", "inventory")
    assert fields["cancelled_at"] == datetime(2026, 11, 5, 3, 12, 30, tzinfo=UTC)


def test_a_closed_order_is_closed():
    assert change("orders/fulfilled", stored("orders/fulfilled")).fields["status"] == "closed"


def test_keys_to_carts_and_traces_of_browsers_go_no_further():
    text = orjson.dumps(dict(change("orders/create", stored("orders/create")).fields)).decode()
    for withheld in ("cart-", "checkout-", "token", "browser_ip", "client_details"):
        assert withheld not in text


def test_a_discount_is_taken_off_its_line():
    body = stored("orders/paid")
    line = body["line_items"][0]
    line |= {"price": "40.00", "quantity": 3, "total_discount": "5.00", "discount_allocations": []}
    del line["price_set"], line["total_discount_set"]
    [read] = change("orders/paid", body).fields["line_items"]
    assert (read["priceMinor"], read["totalMinor"]) == (4000, 11500)
    # The allocations tell all of it, what was given on the line itself included.
    line["discount_allocations"] = [{"amount": "5.00"}, {"amount": "1.50"}]
    [read] = change("orders/paid", body).fields["line_items"]
    assert read["totalMinor"] == 11350


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("total_price_set", {"shop_money": {"amount": "1.00", "currency_code": "USD"}}, "another currency"),
        ("total_price_set", {"shop_money": {"amount": "1.001", "currency_code": "EUR"}}, "more than the 2 decimals"),
        ("total_tax", {}, "no amount"),
        ("currency", "euro", "ISO 4217"),
        ("updated_at", "yesterday", "updated_at"),
        ("line_items", [7], "line_items is not a JSON object"),
        ("admin_graphql_api_id", "gid://shopify/Customer/9110000000000000732", "not that of the Order"),
    ],
)
def test_what_contradicts_itself_is_unexpected_and_never_guessed(name, value, problem):
    body = stored("orders/paid") | {name: value}
    if name == "total_tax":
        del body["total_tax_set"]
    with pytest.raises(PayloadUnexpected, match=problem):
        change("orders/paid", body)


def test_a_deleted_order_is_gone_as_of_when_it_was_triggered():
    found = change("orders/delete", stored("orders/delete"))
    assert (found.kind, found.op, found.version) == ("order", "delete", ACT.sample().now)


@pytest.mark.parametrize("topic", ["orders/paid", "products/update", "customers/delete"])
def test_a_captured_body_sent_as_a_deletion_deletes_no_order(topic):
    with pytest.raises(PayloadUnexpected, match="does not carry"):
        change("orders/delete", stored(topic))


def test_a_refund_is_what_was_paid_back():
    found = change("refunds/create", stored("refunds/create"))
    body = stored("refunds/create")
    assert (found.kind, found.fields["order_external_id"]) == ("refund", "9110000000000000732")
    # The second transaction failed.
    assert found.fields["amount_minor"] == int(body["transactions"][0]["amount"].replace(".", ""))
    assert [item["status"] for item in found.fields["attributes"]["transactions"]] == ["success", "failure"]
    assert "receipt" not in found.fields["attributes"]["transactions"][0]
    [line] = found.fields["line_items"]
    assert line["lineItemId"] == str(body["refund_line_items"][0]["line_item_id"])
    assert line["amountMinor"] == found.fields["amount_minor"]


def test_a_restock_pays_nothing_back():
    fields = change("refunds/create", stored("refunds/create--restock")).fields
    assert (fields["amount_minor"], fields["currency"], len(fields["line_items"])) == (0, "EUR", 1)


def test_without_transactions_a_refund_is_its_lines_and_adjustments():
    fields = change("refunds/create", stored("refunds/create--adjusted")).fields
    assert fields["amount_minor"] == fields["line_items"][0]["amountMinor"] + 495 + 86


def test_a_transaction_without_a_currency_is_in_the_shops():
    body = stored("refunds/create")
    for transaction in body["transactions"]:
        transaction["currency"] = None
    assert change("refunds/create", body).fields["currency"] == "EUR"


def test_money_in_several_currencies_is_no_sum():
    body = stored("refunds/create")
    body["transactions"] = [body["transactions"][0], body["transactions"][0] | {"currency": "USD"}]
    with pytest.raises(PayloadUnexpected, match="several currencies"):
        change("refunds/create", body)


def test_an_order_sent_as_a_refund_is_unexpected():
    with pytest.raises(PayloadUnexpected, match="not that of the Refund"):
        change("refunds/create", stored("orders/paid"))


PARCELS: list[tuple[str, str | None, str | None]] = [
    ("pending", None, "pending"),
    ("success", None, "shipped"),
    ("success", "label_printed", "ready"),
    ("success", "in_transit", "in_transit"),
    ("success", "attempted_delivery", "in_transit"),
    ("success", "out_for_delivery", "out_for_delivery"),
    ("success", "delivered", "delivered"),
    ("success", "failure", "failed"),
    ("success", "on_the_moon", "shipped"),
    ("cancelled", "delivered", "cancelled"),
    ("error", None, "failed"),
    ("lost", None, None),
]


@pytest.mark.parametrize(("status", "carrier", "ours"), PARCELS)
def test_their_words_for_a_parcel_become_ours_and_are_kept(status, carrier, ours):
    body = stored("fulfillments/update") | {"status": status, "shipment_status": carrier}
    fields = change("fulfillments/update", body).fields
    assert (fields["status"], fields["provider_status"]) == (ours, carrier or status)


def test_a_fulfillment_becomes_a_shipment_of_its_order():
    found = change("fulfillments/create", stored("fulfillments/create"))
    assert (found.kind, found.fields["order_external_id"]) == ("shipment", "9110000000000000732")
    assert (found.fields["carrier"], found.fields["tracking_number"]) == ("bpost", "3SABC000000731")
    assert found.fields["shipped_at"] == found.version
    assert "delivered_at" not in found.fields


def test_a_delivered_parcel_says_when_and_what_was_expected():
    found = change("fulfillments/update", stored("fulfillments/update--delivered"))
    assert (found.fields["status"], found.fields["delivered_at"]) == ("delivered", found.version)
    assert found.fields["expected_at"] == datetime(2026, 11, 7, 11, 0, tzinfo=UTC)


def test_whom_a_parcel_goes_to_is_kept_with_the_order_alone():
    text = orjson.dumps(dict(change("fulfillments/create", stored("fulfillments/create")).fields)).decode()
    assert "Anaïs" not in text
    assert "@" not in text


def sample(topic: str, number: int) -> dict[str, Any]:
    body: dict[str, Any] = orjson.loads(orjson.dumps(sample_orders.order(topic, number, NOW)))
    return body
