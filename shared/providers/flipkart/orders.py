"""Flipkart's orders: from the items of a shipment, or told whole.

Comes in: order items, or the attributes of ORDER_CREATED and ORDER_UPDATED. Comes out: an order's fields. Pure.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from shared import money
from shared.providers import leftovers, reading
from shared.providers.contract import JSON

Body = Mapping[str, Any]

RUPEES: Final = "INR"  # what Flipkart sells in; its bodies name no currency
_STATUS: Final[Mapping[str | None, str]] = {
    "CREATED": "open",
    "APPROVED": "open",
    "OPEN": "open",
    "PACKED": "open",
    "SHIPPED": "open",
    "CANCELLED": "cancelled",
    "DELIVERED": "closed",
    "COMPLETED": "closed",
    "CLOSED": "closed",
}
_FULFILLMENT: Final[Mapping[str | None, str]] = {
    "CREATED": "unfulfilled",
    "APPROVED": "unfulfilled",
    "PACKED": "unfulfilled",
    "SHIPPED": "fulfilled",
    "DELIVERED": "fulfilled",
    "COMPLETED": "fulfilled",
    "RETURNED": "returned",
}
_FINANCIAL: Final[Mapping[str | None, str]] = {
    "COD": "pending",  # paid at the door
    "PREPAID": "paid",
    "PENDING": "pending",
    "AUTHORIZED": "authorized",
    "PAID": "paid",
    "PARTIALLY_REFUNDED": "partially_refunded",
    "REFUNDED": "refunded",
    "VOIDED": "voided",
}

_LINE: Final = frozenset(("orderItemId", "sku", "title", "quantity", "fsn", "listingId"))
_ADDRESS: Final = frozenset(
    ("firstName", "lastName", "addressLine1", "addressLine2", "city", "state", "pinCode", "contactNumber")
)


def currency(body: Body) -> str:
    """The currency that a body names, or rupees.

    Raises:
        PayloadUnexpected: it is none.
    """
    return reading.optional_currency(body) or RUPEES


def line(item: Body, code: str) -> dict[str, JSON]:
    """An order item as a line."""
    prices = reading.optional_object(item, "priceComponents") or {}
    return {
        "id": reading.identifier(item, "orderItemId"),
        "sku": reading.optional_text(item, "sku"),
        "title": reading.optional_text(item, "title"),
        "quantity": reading.optional_integer(item, "quantity"),
        "priceMinor": reading.optional_minor(prices, "sellingPrice", code),
        "totalMinor": reading.optional_minor(prices, "totalPrice", code),
        "productId": reading.optional_identifier(item, "fsn"),
        "variantId": reading.optional_identifier(item, "listingId"),
        "status": None,
        "attributes": _rest_of_line(item, prices, code),
    }


def _rest_of_line(item: Body, prices: Body, code: str) -> dict[str, JSON]:
    """What of an item has no field; of its prices, those that are not the line's own, or cannot be read."""
    read = ("sellingPrice", "totalPrice") if money.is_known(code) else ()
    beside = {name: price for name, price in prices.items() if name not in read}
    rest = {name: value for name, value in item.items() if name != "priceComponents"}
    return leftovers.of(rest | ({"priceComponents": beside} if beside else {}), _LINE)


def of_shipment(order_id: str, items: Sequence[Body]) -> dict[str, JSON]:
    """An order as one of its shipments tells it: what it would be if that were all of it."""
    lines = [line(item, RUPEES) | {"shippingMinor": _shipping(item)} for item in items]
    payment = next((word for item in items if (word := reading.optional_text(item, "paymentType"))), None)
    fields: dict[str, JSON] = {
        "number": order_id,
        "status": "open",
        "currency": RUPEES,
        "total_minor": _sum(one["totalMinor"] for one in lines),
        "shipping_minor": _sum(one["shippingMinor"] for one in lines),
        "line_items": lines,
        "attributes": {"paymentType": payment},
    }
    if payment in _FINANCIAL:
        fields["financial_status"] = _FINANCIAL[payment]
    if placed := [at for item in items if (at := reading.optional_instant(item, "orderDate"))]:
        fields["placed_at"] = min(placed)
    return fields


