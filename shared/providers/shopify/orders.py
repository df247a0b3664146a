"""Shopify's orders: create, updated, cancelled, paid and fulfilled are all the same snapshot; delete is an id.

Comes in: the body of an orders topic. Comes out: one change of one order; what became of it since, paid or cancelled,
is told by comparing it with what is known. Money is the shop's; what the customer saw stands beside it. Pure.
"""

from collections.abc import Mapping
from typing import Final

from shared.providers import reading
from shared.providers.contract import JSON, Change, Identity, Outcome, Source
from shared.providers.shopify import links, refunds, resource
from shared.providers.shopify.resource import Body

# Source: shopify.dev, admin-rest, resources/order, financial_status and fulfillment_status, read 2026-11.
_FINANCIAL: Final[Mapping[str | None, str]] = {
    "pending": "pending",
    "authorized": "authorized",
    "partially_paid": "partially_paid",
    "paid": "paid",
    "partially_refunded": "partially_refunded",
    "refunded": "refunded",
    "voided": "voided",
}
_FULFILLMENT: Final[Mapping[str | None, str]] = {
    None: "unfulfilled",
    "unfulfilled": "unfulfilled",
    "partial": "partial",
    "fulfilled": "fulfilled",
    "restocked": "returned",
}
_SNAPSHOT_ONLY = (
    "created_at",
    "updated_at",
    "name",
    "line_items",
    "total_price",
    "currency",
    "title",
    "tax_exemptions",
)
# What has a field of ours or a topic of its own.
_MAPPED: Final = frozenset(
    """id admin_graphql_api_id name created_at updated_at currency email phone cancelled_at cancel_reason
    processed_at test tags billing_address shipping_address customer line_items
    fulfillments refunds total_price total_price_set subtotal_price subtotal_price_set total_tax
    total_tax_set total_discounts total_discounts_set total_shipping_price_set""".split()  # noqa: SIM905  # shorter than a name a line
)
# What has a field of a line, or says no more than one: its name is its title and its variant's, its discount is taken
# off its total.
_LINE: Final = frozenset(
    """id admin_graphql_api_id sku title name quantity current_quantity price product_id variant_id
    fulfillment_status total_discount total_discount_set""".split()  # noqa: SIM905  # shorter than a name a line
)
_ADDRESS: Final = resource.ADDRESS | {"name"}
# Keys to a checkout, a cart or the order's own page, and traces of a person's browser: nobody downstream has business
# with them. The first by the ends of their names: whatever link or token Shopify adds may open something too.
_KEYS: Final = ("token", "_url")
_WITHHELD: Final = frozenset(("browser_ip", "client_details", "device_id"))
_LINKS: Final = ("landing_site", "referring_site", "source_url")  # what they open is cut off
_AMOUNTS: Final[Mapping[str, str]] = {
    "total_minor": "total_price",
    "subtotal_minor": "subtotal_price",
    "tax_minor": "total_tax",
    "discount_minor": "total_discounts",
    "shipping_minor": "total_shipping_price",
}
_SETS: Final = frozenset(f"{name}_set" for name in _AMOUNTS.values())
_ALL_AMOUNTS: Final = _SETS.union(_AMOUNTS.values())
_OF_LINE: Final = ("price", "total_discount", "total_discount_set")
_SEEN: Final[Mapping[str, str]] = {  # beside the total
    "subtotal_minor": "subtotalMinor",
    "tax_minor": "taxMinor",
    "discount_minor": "discountMinor",
    "shipping_minor": "shippingMinor",
}


def snapshot(body: Body, identity: Identity, source: Source) -> Outcome:
    """The order as it is now, and the refunds within it."""
    del identity, source
    order_id = resource.identifier(body, "Order")
    version = reading.instant(body, "updated_at")
    fields = _fields(body)
    order = Change("order", "upsert", order_id, version, fields)
    return Outcome(changes=(order, *refunds.within_order(body, order_id, fields.get("currency"), version)))


def deletion(body: Body, identity: Identity, source: Source) -> Outcome:
    """The order's end, from when it was triggered."""
    del source
    order_id = resource.deleted_identifier(body, "Order", _SNAPSHOT_ONLY)
    return Outcome(changes=(Change("order", "delete", order_id, identity.occurred_at),))


def _fields(body: Body) -> dict[str, JSON]:
    code = reading.optional_currency(body) or resource.code_of(body, "total_price", "shop_money")
    fields = resource.said(body, _PLAIN) | {
        ours: resource.amount(body, theirs, code)
        for ours, theirs in _AMOUNTS.items()
        if theirs in body or f"{theirs}_set" in body
    }
    fields["attributes"] = _attributes(body, _mapped(body, code))
    if code is not None:
        fields["currency"] = code
    if "total_price_set" in body:
        fields["presentment"] = _presentment(body, fields)
    if "line_items" in body:
        mapped = resource.read_beside(_LINE, _OF_LINE, code)
        fields["line_items"] = resource.items(body, "line_items", lambda item: _line(item, code), mapped)
    if "cancelled_at" in body:
        fields["status"] = _status(body)
    return fields


