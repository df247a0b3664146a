"""What concerns the shop as a whole: uninstalls and privacy requests."""

from dataclasses import replace

import orjson
import pytest

from shared.errors import PayloadUnexpected
from tests.shared.providers.shopify.shop import ACT, SHOP, change, stored

PRIVACY = ["customers/data_request", "customers/redact", "shop/redact"]


def test_an_uninstall_ends_the_integration_of_the_shop_in_the_header():
    found = change("app/uninstalled", stored("app/uninstalled"))
    assert (found.kind, found.op, found.external_id) == ("integration", "delete", SHOP)
    assert found.version == ACT.sample().now


def test_an_uninstall_that_names_its_shop_is_of_that_shop():
    assert change("app/uninstalled", stored("app/uninstalled") | {"myshopify_domain": SHOP.upper()}).external_id == SHOP
    with pytest.raises(PayloadUnexpected, match="myshopify_domain"):
        change("app/uninstalled", stored("app/uninstalled") | {"myshopify_domain": "south.myshopify.com"})


@pytest.mark.parametrize("topic", ["customers/update", "orders/paid", "products/delete", "shop/redact"])
def test_a_captured_body_sent_as_an_uninstall_ends_nothing(topic):
    with pytest.raises(PayloadUnexpected):
        change("app/uninstalled", stored(topic))


def test_a_customers_erasure_names_the_orders_too():
    found = change("customers/redact", stored("customers/redact"))
    assert (found.kind, found.op, found.external_id) == ("erasure", "delete", "7230000000000000732")
    assert found.fields == {"orders": ["9110000000000000732"]}


def test_a_shops_erasure_is_of_everybody():
    found = change("shop/redact", stored("shop/redact"))
    assert (found.kind, found.op, found.external_id) == ("erasure", "delete", "*")


def test_a_data_request_keeps_shopifys_number_of_it():
    found = change("customers/data_request", stored("customers/data_request"))
    assert (found.kind, found.external_id) == ("data_request", "7230000000000000732")
    assert found.fields == {"orders": ["9110000000000000732"], "request_id": "9000731"}


@pytest.mark.parametrize("topic", PRIVACY)
def test_a_request_of_another_shop_than_the_headers_is_refused(topic):
    # The header is unsigned: one shop's request must not erase another's customers.
    body = orjson.dumps(stored(topic))
    forged = replace(ACT.sample(topic=topic, body=body), tenant="south.myshopify.com")
    with pytest.raises(PayloadUnexpected, match="shop_domain"):
        ACT.understand(ACT.request(forged))


@pytest.mark.parametrize("topic", PRIVACY)
@pytest.mark.parametrize("other", PRIVACY)
def test_one_request_is_not_taken_for_another(topic, other):
    if topic == other:
        assert change(topic, stored(other)).version is not None
        return
    with pytest.raises(PayloadUnexpected):
        change(topic, stored(other))
