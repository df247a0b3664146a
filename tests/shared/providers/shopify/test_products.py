"""Products with their variants, and stock."""

from datetime import UTC, datetime

import pytest

from shared.errors import PayloadUnexpected
from shared.providers.registry import PROVIDERS
from tests.shared.providers.shopify.shop import ACT, PRICED, SHOP, change, stored


def test_a_product_becomes_ours_with_its_variants():
    found = change("products/create", stored("products/create"), PRICED)
    assert (found.kind, found.external_id) == ("product", "9220000000000000732")
    assert (found.fields["title"], found.fields["tags"]) == ("Théière émaillée « Aube »", ["nieuw", "été"])
    first = found.fields["variants"][0]
    assert (first["id"], first["inventoryItemId"]) == ("9220000000010731001", "9220000000020731001")
    assert (first["currency"], first["price"]) == ("EUR", stored("products/create")["variants"][0]["price"])
    assert first["priceMinor"] == int(first["price"].replace(".", ""))


def test_what_a_variant_says_beside_its_fields_is_kept_with_it():
    body = stored("products/create")
    body["variants"][0] |= {"weight": 0.3, "updated_at": "2026-11-05T03:12:30Z", "old_inventory_quantity": 3}
    rest = change("products/create", body).fields["variants"][0]["attributes"]
    assert (rest["position"], rest["inventory_policy"], rest["weight"]) == (1, "deny", 0.3)
    # That something changed is no news where nothing of ours did.
    assert {"updated_at", "created_at", "old_inventory_quantity", "price", "product_id"}.isdisjoint(rest)


def test_without_the_shops_currency_a_price_stays_the_text_it_was():
    first = change("products/create", stored("products/create")).fields["variants"][0]
    assert (first["priceMinor"], first["currency"]) == (None, None)
    assert first["price"] == stored("products/create")["variants"][0]["price"]


def test_a_shop_has_its_own_currency_before_the_sources():
    assert PRICED.source.settings == {"currency": "JPY", "currencies": {SHOP: "EUR"}}
    assert change("products/update", stored("products/update"), PRICED).fields["variants"][0]["priceMinor"] == 119900


def test_a_part_of_the_variants_does_not_replace_the_whole():
    fields = change("products/update", stored("products/update--more-variants")).fields
    assert "variants" not in fields
    assert fields["attributes"]["variants_count"] == 4


def test_a_product_that_is_taken_down_is_not_published():
    fields = change("products/update", stored("products/update")).fields
    assert (fields["status"], fields["published_at"]) == ("archived", None)
    assert fields["variants"][0]["barcode"] is None


def test_a_deleted_product_is_gone_as_of_when_it_was_triggered():
    found = change("products/delete", stored("products/delete"))
    assert (found.kind, found.op, found.version) == ("product", "delete", ACT.sample().now)


@pytest.mark.parametrize("topic", ["products/update", "orders/paid", "customers/update"])
def test_a_captured_body_sent_as_a_deletion_deletes_no_product(topic):
    with pytest.raises(PayloadUnexpected, match="does not carry"):
        change("products/delete", stored(topic))


@pytest.mark.parametrize(("variant", "available"), [("", 18), ("--oversold", -3), ("--untracked", None)])
def test_stock_is_how_many_there_are_now(variant, available):
    found = change("inventory_levels/update", stored(f"inventory_levels/update{variant}"))
    assert (found.kind, found.external_id) == ("inventory", "9220000000020731001:71000000002")
    assert found.fields["available"] == available
    assert (found.fields["item_external_id"], found.fields["location_external_id"]) == tuple(
        found.external_id.split(":")
    )


def test_stock_is_of_its_own_instant():
    found = change("inventory_levels/update", stored("inventory_levels/update--oversold"))
    assert found.version == datetime(2026, 11, 5, 4, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "changed", [{"admin_graphql_api_id": "gid://shopify/Product/1"}, {"available": "many"}, {"available": 1.5}]
)
def test_stock_of_something_else_is_unexpected(changed):
    with pytest.raises(PayloadUnexpected):
        change("inventory_levels/update", stored("inventory_levels/update") | changed)


def test_stock_that_is_not_said_is_not_zero():
    body = stored("inventory_levels/update")
    del body["available"]
    with pytest.raises(PayloadUnexpected, match="available is missing"):
        change("inventory_levels/update", body)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"currency": "euro"}, "currency"),
        ({"currency": "XYZ"}, "currency"),
        ({"currencies": {SHOP: "€"}}, "currencies"),
        ({"currencies": {SHOP: "BTC"}}, f"currencies.{SHOP}"),
        ({"curency": "EUR"}, "curency"),
    ],
)
def test_a_currency_that_is_none_is_a_problem_of_the_settings(settings, problem):
    [found] = PROVIDERS["shopify"].check_settings(settings)
    assert found.startswith(problem)