def _mapped(body: Body, code: str | None) -> frozenset[str]:
    """What needs not be kept in Shopify's words; an amount that cannot be read needs to be."""
    seen = resource.code_of(body, "total_price", "presentment_money")
    return resource.read_beside(resource.read_beside(_MAPPED, _ALL_AMOUNTS, code), _SETS, seen)


def _attributes(body: Body, mapped: frozenset[str]) -> dict[str, JSON]:
    keys = [name for name in body if name.endswith(_KEYS)]
    found: dict[str, JSON] = reading.rest(body, mapped.union(_WITHHELD, _LINKS, keys))
    for name in _LINKS:
        if name in body:
            link = reading.optional_text(body, name)
            found[name] = None if link is None else links.page(link)
    return found


def _customer(body: Body, name: str) -> str | None:
    """Who ordered: nobody whom the shop knows when it is null, as at a guest's checkout."""
    customer = reading.optional_object(body, name)
    return reading.identifier(customer) if customer else None


def _status(body: Body) -> str:
    if body.get("cancelled_at") is not None:
        return "cancelled"
    return "open" if body.get("closed_at") is None else "closed"


def _presentment(body: Body, fields: Mapping[str, JSON]) -> dict[str, JSON] | None:
    """The order's amounts as the customer saw them: those that are in the currency of the total."""
    total = resource.presentment_money(body, "total_price")
    if total is None:
        return None
    seen: dict[str, JSON] = {"currency": total[1], "totalMinor": total[0]}
    for column, name in _SEEN.items():
        both = reading.optional_object(body, f"{_AMOUNTS[column]}_set")
        if both is None:
            continue
        if both.get("shop_money") == both.get("presentment_money"):
            money, code = fields[column], fields.get("currency")
        else:
            money, code = resource.presentment_money(body, _AMOUNTS[column]) or (None, None)
        if money is not None and code == total[1]:
            seen[name] = money
    return seen


def _address(body: Body, name: str) -> dict[str, JSON] | None:
    """An address with whom it is addressed to."""
    given = reading.optional_object(body, name)
    found = resource.address(given, _ADDRESS)
    return None if found is None or given is None else {"name": reading.optional_text(given, "name"), **found}


def _discount_codes(body: Body, name: str) -> list[str]:
    codes = [reading.optional_text(item, "code") for item in resource.objects(body, name)]
    return [code for code in codes if code]


def _line(item: Body, code: str | None) -> dict[str, JSON]:
    """One line: what it is, and its amounts in the currency `code`."""
    quantity, price = reading.optional_integer(item, "quantity"), resource.amount(item, "price", code)
    return {
        "id": reading.identifier(item),
        "sku": reading.optional_text(item, "sku"),
        "title": reading.optional_text(item, "title"),
        "quantity": quantity,
        # What is left of it after edits and refunds; None in the bodies of before 2024, which do not tell.
        "currentQuantity": reading.optional_integer(item, "current_quantity"),
        "priceMinor": price,
        "totalMinor": None if price is None or quantity is None else price * quantity - _discount(item, code),
        "productId": resource.optional_identifier(item, "product_id"),
        "variantId": resource.optional_identifier(item, "variant_id"),
        "status": _FULFILLMENT.get(reading.optional_text(item, "fulfillment_status")),
    }


def _discount(item: Body, code: str | None) -> int:
    """What is taken off a line. The allocations tell all of it; total_discount only what was given on the line itself.

    Source: shopify.dev, admin-rest, resources/order, line_items, read 2026-11.
    """
    allocations = resource.objects(item, "discount_allocations")
    if allocations:
        return sum(resource.amount(allocation, "amount", code) or 0 for allocation in allocations)
    return resource.amount(item, "total_discount", code) or 0


_PLAIN: Final[resource.Table] = {
    "created_at": ("created_at", reading.optional_instant),
    "number": ("name", reading.optional_text),  # what people call it, e.g. #1001
    "email": ("email", reading.optional_text),
    "phone": ("phone", reading.optional_text),
    "cancelled_at": ("cancelled_at", reading.optional_instant),
    "cancel_reason": ("cancel_reason", reading.optional_text),
    "placed_at": ("processed_at", reading.optional_instant),
    "is_test": ("test", lambda body, name: body[name] is True),
    # A status that we have no word for stays where they wrote it, in attributes.
    "financial_status": ("financial_status", lambda body, name: _FINANCIAL.get(reading.optional_text(body, name))),
    "fulfillment_status": (
        "fulfillment_status",
        lambda body, name: _FULFILLMENT.get(reading.optional_text(body, name)),
    ),
    "customer_external_id": ("customer", _customer),
    "billing_address": ("billing_address", _address),
    "shipping_address": ("shipping_address", _address),
    "discount_codes": ("discount_codes", _discount_codes),
    "tags": ("tags", resource.words),
}