def _shipping(item: Body) -> int | None:
    prices = reading.optional_object(item, "priceComponents") or {}
    return reading.optional_minor(prices, "shippingCharge", RUPEES)


def _sum(amounts: Any) -> int | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known else None


def whole(order_id: str, told: Body) -> dict[str, JSON]:
    """An order as ORDER_CREATED and ORDER_UPDATED tell it, but for what is not `MAPPED`.

    What they leave out is left as it is.
    """
    code = currency(told)
    word = _word(told, "status")
    fields: dict[str, JSON] = {
        "number": order_id,
        "currency": code,
        "attributes": _attributes(told, word, code),
    }
    if word in _STATUS:
        fields["status"] = _STATUS[word]
    if word in _FULFILLMENT:
        fields["fulfillment_status"] = _FULFILLMENT[word]
    for name in ("paymentType", "paymentStatus"):  # the status, where there is one, knows better
        if (payment := _word(told, name)) in _FINANCIAL:
            fields["financial_status"] = _FINANCIAL[payment]
    fields |= {ours: read(told, theirs, code) for theirs, (ours, read) in _FIELDS.items() if theirs in told}
    return fields | _buyer(told)


def _buyer(told: Body) -> dict[str, JSON]:
    buyer = reading.optional_object(told, "buyer")
    if buyer is None:
        return {}
    return {
        "customer_external_id": reading.optional_identifier(buyer, "id"),
        "email": reading.optional_text(buyer, "email"),
        "phone": reading.optional_text(buyer, "phone"),
    }


def _attributes(told: Body, word: str | None, code: str) -> dict[str, JSON]:
    buyer = leftovers.of(reading.optional_object(told, "buyer") or {}, ("id", "email", "phone"))
    unread = {} if money.is_known(code) else {name: told[name] for name in _AMOUNTS if name in told}
    return {"providerStatus": word, **unread} | ({"buyer": buyer} if buyer else {})


def _word(told: Body, name: str) -> str | None:
    found = reading.optional_text(told, name)
    return None if found is None else found.upper()


def _address(given: Body | None) -> dict[str, JSON] | None:
    if given is None:
        return None
    names = (reading.optional_text(given, "firstName"), reading.optional_text(given, "lastName"))
    return {
        "name": " ".join(name for name in names if name) or None,
        **reading.address(
            line1=reading.optional_text(given, "addressLine1"),
            line2=reading.optional_text(given, "addressLine2"),
            city=reading.optional_text(given, "city"),
            province=reading.optional_text(given, "state"),
            postalCode=reading.optional_identifier(given, "pinCode"),
            countryCode="IN",
            phone=reading.optional_text(given, "contactNumber"),
        ),
        "attributes": leftovers.of(given, _ADDRESS),
    }


_AMOUNTS: Final[Mapping[str, str]] = {
    "totalAmount": "total_minor",
    "subtotalAmount": "subtotal_minor",
    "taxAmount": "tax_minor",
    "discountAmount": "discount_minor",
    "shippingAmount": "shipping_minor",
}
# Theirs -> ours, and how it is read; what a body leaves out says nothing.
_FIELDS: Final[Mapping[str, tuple[str, Callable[[Body, str, str], JSON]]]] = {
    **{theirs: (ours, reading.optional_minor) for theirs, ours in _AMOUNTS.items()},
    "orderDate": ("placed_at", lambda told, name, _: reading.optional_instant(told, name)),
    "cancelledAt": ("cancelled_at", lambda told, name, _: reading.optional_instant(told, name)),
    "cancelReason": ("cancel_reason", lambda told, name, _: reading.optional_text(told, name)),
    "isTest": ("is_test", lambda told, name, _: told[name] is True),
    "orderItems": ("line_items", lambda told, name, code: [line(item, code) for item in reading.objects(told, name)]),
    "billingAddress": ("billing_address", lambda told, name, _: _address(reading.optional_object(told, name))),
    "deliveryAddress": ("shipping_address", lambda told, name, _: _address(reading.optional_object(told, name))),
}
MAPPED: Final = frozenset((*_FIELDS, "status", "currency", "paymentStatus", "paymentType", "buyer"))
