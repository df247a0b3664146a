"""Orders, their refunds and their parcels, in minor units of the shop's currency."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
import pytest

from shared.errors import PayloadUnexpected
from shared.providers import leftovers
from shared.providers.shopify import sample_orders
from shared.record_changes import record_change
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
    third = dict(fields["line_items"][2])
    assert third.pop("attributes")["fulfillment_service"] == "manual"
    assert third == {
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
    assert fields["presentment"]["currency"] == "JPY"
    assert fields["presentment"]["totalMinor"] == int(total["presentment_money"]["amount"])


def test_all_that_the_customer_saw_stands_beside_the_shops_money():
    body = stored("orders/create--presentment")
    seen = change("orders/create", body).fields["presentment"]
    for ours, theirs in (
        ("subtotalMinor", "subtotal_price_set"),
        ("taxMinor", "total_tax_set"),
        ("discountMinor", "total_discounts_set"),
        ("shippingMinor", "total_shipping_price_set"),
    ):
        assert seen[ours] == int(body[theirs]["presentment_money"]["amount"]), ours
    assert seen["subtotalMinor"] + seen["shippingMinor"] == pytest.approx(seen["totalMinor"], abs=1)
    # What a price was in the money that the customer saw is kept; the shop's own stands in the line already.
    foreign, own = (
        change("orders/create", stored(f"orders/create{variant}")).fields["line_items"][0]["attributes"]
        for variant in ("--presentment", "")
    )
    price = body["line_items"][0]["price_set"]
    assert foreign["price_set"] == {"presentment_money": price["presentment_money"]}
    assert "price_set" not in own


def test_what_a_line_says_beside_its_fields_is_kept_with_it():
    rest = change("orders/create", stored("orders/create")).fields["line_items"][0]["attributes"]
    assert rest["properties"] == [{"name": "Gravur", "value": "für Anaïs"}]
    assert rest["variant_title"] == "Bleu nuit"
    [tax] = rest["tax_lines"]
    assert tax == {"title": "BTW", "rate": 0.21, "price": "2.08"}
    assert {"id", "sku", "title", "price", "duties", "vendor"}.isdisjoint(rest)  # of fields of ours, or blank


def test_what_shopify_adds_to_a_line_is_kept_with_ids_as_text():
    body = stored("orders/create")
    body["line_items"][0] |= {"sales_line_item_group_id": 9007199254740993, "novelty": {"by": [1]}}
    rest = change("orders/create", body).fields["line_items"][0]["attributes"]
    assert (rest["sales_line_item_group_id"], rest["novelty"]) == ("9007199254740993", {"by": [1]})


def test_what_nests_without_end_is_unexpected_in_a_line_as_well():
    body, deep = stored("orders/create"), []
    for _ in range(100):
        deep = [{"value": deep}]
    body["line_items"][0]["properties"] = deep
    with pytest.raises(PayloadUnexpected, match="nests deeper"):
        change("orders/create", body)


def test_what_an_address_says_beside_its_fields_is_kept_with_it():
    address = change("orders/create", stored("orders/create")).fields["shipping_address"]
    assert (address["name"], address["countryCode"]) == ("Anaïs Ørsted–Łuczak", "DE")
    assert address["attributes"] == {"first_name": "Anaïs", "last_name": "Ørsted–Łuczak", "province_code": "NW"}


def test_what_a_discount_code_took_off_is_kept():
    body = stored("orders/paid") | {"discount_codes": [{"code": "SPRING", "amount": "5.00", "type": "fixed_amount"}]}
    fields = change("orders/paid", body).fields
    assert fields["discount_codes"] == ["SPRING"]
    assert fields["attributes"]["discount_codes"] == body["discount_codes"]


@pytest.mark.parametrize("lines", [1, 250])
def test_what_lines_say_beside_their_fields_has_an_end(lines):
    body = orjson.loads(orjson.dumps(sample_orders.order("orders/create", 3, NOW, lines=lines)))
    novel = [{"name": f"chapter {number}", "value": "x" * 4000} for number in range(100)]
    for line in body["line_items"]:
        line["properties"] = novel
    told = change("orders/create", body)
    kept = record_change(told, account_id=UUID(int=1), provider="shopify", tenant="", version=NOW)
    read = kept.fields["line_items"]
    assert len(orjson.dumps([line["attributes"] for line in read])) <= leftovers.RECORD_BYTES
    assert [line["attributes"]["left_out"] for line in read] == [["properties"]] * lines
    assert {line["attributes"]["fulfillment_service"] for line in read} == {"manual"}


@pytest.mark.parametrize(("number", "times"), [(1, 2.0), (3, 2.5)])  # paid in the shop's money, and in yen
def test_what_the_lines_of_a_large_order_say_beside_their_fields_stays_short(number, times):
    body = orjson.loads(orjson.dumps(sample_orders.order("orders/create", number, NOW, lines=250)))
    lines = change("orders/create", body).fields["line_items"]
    rests = [line.pop("attributes") for line in lines]
    assert all("left_out" not in rest for rest in rests)
    assert len(orjson.dumps(rests)) < times * len(orjson.dumps(lines)) < len(orjson.dumps(body["line_items"])) / 1.5


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
    for withheld in ("cart-", "checkout-", "token", "browser_ip", "client_details", "key-", "order-", "authenticate"):
        assert withheld not in text


@pytest.mark.parametrize("name", ["order_status_url", "checkout_url", "invoice_url", "buyer_token", "token"])
def test_whatever_link_or_token_an_order_has_is_withheld(name):
    body = stored("orders/create") | {name: "https://shop.example/64/invoices/5d41402abc4b?key=secret"}
    text = orjson.dumps(dict(change("orders/create", body).fields)).decode()
    assert name not in change("orders/create", body).fields["attributes"]
    assert "5d41402abc4b" not in text
    assert "secret" not in text


VISITS: list[tuple[str | None, str | None]] = [
    ("/", "/"),
    (
        "/products/tea?variant=7&utm_source=spring&utm_medium=mail&_kx=who",
        "/products/tea?utm_source=spring&utm_medium=mail",
    ),
    ("/checkouts/cn/Z2NwLXVz/information?key=1#top", "/checkouts"),
    ("https://shop.example/64/orders/abcd/authenticate?key=1", "https://shop.example/64/orders"),
    ("/account/activate/17/2f4e", "/account/activate"),
    ("https://search.example/?q=tea", "https://search.example/"),
    ("", None),
    (None, None),
]


@pytest.mark.parametrize(("link", "kept"), VISITS)
@pytest.mark.parametrize("name", ["landing_site", "referring_site", "source_url"])
def test_of_a_visit_the_page_and_the_campaign_are_kept(name, link, kept):
    assert change("orders/create", stored("orders/create") | {name: link}).fields["attributes"][name] == kept


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


def in_code(body: Any, code: str, side: str) -> Any:
    """The body with another currency on one side of its amounts, or all over where the side is the shop's."""
    if isinstance(body, list):
        return [in_code(item, code, side) for item in body]
    if not isinstance(body, dict):
        return body
    found = {name: in_code(item, code, side) for name, item in body.items()}
    if "currency" in found and side == "shop_money":
        found["currency"] = code
    if side in found:
        found[side] = found[side] | {"currency_code": code}
    return found


