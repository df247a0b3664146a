"""What is particular to Flipkart."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest

from shared.providers import samples
from shared.providers.contract import Change, Headers
from tests.shared.providers.acting import NOW, OTHER, Actor, actor

ACT = actor("flipkart")
BARE = replace(ACT, source=replace(ACT.source, settings={}))


def under(**settings: Any) -> Actor:
    return replace(ACT, source=replace(ACT.source, settings=settings))


def changes(topic: str, act: Actor = ACT, **parts: Any) -> list[Change]:
    body = {"eventType": topic, "source": "flipkart", "version": "v3", "timestamp": "2026-11-22T15:00:00+05:30"}
    return list(act.understand(act.request(act.sample(topic=topic, body=orjson.dumps(body | parts))))[1].changes)


def shipment(topic: str, **attributes: Any) -> Change:
    return changes(topic, shipmentId="s-1", attributes=attributes)[0]


def test_the_body_is_not_signed_so_a_date_holds_for_a_day_and_no_longer():
    request = BARE.request(BARE.sample())
    assert BARE.verify(replace(request, body=b'{"another": "body"}')) is None
    assert BARE.verify(request, now=NOW + timedelta(hours=23)) is None
    expired = BARE.verify(request, now=NOW + timedelta(hours=25))
    assert expired is not None
    assert expired.code == "timestamp_expired"


def test_the_header_that_opens_the_door_to_any_body_is_a_secret():
    pairs = [(name.replace("_", "-").lower(), value) for name, value in BARE.provider.sign(BARE.sample())]
    for headers in (Headers(BARE.provider.sign(BARE.sample())), Headers(pairs)):
        kept = dict(headers.without(BARE.provider.secret_headers(BARE.source)).pairs())
        assert "FKLOGIN" not in str(kept)
        assert "[redacted]" in kept.values()


def test_a_replay_under_a_new_date_or_url_or_method_is_refused():
    sample = ACT.sample()
    pairs = dict(ACT.provider.sign(sample))
    later = {**pairs, "X_Date": "Sun, 22 Nov 2026 09:31:00 GMT"}
    request = ACT.request(sample)
    for forged in (
        ACT.request(sample, list(later.items())),
        replace(request, url="https://hooks.example.com/api/webhooks/y"),
        replace(request, method="PUT"),
    ):
        refusal = ACT.verify(forged)
        assert refusal is not None
        assert refusal.code == "signature_mismatch"


def test_the_headers_are_found_with_dashes_too_as_wsgi_spells_them():
    sample = ACT.sample()
    pairs = [(name.replace("_", "-").lower(), value) for name, value in ACT.provider.sign(sample)]
    assert ACT.verify(ACT.request(sample, pairs)) is None


def test_the_url_that_was_registered_counts_where_it_is_another_one():
    url = "http://old.example/notify"
    registered, sample = under(url=url), ACT.sample(url=url)
    request = replace(ACT.request(sample), url="https://hooks.example.com/api/webhooks/x")
    assert ACT.verify(request) is not None
    assert registered.verify(request) is None


def test_another_app_is_refused_where_the_app_is_named():
    ours, theirs = under(appId="app-1"), under(appId="app-2")
    request = ours.request(ours.sample(settings=ours.source.settings))
    assert ours.verify(request) is None
    refusal = theirs.verify(request)
    assert refusal is not None
    assert refusal.code == "signature_mismatch"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ([("X_Authorization", "FKLOGIN YTpiYg==")], "timestamp_missing"),
        ([("X_Date", "Sun, 22 Nov 2026 09:30:00 GMT")], "signature_missing"),
        ([("X_Authorization", "Basic YTpiYg=="), ("X_Date", "Sun, 22 Nov 2026 09:30:00 GMT")], "signature_malformed"),
        ([("X_Authorization", "FKLOGIN YTp6eg=="), ("X_Date", "Sun, 22 Nov 2026 09:30:00 GMT")], "signature_malformed"),
        ([("X_Authorization", "FKLOGIN é"), ("X_Date", "now")], "signature_malformed"),
        ([("X_Authorization", "FKLOGIN YTpiYg=="), ("X_Date", "now")], "signature_mismatch"),
    ],
)
def test_malformed_headers_are_refused(headers, code):
    refusal = ACT.verify(ACT.request(ACT.sample(), headers))
    assert refusal is not None
    assert refusal.code == code


@pytest.mark.parametrize(
    ("address", "passes"),
    [("203.0.113.9", True), ("::ffff:203.0.113.9", True), ("198.51.100.1", False), ("", False), ("unix:", False)],
)
def test_only_allowed_addresses_are_taken_where_there_are_such(address, passes):
    act = under(addresses=["203.0.113.0/24", "2001:db8::1"])
    refusal = act.verify(replace(act.request(act.sample()), remote_addr=address))
    assert (refusal is None) == passes
    assert passes or (refusal is not None and (refusal.code, refusal.status) == ("address_refused", 403))


def test_an_hmac_over_the_body_can_be_chosen_instead():
    act = under(verification="hmac", scheme={"header": "X-Signature", "encoding": "base64"})
    request = act.request(act.sample())
    assert "X-Signature" in request.headers
    assert act.verify(request) is None
    assert act.verify(request, secrets=(OTHER,)) is not None
    assert act.verify(replace(request, body=b"{}")) is not None
    assert act.verify(BARE.request(BARE.sample())) is not None


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"verification": "none"}, "verification"),
        ({"toleranceSeconds": 0}, "toleranceSeconds"),
        ({"addresses": ["203.0.113.9/24"]}, "addresses"),
        ({"verification": "hmac", "scheme": {"encoding": "rot13"}}, "scheme.encoding"),
    ],
)
def test_wrong_settings_are_named_and_refuse_what_comes(settings, name):
    [problem] = ACT.provider.check_settings(settings)
    assert problem.startswith(name)
    refusal = ACT.verify(ACT.request(ACT.sample()), now=NOW)
    assert refusal is None
    misconfigured = under(**settings)
    refusal = misconfigured.verify(ACT.request(ACT.sample()))
    assert refusal is not None
    assert (refusal.code, refusal.status) == ("source_misconfigured", 503)


@pytest.mark.parametrize(
    ("topic", "attributes", "status"),
    [
        ("shipment_packed", {"status": "PACKED"}, "ready"),
        ("shipment_ready_to_dispatch", {}, "ready"),
        ("shipment_pickup_complete", {}, "shipped"),
        ("shipment_shipped", {}, "shipped"),
        ("shipment_delivered", {}, "delivered"),
        ("shipment_cancelled", {}, "cancelled"),
        ("shipment_hold", {}, "on_hold"),
        ("shipment_form_failed", {}, "on_hold"),
        ("shipment_unhold", {"status": "PACKED"}, "ready"),
        ("shipment_unhold", {"status": "NEW_WORD"}, "pending"),
        ("shipment_dispatch_dates_changed", {}, None),
    ],
)
def test_their_states_become_ours(topic, attributes, status):
    assert shipment(topic, **attributes).fields.get("status") == status


def test_of_two_states_at_the_same_second_the_later_one_counts():
    packed, shipped = shipment("shipment_packed").version, shipment("shipment_shipped").version
    assert packed is not None
    assert shipped is not None
    assert packed < shipped < packed + timedelta(milliseconds=1)


def test_a_shipment_tells_its_orders_with_lines_and_money():
    [payload] = [p for p in samples.stored("flipkart") if p.variant == "two-orders"]
    found = ACT.understand(ACT.request(ACT.sample(topic=payload.topic, body=payload.body)))[1].changes
    first, second, parcel, contents = found
    assert [change.kind for change in found] == ["order", "order", "shipment", "shipment"]
    assert {first.part, second.part} == {f"shipment_{parcel.external_id}"}
    assert contents.fields["attributes"] == {"orderIds": [first.external_id, second.external_id]}
    assert len(parcel.fields["line_items"]) == 3
    assert (contents.part, contents.fields["order_external_id"]) == ("contents", first.external_id)
    assert (first.fields["total_minor"], first.fields["currency"]) == (240_000, "INR")
    assert [line["totalMinor"] for line in first.fields["line_items"]] == [240_000, None]
    assert (second.fields["total_minor"], second.fields["number"]) == (1050, "OD400000000000009002")
    assert first.fields["financial_status"] == "paid"
    assert "financial_status" not in second.fields  # EMI says nothing of who has paid


def test_the_end_of_a_return_is_a_refund_though_it_names_the_items_alone():
    back, refund = changes("return_completed", returnId="r-1", attributes={"returnItems": [{"orderItemId": "1"}]})
    assert (back.kind, back.fields["status"], back.fields["attributes"]["direction"]) == (
        "shipment",
        "returned",
        "return",
    )
    assert (refund.kind, refund.op, refund.external_id) == ("refund", "upsert", "r-1")
    [line] = refund.fields["line_items"]
    assert (line["lineItemId"], line["quantity"], line["amountMinor"]) == ("1", None, None)
    assert "amount_minor" not in refund.fields


def test_what_is_returned_for_something_else_is_no_refund_of_it():
    replaced, repaid = {"orderItemId": "1", "action": "replace"}, {"orderItemId": "2", "action": "REFUND"}
    _, refund = changes("return_completed", returnId="r-1", attributes={"returnItems": [replaced, repaid]})
    assert [line["id"] for line in refund.fields["line_items"]] == ["2"]
    assert len(changes("return_completed", returnId="r-1", attributes={"returnItems": [replaced]})) == 1


@pytest.mark.parametrize(
    ("actions", "is_buried"),
    [(["refund"], False), ([None], False), (["replace"], True), (["replace", "refund"], False)],
)
def test_only_a_return_for_something_else_says_beforehand_that_there_is_no_refund(actions, is_buried):
    items = [{"orderItemId": "1", "action": action} for action in actions]
    found = [change.op for change in changes("return_created", returnId="r-1", attributes={"returnItems": items})]
    assert ("delete" in found) == is_buried


def test_an_order_told_whole_has_its_own_currency_buyer_and_address():
    attributes = {
        "status": "cancelled",
        "paymentType": "PREPAID",
        "paymentStatus": "REFUNDED",
        "currency": "KWD",
        "totalAmount": "1.234",
        "cancelReason": "no stock",
        "buyer": {"id": 2**60, "email": "a@shop.example"},
        "deliveryAddress": {"firstName": "दीपिका", "pinCode": 411001},
        "coupon": "DIWALI",
    }
    [order] = changes("ORDER_UPDATED", orderId="OD1", attributes=attributes)
    assert (order.kind, order.fields["status"], order.fields["financial_status"]) == ("order", "cancelled", "refunded")
    assert (order.fields["total_minor"], order.fields["currency"]) == (1234, "KWD")
    assert order.fields["customer_external_id"] == str(2**60)
    assert (order.fields["shipping_address"]["name"], order.fields["shipping_address"]["postalCode"]) == (
        "दीपिका",
        "411001",
    )
    assert order.fields["attributes"]["coupon"] == "DIWALI"
    assert "line_items" not in order.fields


def test_amounts_in_a_currency_that_we_do_not_know_stay_in_their_words():
    prices = {"sellingPrice": 249.5, "totalPrice": "249.123456"}
    items = [{"orderItemId": "1", "quantity": 1, "priceComponents": prices}]
    attributes = {"status": "APPROVED", "currency": "BTC", "totalAmount": "0.00012345", "orderItems": items}
    [order] = changes("ORDER_UPDATED", orderId="OD1", attributes=attributes)
    assert (order.fields["currency"], order.fields["total_minor"], order.fields["status"]) == ("BTC", None, "open")
    assert order.fields["attributes"]["totalAmount"] == "0.00012345"
    [line] = order.fields["line_items"]
    assert (line["priceMinor"], line["totalMinor"], line["quantity"]) == (None, None, 1)
    assert line["attributes"]["priceComponents"] == prices
    [payment] = changes("PAYMENT_UPDATED", paymentId="p-1", attributes={"amount": 10.5, "currency": "XYZ"})
    assert (payment.fields["amount_minor"], payment.fields["attributes"]["amount"]) == (None, 10.5)


def test_a_payment_is_of_its_order():
    attributes = {"status": "SETTLED", "amount": 10.5, "method": "UPI"}
    [payment] = changes("PAYMENT_UPDATED", paymentId="p-1", orderId="OD1", attributes=attributes)
    assert (payment.external_id, payment.fields["order_external_id"]) == ("p-1", "OD1")
    assert (payment.fields["amount_minor"], payment.fields["currency"], payment.fields["status"]) == (
        1050,
        "INR",
        "settled",
    )


def test_a_repeat_has_the_key_of_subject_event_and_time_whatever_else_it_says():
    def key(topic: str, **parts: Any) -> bytes:
        body = {"eventType": topic, "timestamp": "2026-11-22T15:00:00+05:30", "shipmentId": "s-1"} | parts
        return ACT.understand(ACT.request(ACT.sample(topic=topic, body=orjson.dumps(body))))[0].key

    once = key("shipment_packed")
    assert key("shipment_packed", locationId="elsewhere", timestamp="2026-11-22T09:30:00Z") == once
    assert len({once, key("shipment_shipped"), key("shipment_packed", shipmentId="s-2")}) == 3
    assert key("shipment_packed", timestamp="2026-11-22T09:30:01Z") != once
    assert key("shipment_packed", timestamp=None) != key("shipment_packed", timestamp=None, locationId="x")
