"""A sync and a webhook that say the same of a product mean the same: neither undoes the other."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from shared.providers.contract import Change, Identity, Source
from shared.providers.shopify import products
from shared.record_changes import record_change
from tests.workers.inbound.dock import NOW, SHOP
from workers.inbound.guard import Effect, Row, apply
from workers.inbound.learn import LeftOut
from workers.sync.shopify_files import Read
from workers.sync.shopify_records import changes_of

SOURCE = Source("1", "shopify", (), {"currencies": {SHOP: "EUR"}})
# What neither form has to say: Shopify writes it as nothing, or as null.
BLANKS = [("", ""), ("", None), (None, ""), (" ", "")]


def read(minute: int, blank: str | None) -> list[Change]:
    """The product and its stock, as a sync reads them."""
    updated = (NOW + timedelta(minutes=minute)).isoformat()
    product = {
        "id": "gid://shopify/Product/1",
        "title": "Kettle",
        "handle": "kettle",
        "status": "ACTIVE",
        "vendor": blank,
        "productType": blank,
        "tags": ["enamel", "new"],
        "publishedAt": "2026-01-05T14:00:00Z",
        "createdAt": "2026-01-04T14:00:00Z",
        "updatedAt": updated,
    }
    variants = [
        {
            "id": f"gid://shopify/ProductVariant/{number}",
            "title": title,
            "position": position,
            "sku": blank,
            "barcode": blank,
            "price": "54.20",
            "compareAtPrice": None,
            "inventoryQuantity": 4,
            "product": {"id": "gid://shopify/Product/1"},
            "inventoryItem": {
                "id": f"gid://shopify/InventoryItem/{900 + number}",
                "inventoryLevels": [
                    {
                        "location": {"id": "gid://shopify/Location/5"},
                        "updatedAt": updated,
                        "quantities": [{"name": "available", "quantity": 4}],
                    }
                ],
            },
        }
        for number, title, position in ((11, "Large", 2), (12, "Small", 1))
    ]
    return changes_of(Read({"shop": [{"currencyCode": "EUR"}], "products": [product], "variants": variants}))


def posted(minute: int, blank: str | None) -> list[Change]:
    """The same product and its stock, as webhooks tell of them."""
    updated = (NOW + timedelta(minutes=minute)).isoformat()
    body: dict[str, Any] = {
        "id": 1,
        "admin_graphql_api_id": "gid://shopify/Product/1",
        "title": "Kettle",
        "handle": "kettle",
        "status": "active",
        "vendor": blank,
        "product_type": blank,
        "tags": "enamel, new",
        "published_at": "2026-01-05T09:00:00-05:00",
        "created_at": "2026-01-04T09:00:00-05:00",
        "updated_at": updated,
        "variants": [
            {
                "id": number,
                "title": title,
                "position": position,
                "inventory_policy": "deny",
                "updated_at": updated,
                "sku": blank,
                "barcode": blank,
                "price": "54.20",
                "compare_at_price": None,
                "inventory_item_id": 900 + number,
                "inventory_quantity": 4,
            }
            for number, title, position in ((12, "Small", 1), (11, "Large", 2))
        ],
    }
    identity = Identity("products/update", b"", None, SHOP, None)
    levels = [
        {"inventory_item_id": 900 + number, "location_id": 5, "available": 4, "updated_at": updated}
        for number in (11, 12)
    ]
    told = [products.snapshot(body, identity, SOURCE), *(products.level(level, identity, SOURCE) for level in levels)]
    return [change for outcome in told for change in outcome.changes]


def after(*said: list[Change]) -> list[tuple[Effect, frozenset[str]]]:
    """What came of each change of a product or a level, in turn."""
    rows: dict[tuple[str, str], Row | None] = {}
    story = []
    for change in [change for changes in said for change in changes]:
        version = change.version or NOW
        checked = record_change(change, account_id=UUID(int=1), provider="shopify", tenant=SHOP, version=version)
        key = (change.kind, change.external_id)
        applied = apply(rows.get(key), checked, now=NOW)
        rows[key] = applied.after
        story.append((applied.effect, applied.changed))
    return story


@pytest.mark.parametrize(("in_webhook", "in_sync"), BLANKS)
def test_a_sync_after_a_webhook_changes_nothing_and_the_next_webhook_neither(
    in_webhook: str | None, in_sync: str | None
) -> None:
    story = after(posted(0, in_webhook), read(1, in_sync), posted(2, in_webhook), read(3, in_sync))
    assert story == [(Effect.CREATED, frozenset[str]())] * 3 + [(Effect.UNCHANGED, frozenset[str]())] * 9


@pytest.mark.parametrize(("in_webhook", "in_sync"), BLANKS)
def test_a_webhook_after_a_sync_adds_only_what_a_sync_does_not_read(
    in_webhook: str | None, in_sync: str | None
) -> None:
    story = after(read(0, in_sync), posted(1, in_webhook), read(2, in_sync), posted(3, in_webhook))
    assert [effect for effect, _ in story[:3]] == [Effect.CREATED] * 3
    assert story[3] == (Effect.UPDATED, frozenset({"attributes", "variants"}))
    assert story[4:] == [(Effect.UNCHANGED, frozenset[str]())] * 8


@pytest.mark.parametrize("wrong", [{"title": 7}, {"vendor": ["x"]}])
def test_an_answer_that_is_not_of_its_kind_is_left_out_and_named(wrong: dict[str, Any]) -> None:
    good = {"id": "gid://shopify/Product/2", "updatedAt": "2026-11-01T10:00:00Z"}
    bad = good | {"id": "gid://shopify/Product/1"} | wrong
    left_out, change = changes_of(Read({"products": [bad, good]}))
    assert isinstance(left_out, LeftOut)
    assert (left_out.kind, left_out.external_id) == ("product", "1")
    assert "is not a text" in left_out.reason
    assert isinstance(change, Change)
