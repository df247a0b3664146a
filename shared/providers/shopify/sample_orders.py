"""Realistic bodies about orders, their refunds and their fulfillments.

Comes in: a topic, a number and an instant. Comes out: the body of that order then. Every sixth order is a guest's,
every fiftieth has as many lines as Shopify sends, and customers pay in several currencies. Pure.
"""

from datetime import datetime, timedelta
from typing import Any, Final

from shared.money import to_text
from shared.providers import people
from shared.providers.contract import JSON
from shared.providers.shopify import sample_facts as facts
from shared.providers.shopify.sample_facts import (
    FIRST_CUSTOMER,
    FIRST_ORDER,
    FIRST_PRODUCT,
    OLDER_EVERY,
    VARIANTS_APART,
)

LINES_MAX: Final = 250
LARGE_EVERY: Final = 50
GUEST_EVERY: Final = 6
LINES_APART: Final = 1_000  # between the first lines of two orders
SHIPPING: Final = 495

# How far an order is, by topic: financial status, fulfillment status.
_PROGRESS: Final = {
    "orders/create": ("pending", None),
    "orders/updated": ("partially_paid", None),
    "orders/paid": ("paid", None),
    "orders/fulfilled": ("paid", "fulfilled"),
    "orders/cancelled": ("voided", None),
}


