"""Shopify's products with their variants, and how many of an item a location has.

Comes in: the body of a products or inventory_levels topic. Comes out: one change. A product's body names no currency:
it is the shop's, and prices become minor units where the source's settings say which that is. Pure.
"""

from collections.abc import Mapping
from typing import Final

from pydantic import Field, field_validator

from shared import money
from shared.errors import PayloadUnexpected
from shared.providers import options, reading
from shared.providers.contract import JSON, Change, Identity, Outcome, Source
from shared.providers.shopify import resource
from shared.providers.shopify.resource import Body

_SNAPSHOT_ONLY = ("created_at", "updated_at", "title", "variants", "handle", "line_items", "tax_exemptions")
_MAPPED: Final = frozenset(
    """id admin_graphql_api_id title handle status vendor product_type tags published_at created_at updated_at
    variants variant_gids options""".split()  # noqa: SIM905  # shorter than a name a line
)
# What has a field of a variant, and what only says that something changed.
_VARIANT: Final = frozenset(
    """id admin_graphql_api_id product_id sku title barcode price compare_at_price inventory_item_id
    inventory_quantity old_inventory_quantity created_at updated_at""".split()  # noqa: SIM905  # shorter than a name a line
)


_PLAIN: Final[resource.Table] = {
    "created_at": ("created_at", reading.optional_instant),
    "title": ("title", reading.optional_text),
    "handle": ("handle", reading.optional_text),
    "status": ("status", reading.optional_text),
    "vendor": ("vendor", reading.optional_text),
    "product_type": ("product_type", reading.optional_text),
    "published_at": ("published_at", reading.optional_instant),
    "tags": ("tags", resource.words),
    "options": (
        "options",
        lambda body, name: [reading.with_text_ids(dict(item)) for item in resource.objects(body, name)],
    ),
}


class ShopifyOptions(options.SourceOptions):
    """The settings of a Shopify source."""

    currency: str | None = None  # of every shop that `currencies` does not name
    currencies: dict[str, str] = Field(default_factory=dict)  # by myshopify domain

    @field_validator("currency", "currencies")
    @classmethod
    def _is_currency(cls, value: str | dict[str, str] | None) -> str | dict[str, str] | None:
        for code in value.values() if isinstance(value, dict) else [] if value is None else [value]:
            if not money.is_code(code):
                raise ValueError("no ISO 4217 currency code")
        return {shop.lower(): code for shop, code in value.items()} if isinstance(value, dict) else value


def check_settings(settings: Mapping[str, JSON]) -> list[str]:
    """What is wrong with a source's settings."""
    chosen = options.read(ShopifyOptions, settings)
    if chosen is None:
        return options.problems(ShopifyOptions, settings)
    told = {"currency": chosen.currency, **{f"currencies.{shop}": code for shop, code in chosen.currencies.items()}}
    return [f"{name}: no ISO 4217 currency code" for name, code in told.items() if code and not money.is_known(code)]


def currency_of(shop: str, source: Source) -> str | None:
    """The currency that the source's settings give the shop."""
    chosen = options.read(ShopifyOptions, source.settings) or ShopifyOptions(currency=None)
    return chosen.currencies.get(shop, chosen.currency)


def snapshot(body: Body, identity: Identity, source: Source) -> Outcome:
    """The product as it is now."""
    product_id = resource.identifier(body, "Product")
    version = reading.instant(body, "updated_at")
    attributes: dict[str, JSON] = reading.rest(body, _MAPPED)
    fields = resource.said(body, _PLAIN) | {"attributes": attributes}
    variants, all_variants = resource.objects(body, "variants"), resource.objects(body, "variant_gids")
    if "variants" in body:
        attributes["variants_count"] = max(len(variants), len(all_variants))
    # Shopify writes at most a hundred variants out. A part of them must not replace the whole, which a sync has read.
    # Source: shopify.dev, webhooks topics reference, products/update, read 2026-11.
    if "variants" in body and len(variants) >= len(all_variants):
        code = currency_of(identity.tenant, source)
        fields["variants"] = resource.items(body, "variants", lambda item: _variant(item, code), _VARIANT)
    return Outcome(changes=(Change("product", "upsert", product_id, version, fields),))


def deletion(body: Body, identity: Identity, source: Source) -> Outcome:
    """The product's end, from when it was triggered."""
    del source
    product_id = resource.deleted_identifier(body, "Product", _SNAPSHOT_ONLY)
    return Outcome(changes=(Change("product", "delete", product_id, identity.occurred_at),))


def _variant(item: Body, code: str | None) -> dict[str, JSON]:
    return {
        "id": resource.identifier(item, "ProductVariant"),
        "sku": reading.optional_text(item, "sku"),
        "title": reading.optional_text(item, "title"),
        "barcode": reading.optional_text(item, "barcode"),
        "price": reading.optional_text(item, "price"),  # as they write it: exact even where the currency is unknown
        "currency": code,
        "priceMinor": resource.minor(item, "price", code),
        "compareAtPriceMinor": resource.minor(item, "compare_at_price", code),
        "inventoryItemId": resource.optional_identifier(item, "inventory_item_id"),
        "inventoryQuantity": reading.optional_integer(item, "inventory_quantity"),
    }


def level(body: Body, identity: Identity, source: Source) -> Outcome:
    """How many of an item a location has; `None` where it is not counted, negative where more was sold.

    Source: shopify.dev, admin-rest, resources/inventorylevel, read 2026-11.
    """
    del identity, source
    item_id = reading.identifier(body, "inventory_item_id")
    location_id = reading.identifier(body, "location_id")
    gid = reading.optional_text(body, "admin_graphql_api_id")
    is_ours = gid is None or (
        gid.startswith("gid://shopify/InventoryLevel/") and gid.endswith(f"?inventory_item_id={item_id}")
    )
    if not is_ours:
        raise PayloadUnexpected("admin_graphql_api_id is not that of the item's level")
    if "available" not in body:
        raise PayloadUnexpected("available is missing")
    fields: dict[str, JSON] = {
        "item_external_id": item_id,
        "location_external_id": location_id,
        "available": reading.optional_integer(body, "available"),
    }
    version = reading.instant(body, "updated_at")
    return Outcome(changes=(Change("inventory", "upsert", f"{item_id}:{location_id}", version, fields),))
