"""The double's GraphQL: enough of the language for one root field a document, its pages and its cost.

What a document asks of a field is not checked, but that its braces close, that it names a root field there is, that no
page has more than 250 and that it costs no more than Shopify lets one query cost.
"""

import re
from collections.abc import Callable
from typing import Any

from tests.doubles.shopify.shop import PRIVACY, SCOPE_OF, Shop

MAX_PAGE = 250
MAX_COST = 1000
_ROOT = re.compile(r"^\s*(query|mutation)\s*(\w+)?\s*(\([^{]*\))?\s*\{\s*(\w+)", re.DOTALL)
_FIRST = re.compile(r"first:\s*(\d+)")
_NESTED = re.compile(r"(\w+)\s*\(([^()]*)\)\s*\{|\{|\}")


class Refused(Exception):
    """Raised for a document that GraphQL would not run; becomes `errors`."""

    def __init__(self, message: str, code: str = "undefinedField") -> None:
        super().__init__(message)
        self.code = code


def cost_of(text: str) -> int:
    """What the document costs at most: every page's size multiplies what is in it."""
    total, stack = 0, [1]
    for match in _NESTED.finditer(text):
        if match[0] == "}":
            if len(stack) == 1:
                raise Refused("syntax error, unexpected }")
            stack.pop()
            continue
        page = _FIRST.search(match[2] or "")
        size = int(page[1]) if page else 1
        if size > MAX_PAGE:
            raise Refused(f"a page has at most {MAX_PAGE}")
        stack.append(stack[-1] * size)
        if page:
            total += stack[-1]
    if len(stack) != 1:
        raise Refused("syntax error, unexpected end of file")
    return total + 1


def run(shop: Shop, text: str, variables: dict[str, Any]) -> dict[str, Any]:
    """The `data` of a document."""
    found = _ROOT.match(text)
    field = FIELDS.get(found[4]) if found else None
    if found is None or field is None:
        raise Refused(f"Field '{found[4] if found else '?'}' doesn't exist")
    shop.calls.append(found[4])
    if found[4] in shop.denied:
        raise Refused(f"Access denied for {found[4]} field.", "ACCESS_DENIED")
    return {found[4]: field(shop, text, variables)}


def _page(items: list[Any], text: str, cursor: str | None) -> dict[str, Any]:
    size = int(found[1]) if (found := _FIRST.search(text)) else 10
    begin = int(cursor) if cursor else 0
    end = begin + size
    more = end < len(items)
    return {"nodes": items[begin:end], "pageInfo": {"hasNextPage": more, "endCursor": str(end) if more else None}}


def _inner(items: list[Any], text: str, name: str, cursor: str | None = None) -> dict[str, Any]:
    found = re.search(rf"\b{name}\s*\(([^()]*)\)", text)
    return _page(items, found[1] if found else "", cursor)


def _shop(shop: Shop, _: str, __: dict[str, Any]) -> dict[str, Any]:
    return {"id": "gid://shopify/Shop/1", "myshopifyDomain": shop.domain, **shop.details}


def _order(shop: Shop, text: str, variables: dict[str, Any]) -> dict[str, Any] | None:
    for order in shop.orders:
        node = order.node()
        if node["id"] == variables["id"]:
            return node | {"lineItems": _inner(node["lineItems"], text, "lineItems", variables.get("inner"))}
    return None


def _shown(product: dict[str, Any], text: str, variables: dict[str, Any]) -> dict[str, Any]:
    shown = {key: value for key, value in product.items() if key != "variants"}
    return shown | {"metafields": _inner(product["metafields"], text, "metafields", variables.get("inner"))}


def _products(shop: Shop, text: str, variables: dict[str, Any]) -> dict[str, Any]:
    page = _page(shop.products, text, variables.get("after"))
    return page | {"nodes": [_shown(product, text, {}) for product in page["nodes"]]}


def _product(shop: Shop, text: str, variables: dict[str, Any]) -> dict[str, Any] | None:
    for product in shop.products:
        if product["id"] == variables["id"]:
            return _shown(product, text, variables)
    return None


def _variant(variant: dict[str, Any], text: str, cursor: str | None = None) -> dict[str, Any]:
    levels = _inner(variant["levels"], text, "inventoryLevels", cursor)
    shown = {key: value for key, value in variant.items() if key != "levels"}
    return shown | {
        "inventoryItem": {"id": variant["id"].replace("ProductVariant", "InventoryItem"), "inventoryLevels": levels}
    }