def test_an_order_in_a_currency_that_we_do_not_know_has_its_amounts_in_shopifys_words():
    known = change("orders/paid", stored("orders/paid")).fields
    body = in_code(stored("orders/paid"), "XYZ", "shop_money")
    fields = change("orders/paid", body).fields
    assert (fields["currency"], fields["number"]) == ("XYZ", known["number"])
    assert {fields[name] for name in fields if name.endswith("_minor")} == {None}
    names = ["total_price", "subtotal_price", "total_tax", "total_discounts", "total_price_set"]
    assert {name: fields["attributes"][name] for name in names} == {name: body[name] for name in names}
    for line, theirs in zip(fields["line_items"], body["line_items"], strict=True):
        assert (line["priceMinor"], line["totalMinor"]) == (None, None)
        assert line["attributes"]["price"] == theirs["price"]
    assert [line["quantity"] for line in fields["line_items"]] == [line["quantity"] for line in known["line_items"]]
    assert "total_price" not in known["attributes"]


def test_what_a_customer_saw_in_a_currency_that_we_do_not_know_costs_the_order_nothing():
    known = change("orders/create", stored("orders/create--presentment")).fields
    body = in_code(stored("orders/create--presentment"), "USDC", "presentment_money")
    fields = change("orders/create", body).fields
    assert (fields["total_minor"], fields["currency"]) == (known["total_minor"], "EUR")
    assert fields["presentment"] is None
    assert fields["attributes"]["total_price_set"] == body["total_price_set"]
    assert "total_price_set" not in known["attributes"]
    lines = [line | {"attributes": {}} for line in fields["line_items"]]
    assert lines == [line | {"attributes": {}} for line in known["line_items"]]


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("total_price_set", {"shop_money": {"amount": "1.00", "currency_code": "XYZ"}}, "another currency"),
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


@pytest.mark.parametrize(
    "topic",
    ["customers/create", "orders/create", "products/create", "fulfillments/create", "refunds/create"],
)
def test_when_it_came_to_be_is_told_and_no_attribute(topic):
    body = stored(topic)
    fields = change(topic, body).fields
    assert fields["created_at"] == datetime.fromisoformat(body["created_at"])
    assert "created_at" not in fields["attributes"]


def test_a_deleted_order_is_gone_as_of_when_it_was_triggered():
    found = change("orders/delete", stored("orders/delete"))
    assert (found.kind, found.op, found.version) == ("order", "delete", ACT.sample().now)


@pytest.mark.parametrize("topic", ["orders/paid", "products/update", "customers/delete"])
def test_a_captured_body_sent_as_a_deletion_deletes_no_order(topic):
    with pytest.raises(PayloadUnexpected, match="does not carry"):
        change("orders/delete", stored(topic))


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
    assert found.fields["delivered_at"] is None


def test_what_a_line_of_a_parcel_says_beside_its_fields_is_kept_with_it():
    body = stored("fulfillments/create")
    body["line_items"][0] |= {"variant_title": "Bleu nuit", "properties": [{"name": "Gravur", "value": "für Anaïs"}]}
    rest = change("fulfillments/create", body).fields["line_items"][0]["attributes"]
    assert (rest["variant_title"], rest["properties"][0]["value"]) == ("Bleu nuit", "für Anaïs")
    assert {"id", "sku", "quantity"}.isdisjoint(rest)


def test_a_delivered_parcel_says_when_and_what_was_expected():
    found = change("fulfillments/update", stored("fulfillments/update--delivered"))
    assert (found.fields["status"], found.fields["delivered_at"]) == ("delivered", found.version)
    assert found.guesses == {"delivered_at"}
    assert found.fields["expected_at"] == datetime(2026, 11, 7, 11, 0, tzinfo=UTC)


def test_whom_a_parcel_goes_to_is_kept_with_the_order_alone():
    text = orjson.dumps(dict(change("fulfillments/create", stored("fulfillments/create")).fields)).decode()
    assert "Anaïs" not in text
    assert "@" not in text


def sample(topic: str, number: int) -> dict[str, Any]:
    body: dict[str, Any] = orjson.loads(orjson.dumps(sample_orders.order(topic, number, NOW)))
    return body
