"""Refunds: what was paid back, in the shop's money and in what the customer saw."""

import pytest

from shared.errors import PayloadUnexpected
from shared.providers.shopify import sample_orders
from shared.providers.shopify.sample_facts import SEEN
from tests.shared.providers.acting import NOW
from tests.shared.providers.shopify.shop import change, outcome, stored
from tests.shared.providers.shopify.test_orders import in_code


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


def test_what_a_refunded_line_says_beside_its_fields_is_kept_with_it_but_for_the_line_itself():
    body = stored("refunds/create")
    body["refund_line_items"][0] |= {"restock_type": "return", "location_id": 71000000001}
    [line] = change("refunds/create", body).fields["line_items"]
    assert line["attributes"] == {"restock_type": "return", "location_id": "71000000001"}


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


def test_a_refund_in_other_money_is_told_in_the_shops_and_in_the_payments():
    fields = change("refunds/create", stored("refunds/create--foreign")).fields
    # 24.00 of goods and 4.95 of shipping, said in two places, less 5.00 that were kept: 3879 yen, as the payment says.
    assert (fields["currency"], fields["amount_minor"]) == ("EUR", 2395)
    assert fields["presentment"] == {"currency": "JPY", "amountMinor": 3879}
    [line] = fields["line_items"]
    assert line["amountMinor"] == 2400
    assert line["attributes"]["subtotal_set"] == {"presentment_money": {"amount": "3888", "currency_code": "JPY"}}


def test_a_refund_whose_shipping_stands_apart_alone_counts_it_once():
    body = stored("refunds/create--foreign")
    body["order_adjustments"] = body["order_adjustments"][1:]
    assert change("refunds/create", body).fields["amount_minor"] == 2395


def test_what_a_payment_in_other_money_was_in_the_shops_is_never_guessed():
    body = stored("refunds/create--foreign")
    body["transactions"][0]["amount"] = "3000"  # of what then, the other 879 or a part of all, nothing says
    fields = change("refunds/create", body).fields
    assert (fields["currency"], fields["amount_minor"]) == ("EUR", None)
    assert fields["presentment"] == {"currency": "JPY", "amountMinor": 3000}


@pytest.mark.parametrize("number", range(14))
def test_whatever_customers_paid_in_a_refund_is_in_the_shops_money_as_its_lines_are(number):
    body = sample_orders.refund("refunds/create", number, NOW)
    fields = change("refunds/create", body).fields
    [line] = fields["line_items"]
    assert fields["currency"] == "EUR"
    assert fields["amount_minor"] == (line["amountMinor"] if body["transactions"] else 0)
    assert fields["presentment"]["currency"] == SEEN[number % len(SEEN)][0]


@pytest.mark.parametrize("variant", ["", "--restock", "--adjusted"])
def test_a_refund_in_a_currency_that_we_do_not_know_is_not_taken_for_nothing(variant):
    body = in_code(stored(f"refunds/create{variant}"), "XYZ", "shop_money")
    fields = change("refunds/create", body).fields
    assert (fields["currency"], fields["amount_minor"], fields["presentment"]) == ("XYZ", None, None)
    for line, theirs in zip(fields["line_items"], body["refund_line_items"], strict=True):
        assert line["amountMinor"] is None
        assert line["attributes"]["subtotal"] == theirs["subtotal"]
    told = [item["amount"] for item in fields["attributes"]["transactions"]]
    assert told == [item["amount"] for item in body.get("transactions", [])]


def test_a_refund_that_was_paid_in_a_currency_that_we_do_not_know_has_no_amount():
    body = in_code(stored("refunds/create--foreign"), "USDC", "presentment_money")
    body["transactions"] = [item | {"currency": "USDC"} for item in body["transactions"]]
    fields = change("refunds/create", body).fields
    assert (fields["currency"], fields["amount_minor"], fields["presentment"]) == ("EUR", None, None)
    assert fields["line_items"][0]["amountMinor"] == 2400
    del body["transactions"]  # it is its lines then, which say what they are in the shop's money
    fields = change("refunds/create", body).fields
    assert (fields["currency"], fields["amount_minor"], fields["presentment"]) == ("EUR", 2395, None)


def test_a_refund_that_is_on_its_way_has_no_amount_yet():
    fields = change("refunds/create", stored("refunds/create--pending")).fields
    assert (fields["currency"], fields["amount_minor"], fields["presentment"]) == ("EUR", None, None)
    assert fields["line_items"][0]["amountMinor"] == 1200


def test_while_a_part_is_on_its_way_the_rest_is_not_taken_for_all():
    body = stored("refunds/create")
    body["transactions"].append(body["transactions"][0] | {"id": 7, "status": "pending"})
    assert change("refunds/create", body).fields["amount_minor"] is None


@pytest.mark.parametrize("currency", ["EUR", "JPY", None])
def test_a_refund_that_came_to_nothing_is_0(currency):
    body = stored("refunds/create")
    body["transactions"] = [body["transactions"][1] | {"status": "error", "currency": currency}]
    fields = change("refunds/create", body).fields
    assert (fields["currency"], fields["amount_minor"]) == ("EUR", 0)


def test_an_order_tells_its_refunds_as_they_are_now():
    body = stored("orders/updated--refunded")
    order, refund = outcome("orders/updated", body).changes
    assert (order.kind, refund.kind) == ("order", "refund")
    made = change("refunds/create", stored("refunds/create--pending"))
    assert (refund.external_id, refund.fields["order_external_id"]) == (made.external_id, order.external_id)
    assert (refund.fields["amount_minor"], refund.fields["refunded_at"]) == (1200, made.fields["refunded_at"])
    # So that the refund's own webhook, should it come after, does not undo it.
    assert refund.version == order.version > made.version
    assert refund.fields.keys() == made.fields.keys()


def test_of_refunds_that_a_subscription_asks_for_in_part_only_nothing_is_said():
    body = stored("orders/updated--refunded")
    body["refunds"] = [{"id": 7}]
    [order] = outcome("orders/updated", body).changes
    assert order.kind == "order"


def test_a_refund_in_other_money_than_its_order_is_unexpected():
    body = stored("orders/updated--refunded")
    for side in body["refunds"][0]["refund_line_items"][0]["subtotal_set"].values():
        side["currency_code"] = "USD"
    with pytest.raises(PayloadUnexpected, match="another currency"):
        outcome("orders/updated", body)


def test_an_order_sent_as_a_refund_is_unexpected():
    with pytest.raises(PayloadUnexpected, match="not that of the Refund"):
        change("refunds/create", stored("orders/paid"))