def _variants(shop: Shop, text: str, variables: dict[str, Any]) -> dict[str, Any]:
    page = _page([one for product in shop.products for one in product["variants"]], text, variables.get("after"))
    return page | {"nodes": [_variant(one, text) for one in page["nodes"]]}


def _inventory_item(shop: Shop, text: str, variables: dict[str, Any]) -> dict[str, Any] | None:
    for product in shop.products:
        for variant in product["variants"]:
            shown = _variant(variant, text, variables.get("inner"))
            if shown["inventoryItem"]["id"] == variables["id"]:
                item: dict[str, Any] = shown["inventoryItem"]
                return item
    return None


def _collections(shop: Shop, text: str, variables: dict[str, Any]) -> dict[str, Any]:
    page = _page(shop.collections, text, variables.get("after"))
    nodes = [one | {"products": _inner(one["products"], text, "products")} for one in page["nodes"]]
    return page | {"nodes": nodes}


def _collection(shop: Shop, text: str, variables: dict[str, Any]) -> dict[str, Any] | None:
    for one in shop.collections:
        if one["id"] == variables["id"]:
            return dict(one) | {"products": _inner(one["products"], text, "products", variables.get("inner"))}
    return None


def _discounts(shop: Shop, text: str, variables: dict[str, Any]) -> dict[str, Any]:
    return _page(shop.discounts, text, variables.get("after"))


def _subscriptions(shop: Shop, text: str, variables: dict[str, Any]) -> dict[str, Any]:
    return _page(shop.subscriptions, text, variables.get("after"))


def _wrong(message: str) -> dict[str, Any]:
    return {"webhookSubscription": None, "userErrors": [{"field": ["webhookSubscription"], "message": message}]}


def _uri_problem(shop: Shop, uri: str) -> str | None:
    if uri.startswith("https://") or (shop.allow_http and uri.startswith("http://")):
        return None
    return "Address protocol http:// is not supported"


def _create(shop: Shop, _: str, variables: dict[str, Any]) -> dict[str, Any]:
    topic, uri = variables["topic"], variables["sub"]["uri"]
    if topic in PRIVACY or not re.fullmatch(r"[A-Z]+(_[A-Z]+)+", topic):
        raise Refused(f"Variable $topic of type WebhookSubscriptionTopic! was provided invalid value {topic}")
    if problem := _uri_problem(shop, uri):
        return _wrong(problem)
    scope = SCOPE_OF.get(topic.partition("_")[0])
    if topic in shop.refused_topics or (scope and shop.scopes and scope not in shop.scopes):
        return _wrong(f"You do not have permission to create or update webhooks with {topic.lower()} topic.")
    taken = any(one["topic"] == topic and one["uri"] == uri for one in shop.subscriptions)
    if taken or topic in shop.taken_although_unlisted:
        return _wrong("Address for this topic has already been taken")
    return {"webhookSubscription": shop.subscribe(topic, uri), "userErrors": []}


def _update(shop: Shop, _: str, variables: dict[str, Any]) -> dict[str, Any]:
    if problem := _uri_problem(shop, variables["sub"]["uri"]):
        return _wrong(problem)
    for one in shop.subscriptions:
        if one["id"] == variables["id"]:
            one["uri"] = variables["sub"]["uri"]
            return {"webhookSubscription": one, "userErrors": []}
    return _wrong("Webhook subscription does not exist")


def _delete(shop: Shop, _: str, variables: dict[str, Any]) -> dict[str, Any]:
    before = len(shop.subscriptions)
    shop.subscriptions = [one for one in shop.subscriptions if one["id"] != variables["id"]]
    if len(shop.subscriptions) == before:
        return {"deletedWebhookSubscriptionId": None, "userErrors": [{"field": ["id"], "message": "does not exist"}]}
    return {"deletedWebhookSubscriptionId": variables["id"], "userErrors": []}


FIELDS: dict[str, Callable[[Shop, str, dict[str, Any]], Any]] = {
    "shop": _shop,
    "order": _order,
    "products": _products,
    "product": _product,
    "productVariants": _variants,
    "inventoryItem": _inventory_item,
    "collections": _collections,
    "collection": _collection,
    "discountNodes": _discounts,
    "webhookSubscriptions": _subscriptions,
    "webhookSubscriptionCreate": _create,
    "webhookSubscriptionUpdate": _update,
    "webhookSubscriptionDelete": _delete,
}
