"""Realistic bodies of every topic, for `crossdock simulate`, the demo, the bench and the tests.

Comes in: a provider, a topic, a customer's number and an instant. Comes out: the body that the provider would send
about that customer then; the same for the same arguments. Every third body has the provider's older shape where there
is one, and the names are of many scripts. Pure, but for reading the stored payloads beside this file.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any
from uuid import UUID

import orjson

from shared.clock import to_json
from shared.providers.contract import JSON

FIRST_CUSTOMER = 7_230_000_000_000_000_001  # past 2^53, as Shopify's newer ids are
OLDER_EVERY = 3
VARIANT = "--"  # customers_create--older.json

NAMES = (
    ("Ines", "Vandewalle"),
    ("Jürgen", "Größmann"),
    ("Zoë", "O’Hara-Núñez"),
    ("दीपिका", "शर्मा"),
    ("美咲", "渡辺"),
    ("Олена", "Коваль"),
    ("ليلى", "حداد"),
    ("Bjørn", "Åsen"),
    ("Nguyễn", "Thị Hoa"),
    ("Amara 🌿", "Okafor"),
)
CITIES = (
    ("Antwerpen", "BE", "Belgium", "2000"),
    ("Köln", "DE", "Germany", "50667"),
    ("Málaga", "ES", "Spain", "29001"),
    ("Pune", "IN", "India", "411001"),
    ("京都市", "JP", "Japan", "600-8216"),
)

# Settings that make each provider's samples mean something; the conformance tests run with them.
SETTINGS: Mapping[str, dict[str, JSON]] = {
    "shopify": {},
    "robaws": {},
    "generic": {
        "preset": "standard-webhooks",
        "user": {
            "topics": ["contact.created", "contact.updated"],
            "deleteTopics": ["contact.deleted"],
            "id": "data.id",
            "version": "data.updatedAt",
            "fields": {
                "firstName": "data.firstName",
                "lastName": "data.lastName",
                "email": "data.email",
                "phone": "data.phone",
                "tags": "data.labels",
                "customFields": "data.custom",
            },
        },
    },
}


@dataclass(frozen=True, slots=True)
class Payload:
    """One stored payload, written from the provider's documented fields."""

    provider: str
    topic: str
    variant: str  # "" for the present shape
    body: bytes


def topics(provider: str) -> tuple[str, ...]:
    """The topics that `make` knows of a provider."""
    return tuple(topic for name, topic in _MAKERS if name == provider)


def make(provider: str, topic: str, *, number: int, at: datetime) -> bytes:
    """The body of `topic` about customer `number`, whose record was last changed at `at`.

    Raises:
        KeyError: there is no sample of that provider and topic.
    """
    maker = _MAKERS[provider, topic]
    return orjson.dumps(maker(topic, number, at.astimezone(UTC)))


def stored(provider: str) -> Iterator[Payload]:
    """Every stored payload of a provider."""
    folder = files("shared.providers") / "payloads" / provider
    names = {topic.replace("/", "_"): topic for topic in topics(provider)}
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        stem, _, variant = entry.name.removesuffix(".json").partition(VARIANT)
        yield Payload(provider, names.get(stem, stem), variant, entry.read_bytes())


def _person(number: int) -> tuple[str, str, str, str | None]:
    first, last = NAMES[number % len(NAMES)]
    # Numbers in the range that is kept free for fiction.
    phone = None if number % 4 == 0 else f"+1202555{number % 10_000:04d}"
    return first, last, f"customer{number}@shop.example", phone


