"""What a shop tells of, and which scopes let an app hear or ask: one of those named is enough.

A scope to write is one to read too. The privacy topics are none of these: they are set in the app's own settings.

Source: shopify.dev, GraphQL Admin API 2026-10, WebhookSubscriptionTopic and the objects' access scopes, read 2026-11.
"""

from collections.abc import Collection
from typing import Final

_ORDERS: Final = ("read_orders", "read_marketplace_orders")
_EDITS: Final = (*_ORDERS, "read_buyer_membership_orders")
_STOCK: Final = ("read_inventory", "read_products")

TOPICS: Final[dict[str, tuple[str, ...]]] = {
    "APP_SCOPES_UPDATE": (),
    "APP_UNINSTALLED": (),
    "COLLECTIONS_CREATE": ("read_products",),
    "COLLECTIONS_DELETE": ("read_products",),
    "COLLECTIONS_UPDATE": ("read_products",),
    "CUSTOMERS_CREATE": ("read_customers",),
    "CUSTOMERS_DELETE": ("read_customers",),
    "CUSTOMERS_DISABLE": ("read_customers",),
    "CUSTOMERS_EMAIL_MARKETING_CONSENT_UPDATE": ("read_customers",),
    "CUSTOMERS_ENABLE": ("read_customers",),
    "CUSTOMERS_MARKETING_CONSENT_UPDATE": ("read_customers",),
    "CUSTOMERS_MERGE": ("read_customer_merge",),
    "CUSTOMERS_UPDATE": ("read_customers",),
    "DISCOUNTS_CREATE": ("read_discounts",),
    "DISCOUNTS_DELETE": ("read_discounts",),
    "DISCOUNTS_UPDATE": ("read_discounts",),
    "FULFILLMENTS_CREATE": ("read_fulfillments", "read_marketplace_orders"),
    "FULFILLMENTS_UPDATE": ("read_fulfillments", "read_marketplace_orders"),
    "INVENTORY_ITEMS_CREATE": _STOCK,
    "INVENTORY_ITEMS_DELETE": _STOCK,
    "INVENTORY_ITEMS_UPDATE": _STOCK,
    "INVENTORY_LEVELS_CONNECT": ("read_inventory",),
    "INVENTORY_LEVELS_DISCONNECT": ("read_inventory",),
    "INVENTORY_LEVELS_UPDATE": ("read_inventory",),
    "LOCATIONS_CREATE": ("read_locations",),
    "LOCATIONS_DELETE": ("read_locations",),
    "LOCATIONS_UPDATE": ("read_locations",),
    "ORDERS_CANCELLED": _EDITS,
    "ORDERS_CREATE": _ORDERS,
    "ORDERS_DELETE": ("read_orders",),
    "ORDERS_EDITED": _EDITS,
    "ORDERS_FULFILLED": _ORDERS,
    "ORDERS_PAID": _ORDERS,
    "ORDERS_PARTIALLY_FULFILLED": _ORDERS,
    "ORDERS_UPDATED": _EDITS,
    "PRODUCTS_CREATE": ("read_products",),
    "PRODUCTS_DELETE": ("read_products",),
    "PRODUCTS_UPDATE": ("read_products",),
    "REFUNDS_CREATE": _EDITS,
    "SHOP_UPDATE": (),
    "THEMES_UPDATE": ("read_themes",),
}

# What each root field needs; those without a line need nothing.
ROOT_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "order": _ORDERS,
    "products": ("read_products",),
    "product": ("read_products",),
    "productVariants": ("read_products",),
    "inventoryItem": _STOCK,
    "locations": ("read_locations",),
    "collections": ("read_products",),
    "collection": ("read_products",),
    "discountNodes": ("read_discounts",),
    "discountNode": ("read_discounts",),
}


def is_allowed(needed: Collection[str], held: Collection[str]) -> bool:
    """Whether an app with the scopes `held` has one of those `needed`; of a shop with none said, everything."""
    if not needed or not held:
        return True
    return any(scope in held or scope.replace("read_", "write_", 1) in held for scope in needed)