def order(topic: str, number: int, at: datetime, *, lines: int | None = None) -> JSON:
    """The order of a number, as far as the topic says; with `lines` lines rather than the number's own."""
    order_id, seen = FIRST_ORDER + number, number % len(facts.SEEN)
    items = [_line(number, position, seen) for position in range(_lines(number) if lines is None else lines)]
    goods = sum(_cents(number, position) * item["quantity"] for position, item in enumerate(items))
    off = 0
    if number % 4 == 1:
        for position, item in enumerate(items):
            part = _cents(number, position) * item["quantity"] // 10
            item["discount_allocations"] = [{**facts.priced("amount", part, seen), "discount_application_index": 0}]
            off += part
    financial, fulfillment = _PROGRESS[topic]
    is_cancelled = topic == "orders/cancelled"
    _, _, email, phone = people.person(number)
    is_guest = number % GUEST_EVERY == GUEST_EVERY - 1
    body: dict[str, Any] = {
        "id": order_id,
        "admin_graphql_api_id": facts.gid("Order", order_id),
        "app_id": 580_111,
        "browser_ip": None,
        "cancel_reason": "customer" if is_cancelled else None,
        "cancelled_at": facts.local(at) if is_cancelled else None,
        "cart_token": f"cart-{number:08x}",
        "checkout_token": f"checkout-{number:08x}",
        "client_details": None,
        "closed_at": None,
        "confirmed": True,
        "contact_email": None if is_guest else email,
        "created_at": facts.local(at - timedelta(minutes=10)),
        "currency": facts.CURRENCY,
        **facts.priced("current_total_price", goods - off + SHIPPING, seen),
        "customer_locale": ("nl", "de", "es", "hi", "ja")[number % 5],
        "discount_codes": [{"code": "SPRING10", "amount": facts.amount(off), "type": "percentage"}] if off else [],
        "email": "" if is_guest else email,
        "financial_status": financial,
        "fulfillment_status": fulfillment,
        "name": f"#{1000 + number}",
        "note": "bitte klingeln 🔔" if number % 9 == 0 else None,
        "note_attributes": [{"name": "gift", "value": "yes"}] if number % 7 == 0 else [],
        "number": number,
        "order_number": 1000 + number,
        "landing_site": f"/checkouts/cn/cart-{number:08x}?key=key-{number:08x}&utm_source=spring"
        if number % 2
        else "/",
        "order_status_url": f"https://shop.example/64000000000/orders/order-{number:08x}/authenticate?key=key-{number:08x}",
        "payment_gateway_names": ["shopify_payments"],
        "phone": phone if is_guest else None,
        "presentment_currency": facts.SEEN[seen][0],
        "processed_at": facts.local(at - timedelta(minutes=10)),
        "source_name": "web",
        **facts.priced("subtotal_price", goods - off, seen),
        "tags": "wholesale, b2b" if number % 8 == 1 else "",
        "taxes_included": True,
        "tax_lines": [{"title": "BTW", "rate": 0.21, "price": facts.amount((goods - off) * 21 // 121)}],
        "test": number % 11 == 1,
        "token": f"order-{number:08x}",
        **facts.priced("total_discounts", off, seen),
        **facts.priced("total_line_items_price", goods, seen),
        **facts.priced("total_price", goods - off + SHIPPING, seen),
        "total_shipping_price_set": facts.both(SHIPPING, seen),
        **facts.priced("total_tax", (goods - off) * 21 // 121, seen),
        "total_weight": 300 * len(items),
        "updated_at": facts.local(at),
        "user_id": None,
        "billing_address": None if number % 10 == 1 else _address(number),
        "customer": None if is_guest else _customer(number),
        "discount_applications": [],
        "fulfillments": [],
        "line_items": items,
        "payment_terms": None,
        "refunds": [],
        "shipping_address": _address(number),
        "shipping_lines": [
            {
                "id": order_id + 17,
                "title": "Standaard",
                "carrier_identifier": None,
                **facts.priced("price", SHIPPING, seen),
            }
        ],
    }
    return body if number % OLDER_EVERY == 0 else body | {"returns": [], "line_item_groups": []}


def deletion(_: str, number: int, at: datetime) -> JSON:
    """The order of a number is gone; when, only the headers say."""
    del at
    return {"id": FIRST_ORDER + number}


def edit(_: str, number: int, at: datetime) -> JSON:
    """Of the first line of the order of a number one piece is removed, and a line is added that was not there."""
    edit_id, lines = FIRST_ORDER + 600_000_000 + number, _lines(number)
    body: dict[str, Any] = {
        "id": edit_id,
        "app_id": None,
        "created_at": facts.local(at - timedelta(minutes=2)),
        "committed_at": facts.local(at),
        "notify_customer": number % 2 == 0,
        "order_id": FIRST_ORDER + number,
        "staff_note": "swapped at the counter" if number % 4 == 0 else "",
        "user_id": None,
        "line_items": {
            "additions": [{"id": _line(number, lines, 0)["id"], "delta": 1 + number % 2}],
            "removals": [{"id": _line(number, 0, 0)["id"], "delta": 1}],
        },
        "discounts": {"line_item": {"additions": [], "removals": []}},
        "shipping_lines": {"additions": [], "removals": []},
    }
    return {"order_edit": body}


def refund(_: str, number: int, at: datetime) -> JSON:
    """The first line of the order of a number is paid back; every seventh refund is a restock without money."""
    refund_id, seen = FIRST_ORDER + 400_000_000 + number, number % len(facts.SEEN)
    item, cents, (code, rate) = _line(number, 0, seen), _cents(number, 0), facts.SEEN[seen]
    with_money = number % 7 != 1
    transaction = {
        "id": refund_id + 1,
        "order_id": FIRST_ORDER + number,
        "kind": "refund",
        "gateway": "shopify_payments",
        "status": "success",
        "created_at": facts.local(at),
        "processed_at": facts.local(at),
        "test": False,
        "receipt": {"refund_id": f"re_{number:08d}"},
        "amount": to_text(cents * rate // 100, code),
        "currency": None if code == facts.CURRENCY and number % 2 == 0 else code,
    }
    return {
        "id": refund_id,
        "order_id": FIRST_ORDER + number,
        "created_at": facts.local(at),
        "processed_at": facts.local(at),
        "note": "kaputt geliefert" if number % 2 else None,
        "user_id": None,
        "restock": not with_money,
        "return": None,
        "duties": [],
        "total_duties_set": facts.both(0, seen),
        "order_adjustments": [],
        "refund_shipping_lines": [],
        "admin_graphql_api_id": facts.gid("Refund", refund_id),
        "refund_line_items": [
            {
                "id": refund_id + 2,
                "line_item_id": item["id"],
                "location_id": None,
                "quantity": 1,
                "restock_type": "no_restock" if with_money else "return",
                "subtotal": cents / 100,  # a number, where all else is text
                "subtotal_set": facts.both(cents, seen),
                "total_tax": 0.0,
                "total_tax_set": facts.both(0, seen),
                "line_item": item,
            }
        ],
        "transactions": [transaction] if with_money else [],
    }


_CARRIER_WORDS: Final = ("confirmed", "in_transit", "out_for_delivery", "attempted_delivery", "delivered")


def fulfillment(topic: str, number: int, at: datetime) -> JSON:
    """The parcel of the order of a number: made, or wherever the carrier has it by now."""
    is_new = topic == "fulfillments/create"
    fulfillment_id = FIRST_ORDER + 700_000_000 + number
    tracking = f"3SABC{number:09d}"
    return {
        "id": fulfillment_id,
        "admin_graphql_api_id": facts.gid("Fulfillment", fulfillment_id),
        "order_id": FIRST_ORDER + number,
        "name": f"#{1000 + number}.1",
        "status": "success",
        "service": "manual",
        "created_at": facts.local(at if is_new else at - timedelta(hours=20)),
        "updated_at": facts.local(at),
        "shipment_status": None if is_new else _CARRIER_WORDS[number % len(_CARRIER_WORDS)],
        "tracking_company": "bpost",
        "tracking_number": tracking,
        "tracking_numbers": [tracking],
        "tracking_url": f"https://track.example/{tracking}",
        "tracking_urls": [f"https://track.example/{tracking}"],
        "location_id": facts.FIRST_LOCATION,
        "email": people.person(number).email,
        "destination": _address(number),
        "origin_address": None,
        "receipt": {},
        "line_items": [_line(number, position, 0) for position in range(_lines(number))],
    }


def _lines(number: int) -> int:
    return LINES_MAX if number % LARGE_EVERY == 0 else 1 + number % 7


def _cents(number: int, position: int) -> int:
    return facts.GOODS[(number + position) % len(facts.GOODS)][2]


def _line(number: int, position: int, seen: int) -> dict[str, Any]:
    title, sku, cents = facts.GOODS[(number + position) % len(facts.GOODS)]
    line_id, product = FIRST_ORDER + 1_000_000_000 + number * LINES_APART + position, (number + position) % 40
    # A custom line is of no product.
    is_custom = position % 5 == 1
    return {
        "id": line_id,
        "admin_graphql_api_id": facts.gid("LineItem", line_id),
        "current_quantity": 1 + position % 3,
        "fulfillable_quantity": 1 + position % 3,
        "fulfillment_service": "manual",
        "fulfillment_status": None,
        "gift_card": False,
        "grams": 300,
        "name": title,
        **facts.priced("price", cents, seen),
        "product_exists": not is_custom,
        "product_id": None if is_custom else FIRST_PRODUCT + product,
        "properties": [{"name": "Gravur", "value": f"für {people.person(number).first}"}] if position % 4 == 0 else [],
        "quantity": 1 + position % 3,
        "requires_shipping": True,
        "sku": None if is_custom else f"{sku}-{product:03d}",
        "taxable": True,
        "title": title,
        **facts.priced("total_discount", 0, seen),
        "variant_id": None if is_custom else FIRST_PRODUCT + 10_000_000 + product * VARIANTS_APART,
        "variant_title": None if is_custom else "Klein",
        "vendor": None,
        "tax_lines": [{"title": "BTW", "rate": 0.21, **facts.priced("price", cents * 21 // 121, seen)}],
        "duties": [],
        "discount_allocations": [],
    }


def _customer(number: int) -> JSON:
    first, last, email, phone = people.person(number)
    return {
        "id": FIRST_CUSTOMER + number,
        "first_name": first,
        "last_name": last,
        "email": email,
        "phone": phone,
        "state": "enabled",
        "currency": facts.CURRENCY,
        "tax_exemptions": [],
        "admin_graphql_api_id": facts.gid("Customer", FIRST_CUSTOMER + number),
    }


def _address(number: int) -> JSON:
    first, last, _, phone = people.person(number)
    city, code, country, postcode = people.CITIES[number % len(people.CITIES)]
    return {
        "first_name": first,
        "last_name": last,
        "name": f"{first} {last}",
        "company": "Größmann GmbH" if number % 3 == 1 else None,
        "address1": f"Marktplein {number % 200 + 1}",
        "address2": None,
        "city": city,
        "province": None,
        "province_code": None,
        "zip": postcode,
        "country": country,
        "country_code": code,
        "phone": phone,
        "latitude": None,
        "longitude": None,
    }