def _shopify_customer(_: str, number: int, at: datetime) -> JSON:
    first, last, email, phone = _person(number)
    # Shopify writes the shop's own offset, which changes with the season.
    updated_at = (at - timedelta(hours=5)).strftime("%Y-%m-%dT%H:%M:%S-05:00")
    customer_id = FIRST_CUSTOMER + number
    body: dict[str, Any] = {
        "id": customer_id,
        "created_at": "2025-03-02T08:15:00-05:00",
        "updated_at": updated_at,
        "first_name": first,
        "last_name": last,
        "state": "enabled" if number % 2 else "disabled",
        "note": None,
        "verified_email": True,
        "multipass_identifier": None,
        "tax_exempt": False,
        "email": email,
        "phone": phone,
        "currency": "EUR",
        "addresses": [],
        "tax_exemptions": [],
        "admin_graphql_api_id": f"gid://shopify/Customer/{customer_id}",
    }
    if number % 5:
        body["default_address"] = _shopify_address(customer_id, number, first, last, phone)
        body["addresses"] = [body["default_address"]]
    if number % OLDER_EVERY == 0:
        consent = {"state": "subscribed" if number % 2 else "not_subscribed", "opt_in_level": None}
        body |= {
            "tags": "wholesale, newsletter" if number % 2 else "",
            "orders_count": number % 7,
            "total_spent": f"{number % 900}.50",
            "last_order_id": None,
            "last_order_name": None,
            "email_marketing_consent": consent | {"consent_updated_at": None},
        }
    return body


def _shopify_address(customer_id: int, number: int, first: str, last: str, phone: str | None) -> JSON:
    city, code, country, postcode = CITIES[number % len(CITIES)]
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


def _shopify_deletion(_: str, number: int, at: datetime) -> JSON:
    del at  # a deletion says when only in its headers
    customer_id = FIRST_CUSTOMER + number
    body: dict[str, Any] = {
        "id": customer_id,
        "tax_exemptions": [],
        "admin_graphql_api_id": f"gid://shopify/Customer/{customer_id}",
    }
    return body | {"phone": None, "addresses": []} if number % OLDER_EVERY == 0 else body


def _robaws_client(topic: str, number: int, at: datetime) -> JSON:
    first, last, email, phone = _person(number)
    city, code, _, postcode = CITIES[number % len(CITIES)]
    # A UUIDv7 of this topic, customer and instant alone: the dedupe key of the delivery.
    milliseconds, place = int(at.timestamp() * 1000), (topic == "client.created") << 48 | number
    return {
        "id": str(UUID(int=(milliseconds << 80) | (0x7 << 76) | (0x2 << 62) | place)),
        "event": topic,
        "data": {
            "id": str(40_000 + number) if number % OLDER_EVERY else 40_000 + number,
            "name": f"{last} & Zonen BV" if number % 2 else f"{first} {last}",
            "legalForm": "BV" if number % 2 else None,
            "vatIdNumber": None,
            "tel": phone,
            "mobile": f"+1202556{number % 10_000:04d}",
            "website": None,
            "email": email if number % 4 else None,
            "invoiceEmail": f"invoices{number}@shop.example",
            "language": "nl",
            "currency": "EUR",
            "status": ("customer", "prospect", "supplier")[number % 3],
            "active": True,
            "address": {
                "addressLine1": f"Havenlaan {number % 300 + 1}",
                "addressLine2": None,
                "postalCode": postcode,
                "city": city,
                "country": code,
            },
            "extraFields": {
                "Rol": {"stringValue": "installer; dealer" if number % 2 else "installer"},
                "Newsletter": {"booleanValue": number % 2 == 0},
            },
            "createdAt": "2025-06-11T09:00:00Z",
            "updatedAt": to_json(at),
        },
    }


def _generic_contact(topic: str, number: int, at: datetime) -> JSON:
    first, last, email, phone = _person(number)
    contact: dict[str, Any] = {"id": f"ct_{number:08d}", "updatedAt": to_json(at)}
    if topic != "contact.deleted":
        contact |= {
            "firstName": first,
            "lastName": last,
            "email": email,
            "phone": phone,
            "labels": ["beta", "vip"] if number % 2 else [],
            "custom": {"seats": number % 50, "trial": number % 2 == 0, "referrer": None},
        }
    return {"type": topic, "timestamp": to_json(at), "data": contact}


_MAKERS: Mapping[tuple[str, str], Callable[[str, int, datetime], JSON]] = {
    ("shopify", "customers/create"): _shopify_customer,
    ("shopify", "customers/update"): _shopify_customer,
    ("shopify", "customers/delete"): _shopify_deletion,
    ("robaws", "client.created"): _robaws_client,
    ("robaws", "client.updated"): _robaws_client,
    ("generic", "contact.created"): _generic_contact,
    ("generic", "contact.updated"): _generic_contact,
    ("generic", "contact.deleted"): _generic_contact,
}
