"""The double's GraphQL: what each root field finds or does, and whether the app may ask for it."""

from collections.abc import Callable, Mapping
from typing import Any

from graphql import GraphQLNonNull

from tests.doubles.shopify import language
from tests.doubles.shopify.language import SCHEMA, Refused
from tests.doubles.shopify.selection import Selection
from tests.doubles.shopify.shop import Shop
from tests.doubles.shopify.topics import ROOT_FIELDS, TOPICS, is_allowed

Arguments = Mapping[str, Any]


def closed(shop: Shop) -> frozenset[str]:
    """The types of which the app may read no more than the id.

    Source: shopify.dev, changelog 2025-03-31: of a location, all but its id needs a scope of its own.
    """
    return frozenset() if _denied(shop, "locations") is None else frozenset({"Location"})


def run(shop: Shop, selection: Selection, *, version: str) -> dict[str, Any]:
    """The `data` of a document, and `errors` where the app has no access to a field.

    Raises:
        Refused: it asks for what cannot be.
    """
    operation = selection.document.operation
    root = SCHEMA.get_root_type(operation.operation)
    assert root is not None
    data: dict[str, Any] | None = {}
    errors = []
    for key, nodes in selection.fields(root, [operation.selection_set]).items():
        name = nodes[0].name.value
        if name == "__typename":
            value = root.name
        elif (field := FIELDS.get(name)) is None:
            raise Refused(f"The double has no {name}")
        else:
            shop.calls.append(name)
            value = None
            if (denied := _denied(shop, name)) is None:
                arguments = {**selection.arguments(root, nodes[0]), "version": version}
                value = selection.show(root, nodes, field(shop, arguments))
            else:
                errors.append(denied)
                if isinstance(root.fields[name].type, GraphQLNonNull):
                    data = None
        if data is not None:
            data[key] = value
    return {"data": data, "errors": errors} if errors else {"data": data}


def _denied(shop: Shop, name: str) -> dict[str, Any] | None:
    needed = ROOT_FIELDS.get(name, ())
    if name not in shop.denied and is_allowed(needed, shop.scopes):
        return None
    required = f"`{needed[0]}` access scope." if needed else "another access scope."
    words = f"Access denied for {name} field. Required access: {required}"
    return language.error(words, "ACCESS_DENIED", (name,), requiredAccess=required)


def _gid(arguments: Arguments) -> str:
    found: str = arguments["id"]
    if not found.startswith("gid://shopify/"):
        raise Refused(f"Invalid global id '{found}'", "argumentLiteralsIncompatible")
    return found


def _by_id(items: list[dict[str, Any]], arguments: Arguments) -> dict[str, Any] | None:
    wanted = _gid(arguments)
    return next((one for one in items if one["id"] == wanted), None)


def _shop(shop: Shop, _: Arguments) -> dict[str, Any]:
    return {"id": "gid://shopify/Shop/1", "myshopifyDomain": shop.domain, **shop.details}


def _order(shop: Shop, arguments: Arguments) -> dict[str, Any] | None:
    wanted = _gid(arguments)
    return next((order.node() for order in shop.orders if f"gid://shopify/Order/{order.id}" == wanted), None)


def _variants(shop: Shop, _: Arguments) -> list[dict[str, Any]]:
    return [one for product in shop.products for one in product["variants"]]


def _inventory_item(shop: Shop, arguments: Arguments) -> dict[str, Any] | None:
    return _by_id([one["inventoryItem"] for one in _variants(shop, {})], arguments)


def _locations(shop: Shop, _: Arguments) -> list[dict[str, Any]]:
    levels = (level for one in _variants(shop, {}) for level in one["inventoryItem"]["inventoryLevels"])
    return list({level["location"]["id"]: level["location"] for level in levels if level["location"]}.values())


def _subscriptions(shop: Shop, arguments: Arguments) -> list[dict[str, Any]]:
    return [
        one
        for one in shop.subscriptions
        if arguments.get("uri") in (None, one["uri"])
        and arguments.get("format") in (None, one["format"])
        and (arguments.get("topics") is None or one["topic"] in arguments["topics"])
    ]


def _wrong(message: str) -> dict[str, Any]:
    return {"webhookSubscription": None, "userErrors": [{"field": ["webhookSubscription"], "message": message}]}


def _uri_problem(shop: Shop, uri: str | None) -> str | None:
    if not uri:
        return "Address can't be blank"
    if uri.startswith("https://") or (shop.allow_http and uri.startswith("http://")):
        return None
    return "Address protocol http:// is not supported"


def _create(shop: Shop, arguments: Arguments) -> dict[str, Any]:
    topic, given = arguments["topic"], _given(arguments)
    uri = given.pop("uri", None)
    if problem := _uri_problem(shop, uri):
        return _wrong(problem)
    if topic in shop.refused_topics or not is_allowed(TOPICS[topic], shop.scopes):
        return _wrong(f"You do not have permission to create or update webhooks with {topic.lower()} topic.")
    taken = any(one["topic"] == topic and one["uri"] == uri for one in shop.subscriptions)
    if taken or topic in shop.taken_although_unlisted:
        return _wrong("Address for this topic has already been taken")
    made = shop.subscribe(topic, uri, version=arguments["version"], **given)
    return {"webhookSubscription": made, "userErrors": []}


def _given(arguments: Arguments) -> dict[str, Any]:
    """What an input says of a webhook, as Shopify keeps it: null where it has a list, or its format, is not said."""
    kept = {"includeFields": [], "metafieldNamespaces": [], "format": "JSON"}
    given = arguments["webhookSubscription"]
    return {name: kept.get(name) if value is None else value for name, value in given.items()}


def _update(shop: Shop, arguments: Arguments) -> dict[str, Any]:
    given = _given(arguments)
    if "uri" in given and (problem := _uri_problem(shop, given["uri"])):
        return _wrong(problem)
    one = _by_id(shop.subscriptions, arguments)
    if one is None:
        return _wrong("Webhook subscription does not exist")
    one.update({name: value for name, value in given.items() if name not in shop.unmended})
    return {"webhookSubscription": one, "userErrors": []}


def _delete(shop: Shop, arguments: Arguments) -> dict[str, Any]:
    one = _by_id(shop.subscriptions, arguments)
    if one is None:
        return {"deletedWebhookSubscriptionId": None, "userErrors": [{"field": ["id"], "message": "does not exist"}]}
    shop.unsubscribe(one)
    return {"deletedWebhookSubscriptionId": one["id"], "userErrors": []}


FIELDS: dict[str, Callable[[Shop, Arguments], Any]] = {
    "shop": _shop,
    "order": _order,
    "products": lambda shop, _: shop.products,
    "product": lambda shop, arguments: _by_id(shop.products, arguments),
    "productVariants": _variants,
    "inventoryItem": _inventory_item,
    "locations": _locations,
    "collections": lambda shop, _: shop.collections,
    "collection": lambda shop, arguments: _by_id(shop.collections, arguments),
    "discountNodes": lambda shop, _: shop.discounts,
    "discountNode": lambda shop, arguments: _by_id(shop.discounts, arguments),
    "webhookSubscriptions": _subscriptions,
    "webhookSubscriptionCreate": _create,
    "webhookSubscriptionUpdate": _update,
    "webhookSubscriptionDelete": _delete,
}
