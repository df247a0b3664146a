"""Realistic bodies about products and stock.

Comes in: a topic, a number and an instant. Comes out: the body of that product then. Pure.
"""

from datetime import datetime
from typing import Any, Final

from shared.providers.contract import JSON
from shared.providers.shopify import sample_facts as facts
from shared.providers.shopify.sample_facts import FIRST_LOCATION, FIRST_PRODUCT, OLDER_EVERY, VARIANTS_APART
from shared.providers.turns import turn

SIZES: Final = ("Klein", "Mittel", "Groß", "特大")
STOCK_MAX: Final = 40
_FIRST_VARIANT: Final = FIRST_PRODUCT + 10_000_000
_FIRST_ITEM: Final = FIRST_PRODUCT + 20_000_000


def product(topic: str, number: int, at: datetime) -> JSON:
    """The product of a number, with one to four variants; an update comes of new stock."""
    title, sku, cents = facts.GOODS[number % len(facts.GOODS)]
    status = ("active", "active", "draft", "archived")[number % 4]
    product_id, count = FIRST_PRODUCT + number, 1 + number % len(SIZES)
    variants = [_variant(number, position, f"{sku}-{number:03d}", cents, at) for position in range(count)]
    if topic == "products/update":
        variants[0]["inventory_quantity"] = STOCK_MAX + turn(at, 10_000)
    body: dict[str, Any] = {
        "id": product_id,
        "admin_graphql_api_id": facts.gid("Product", product_id),
        "title": f"{title} {number}",
        "body_html": f"<p>{title} – №{number}</p>" if number % 2 else None,
        "handle": f"{sku.lower()}-{number}",
        "product_type": "Huishouden" if number % 2 else "",
        "vendor": "Lumière",
        "status": status,
        "tags": "nieuw, été" if number % 2 else "",
        "published_at": None if status == "draft" else "2026-01-05T09:00:00-05:00",
        "published_scope": "global",
        "template_suffix": None,
        "created_at": "2026-01-05T08:55:00-05:00",
        "updated_at": facts.local(at),
        "options": [
            {"id": product_id + 5, "product_id": product_id, "name": "Größe", "position": 1, "values": list(SIZES)}
        ],
        "images": [],
        "image": None,
        "media": [],
        "variants": variants,
        "has_variants_that_requires_components": False,
        "category": None,
    }
    # Since 2024-04 the ids of all variants stand beside those that are written out.
    gids = [{"admin_graphql_api_id": item["admin_graphql_api_id"], "updated_at": facts.local(at)} for item in variants]
    return body if number % OLDER_EVERY == 0 else body | {"variant_gids": gids}


def deletion(_: str, number: int, at: datetime) -> JSON:
    """The product of a number is gone; when, only the headers say."""
    del at
    return {"id": FIRST_PRODUCT + number}


def level(_: str, number: int, at: datetime) -> JSON:
    """How many of the first variant of the product of a number a location has by then: some, or less than none."""
    item_id, location_id = _FIRST_ITEM + number * VARIANTS_APART, FIRST_LOCATION + number % 2
    return {
        "inventory_item_id": item_id,
        "location_id": location_id,
        "available": turn(at, 10_000) + number % STOCK_MAX - 2,
        "updated_at": facts.local(at),
        "admin_graphql_api_id": f"{facts.gid('InventoryLevel', location_id)}?inventory_item_id={item_id}",
    }


def _variant(number: int, position: int, sku: str, cents: int, at: datetime) -> dict[str, Any]:
    variant_id = _FIRST_VARIANT + number * VARIANTS_APART + position
    return {
        "id": variant_id,
        "admin_graphql_api_id": facts.gid("ProductVariant", variant_id),
        "product_id": FIRST_PRODUCT + number,
        "title": SIZES[position],
        "sku": f"{sku}-{position}" if position else None,
        "barcode": f"54{number:010d}{position}" if number % 2 else None,
        "price": facts.amount(cents + 200 * position),
        "compare_at_price": facts.amount(cents + 500) if number % 3 == 0 else None,
        "inventory_policy": "deny",
        "position": position + 1,
        "taxable": True,
        "option1": SIZES[position],
        "option2": None,
        "option3": None,
        "image_id": None,
        "created_at": "2026-01-05T08:55:00-05:00",
        "updated_at": facts.local(at),
        "inventory_item_id": _FIRST_ITEM + number * VARIANTS_APART + position,
        "inventory_quantity": number % STOCK_MAX,
        "old_inventory_quantity": number % STOCK_MAX,
    }
