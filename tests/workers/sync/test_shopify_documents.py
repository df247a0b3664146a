"""What stands in `shop_products.json`: of discounts, collections and stock all that the shop has to say of them."""

from typing import Any

import pytest

from shared.upstream_work import Kind
from tests.workers.sync.conftest import Rig
from tests.workers.sync.test_shopify_sync import document

TEN_EUROS = {"amount": "10.0", "currencyCode": "EUR"}
AMOUNT = {"__typename": "DiscountAmount", "amount": TEN_EUROS, "appliesOnEachItem": False}
PERCENTAGE = {"__typename": "DiscountPercentage", "percentage": 0.1}
ON_QUANTITY = {"__typename": "DiscountOnQuantity", "quantity": {"quantity": "2"}, "effect": PERCENTAGE}


def products(rig: Rig) -> dict[str, Any]:
    """The document after a sync."""
    assert rig.do(Kind.SYNC)["state"] == "done"
    return document(rig, "shop_products.json")


@pytest.mark.parametrize("kind", ["Basic", "Bxgy", "FreeShipping", "App"])
@pytest.mark.parametrize("codes", [0, 5, 6, 250])
def test_a_discount_has_all_its_codes(rig: Rig, kind: str, codes: int) -> None:
    rig.shop.add_discount(f"DiscountCode{kind}", codes=codes)
    rig.shop.add_discount("DiscountAutomaticBasic", summary="10 % off")
    [first, second] = products(rig)["discounts"]
    assert first["discount"]["codes"] == [{"code": f"C{number}"} for number in range(codes)]
    assert "codes" not in second["discount"]


@pytest.mark.parametrize("value", [AMOUNT, PERCENTAGE, ON_QUANTITY])
@pytest.mark.parametrize(
    "kind", ["DiscountCodeBasic", "DiscountCodeBxgy", "DiscountAutomaticBasic", "DiscountAutomaticBxgy"]
)
def test_a_discount_says_what_a_customer_gets(rig: Rig, kind: str, value: dict[str, Any]) -> None:
    rig.shop.add_discount(kind, customerGets={"value": value})
    [found] = products(rig)["discounts"]
    assert found["discount"]["customerGets"] == {"value": value}


@pytest.mark.parametrize(
    ("kind", "has"),
    [
        ("DiscountCodeFreeShipping", {"summary": "Free", "maximumShippingPrice": TEN_EUROS}),
        ("DiscountAutomaticFreeShipping", {"summary": "Free", "maximumShippingPrice": TEN_EUROS}),
        ("DiscountCodeApp", {}),
        ("DiscountAutomaticApp", {}),
    ],
)
def test_a_discount_on_shipping_and_one_of_an_app_are_more_than_their_type(
    rig: Rig, kind: str, has: dict[str, Any]
) -> None:
    rig.shop.add_discount(kind, title="Ours", endsAt="2026-12-24T00:00:00Z", **has)
    [found] = products(rig)["discounts"]
    assert {
        "__typename": kind,
        "title": "Ours",
        "status": "ACTIVE",
        "endsAt": "2026-12-24T00:00:00Z",
        **has,
    }.items() <= found["discount"].items()


def test_a_variant_says_whether_it_is_for_sale_and_a_collection_the_titles_of_its_products(rig: Rig) -> None:
    rig.shop.add_products(1)
    rig.shop.products[0]["variants"][0]["availableForSale"] = False
    rig.shop.collections.append(
        {"id": "gid://shopify/Collection/1", "title": "All", "products": [dict(rig.shop.products[0])] * 30}
    )
    found = products(rig)
    assert found["products"][0]["variants"][0]["availableForSale"] is False
    member = {"id": rig.shop.products[0]["id"], "title": rig.shop.products[0]["title"]}
    assert found["collections"][0]["products"] == [member] * 30


@pytest.mark.parametrize("is_granted", [True, False])
def test_stock_names_its_location_where_that_is_granted_and_is_read_where_it_is_not(
    rig: Rig, *, is_granted: bool
) -> None:
    rig.shop.add_products(1, levels=2)
    if not is_granted:
        rig.shop.denied.add("locations")
    found = products(rig)
    assert list(found["skipped"]) == ([] if is_granted else ["locations"])
    levels = found["products"][0]["variants"][0]["inventoryItem"]["inventoryLevels"]
    names = ["Warehouse 0", "Warehouse 1"] if is_granted else [None, None]
    assert [level["location"].get("name") for level in levels] == names
    assert rig.rows("SELECT count(*) AS n FROM inventory_levels") == [{"n": 2}]
