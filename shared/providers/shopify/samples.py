"""Realistic bodies of Shopify's topics about customers and the shop; orders and products have files of their own.

Comes in: a topic, a number and an instant. Comes out: the body that Shopify would send about that customer then; the
same for the same arguments. Pure.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from shared.providers import people
from shared.providers.contract import JSON
from shared.providers.shopify import sample_facts as facts
from shared.providers.shopify import sample_orders, sample_products
from shared.providers.shopify.sample_facts import FIRST_CUSTOMER, FIRST_ORDER, OLDER_EVERY

SHOP: Final = "north.myshopify.com"  # whose the privacy requests are, unless told otherwise


def _customer(topic: str, number: int, at: datetime) -> JSON:
    first, last, email, phone = people.person(number)
    customer_id = FIRST_CUSTOMER + number
    body: dict[str, Any] = {
        "id": customer_id,
        "created_at": "2025-03-02T08:15:00-05:00",
        "updated_at": facts.local(at),
        "first_name": first,
        "last_name": last,
        "state": "enabled" if number % 2 else "disabled",
        "note": None,
        "verified_email": True,
        "multipass_identifier": None,
        "tax_exempt": False,
        "email": email,
        "phone": people.new_phone(at) if topic == "customers/update" else phone,
        "currency": "EUR",
        "addresses": [],
        "tax_exemptions": [],
        "admin_graphql_api_id": facts.gid("Customer", customer_id),
    }
    if number % 5:
        body["default_address"] = _default_address(customer_id, number)
        body["addresses"] = [body["default_address"]]
    if number % OLDER_EVERY == 0:
        body |= {
            "tags": "wholesale, newsletter" if number % 2 else "",
            "orders_count": number % 7,
            "total_spent": f"{number % 900}.50",
            "last_order_id": None,
            "last_order_name": None,
            "email_marketing_consent": _state(number, None),
        }
    return body


def _default_address(customer_id: int, number: int) -> JSON:
    first, last, _, phone = people.person(number)
    city, code, country, postcode = people.CITIES[number % len(people.CITIES)]
    return {
        "id": FIRST_CUSTOMER + 5_000_000 + number,
        "customer_id": customer_id,
        "first_name": first,
        "last_name": last,
        "company": None,
        "address1": f"Marktplein {number % 200 + 1}",
        "address2": None,
        "city": city,
        "province": None,
        "country": country,
        "zip": postcode,
        "phone": phone,
        "name": f"{first} {last}",
        "province_code": None,
        "country_code": code,
        "country_name": country,
        "default": True,
    }


def _state(number: int, at: datetime | None) -> JSON:
    return {
        "state": "subscribed" if number % 2 else "not_subscribed",
        "opt_in_level": "single_opt_in" if number % 2 else None,
        "consent_updated_at": None if at is None else facts.local(at),
    }


def _deletion(_: str, number: int, at: datetime) -> JSON:
    del at  # a deletion says when only in its headers
    customer_id = FIRST_CUSTOMER + number
    body: dict[str, Any] = {
        "id": customer_id,
        "tax_exemptions": [],
        "admin_graphql_api_id": facts.gid("Customer", customer_id),
    }
    return body | {"phone": None, "addresses": []} if number % OLDER_EVERY == 0 else body


def _merge(_: str, number: int, at: datetime) -> JSON:
    del at
    return {
        "admin_graphql_api_customer_kept_id": facts.gid("Customer", FIRST_CUSTOMER + number + 1),
        "admin_graphql_api_customer_deleted_id": facts.gid("Customer", FIRST_CUSTOMER + number),
        "admin_graphql_api_job_id": None,
        "status": "completed",
        "errors": [],
    }


def _email_consent(_: str, number: int, at: datetime) -> JSON:
    """The opposite of what the customer said in the first place, as the older bodies have it."""
    return {
        "customer_id": FIRST_CUSTOMER + number,
        "email_address": people.person(number).email,
        "email_marketing_consent": _state(number + 1, at if number % OLDER_EVERY else None),
    }


def _sms_consent(_: str, number: int, at: datetime) -> JSON:
    return {
        "id": FIRST_CUSTOMER + number,
        "phone": people.person(number).phone,
        "sms_marketing_consent": {**_state(number, at), "consent_collected_from": "SHOPIFY"},
    }


def _shop(topic: str, number: int, at: datetime) -> JSON:
    city, code, country, postcode = people.CITIES[number % len(people.CITIES)]
    first, last, _email, _phone = people.person(number)
    return {
        "id": 64_000_000_000 + number,
        "name": f"{last} & Co",
        "email": f"owner{number}@shop.example",
        "domain": None,
        "city": city,
        "country": code,
        "country_code": code,
        "country_name": country,
        "zip": postcode,
        "currency": "EUR",
        "iana_timezone": None,
        "shop_owner": f"{first} {last}",
        "plan_name": "basic",
        "myshopify_domain": None,
        "created_at": None,
        "updated_at": facts.local(at) if topic == "shop/update" else None,
    }


def _privacy(topic: str, number: int, at: datetime) -> JSON:
    del at
    body: dict[str, Any] = {"shop_id": 64_000_000_000 + number, "shop_domain": SHOP}
    if topic == "shop/redact":
        return body
    _, _, email, phone = people.person(number)
    body["customer"] = {"id": FIRST_CUSTOMER + number, "email": email, "phone": phone}
    orders = [FIRST_ORDER + number] if number % 2 else []
    if topic == "customers/redact":
        return body | {"orders_to_redact": orders}
    return body | {"orders_requested": orders, "data_request": {"id": 9_000_000 + number}}


MAKERS: Final[Mapping[str, Callable[[str, int, datetime], JSON]]] = {
    "customers/create": _customer,
    "customers/update": _customer,
    "customers/delete": _deletion,
    "customers/merge": _merge,
    "customers_email_marketing_consent/update": _email_consent,
    "customers_marketing_consent/update": _sms_consent,
    "orders/create": sample_orders.order,
    "orders/updated": sample_orders.order,
    "orders/cancelled": sample_orders.order,
    "orders/paid": sample_orders.order,
    "orders/fulfilled": sample_orders.order,
    "orders/edited": sample_orders.edit,
    "orders/delete": sample_orders.deletion,
    "refunds/create": sample_orders.refund,
    "fulfillments/create": sample_orders.fulfillment,
    "fulfillments/update": sample_orders.fulfillment,
    "inventory_levels/update": sample_products.level,
    "products/create": sample_products.product,
    "products/update": sample_products.product,
    "products/delete": sample_products.deletion,
    "shop/update": _shop,
    "app/uninstalled": _shop,
    "customers/data_request": _privacy,
    "customers/redact": _privacy,
    "shop/redact": _privacy,
}
