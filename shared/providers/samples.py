"""Realistic bodies of every topic, for `crossdock simulate`, the demo, the bench and the tests.

Comes in: a provider, a topic, a customer's number and an instant. Comes out: the body that the provider would send
about that customer then; the same for the same arguments. An update says something that neither the creation nor the
update of another second said. Every third body has the provider's older shape where there is one, and the names are of
many scripts. Pure, but for reading the stored payloads beside this file.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any
from uuid import UUID

import orjson

from shared.clock import to_json
from shared.providers import amazon_samples as amazon
from shared.providers import market_samples as markets
from shared.providers import messenger_samples as messengers
from shared.providers.contract import JSON
from shared.providers.flipkart import samples as flipkart
from shared.providers.people import CITIES, new_phone, person
from shared.providers.shopify import samples as shopify

OLDER_EVERY = 3
VARIANT = "--"  # customers_create--older.json

# Settings that make each provider's samples mean something; the conformance tests run with them.
SETTINGS: Mapping[str, dict[str, JSON]] = {
    "shopify": {},
    "amazon": dict(amazon.SETTINGS),
    "robaws": {},
    "flipkart": {},
    "selloship": {},
    "myntra": {},
    "manychat": {},
    "facebook": {"verifyToken": "only-for-samples"},
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


def make(provider: str, topic: str, *, number: int, at: datetime, tenant: str = "") -> bytes:
    """The body of `topic` about customer (or order, product, ...) `number`, last changed at `at`.

    A body that names its tenant names `tenant`, where one is given.

    Raises:
        KeyError: there is no sample of that provider and topic.
    """
    maker = _MAKERS[provider, topic]
    body = maker(topic, number, at.astimezone(UTC))
    field = _TENANT_FIELDS.get(provider)
    if tenant and field in body:
        body[field] = tenant
    return orjson.dumps(body)


def stored(provider: str) -> Iterator[Payload]:
    """Every stored payload of a provider."""
    folder = files("shared.providers") / "payloads" / provider
    names = {topic.replace("/", "_"): topic for topic in topics(provider)}
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        stem, _, variant = entry.name.removesuffix(".json").partition(VARIANT)
        yield Payload(provider, names.get(stem, stem), variant, entry.read_bytes())


def _robaws_client(topic: str, number: int, at: datetime) -> JSON:
    first, last, email, phone = person(number)
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
            "tel": new_phone(at) if topic == "client.updated" else phone,
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
    first, last, email, phone = person(number)
    contact: dict[str, Any] = {"id": f"ct_{number:08d}", "updatedAt": to_json(at)}
    if topic != "contact.deleted":
        contact |= {
            "firstName": first,
            "lastName": last,
            "email": email,
            "phone": new_phone(at) if topic == "contact.updated" else phone,
            "labels": ["beta", "vip"] if number % 2 else [],
            "custom": {"seats": number % 50, "trial": number % 2 == 0, "referrer": None},
        }
    return {"type": topic, "timestamp": to_json(at), "data": contact}


# Where a provider's body names whose it is, and must name the one of the headers.
_TENANT_FIELDS: Mapping[str, str] = {"shopify": "shop_domain"}

_MAKERS: Mapping[tuple[str, str], Callable[[str, int, datetime], JSON]] = {
    **{("shopify", topic): maker for topic, maker in shopify.MAKERS.items()},
    **{("amazon", topic): maker for topic, maker in amazon.MAKERS.items()},
    ("robaws", "client.created"): _robaws_client,
    ("robaws", "client.updated"): _robaws_client,
    **{("robaws", topic): maker for topic, maker in markets.ROBAWS_ARTICLES.items()},
    **{("flipkart", topic): maker for topic, maker in flipkart.MAKERS.items()},
    **{("selloship", topic): maker for topic, maker in markets.SELLOSHIP.items()},
    **{("myntra", topic): maker for topic, maker in markets.MYNTRA.items()},
    **{("manychat", topic): maker for topic, maker in messengers.MANYCHAT.items()},
    **{("facebook", topic): maker for topic, maker in messengers.FACEBOOK.items()},
    ("generic", "contact.created"): _generic_contact,
    ("generic", "contact.updated"): _generic_contact,
    ("generic", "contact.deleted"): _generic_contact,
}
