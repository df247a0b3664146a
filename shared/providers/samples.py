"""Realistic bodies of every topic, for `crossdock simulate`, the demo, the bench and the tests.

Comes in: a provider, a topic, a customer's number and an instant. Comes out: the body that the provider would send
about that customer then; the same for the same arguments. What a generic source is sent is its preset's. An update says
something that neither the creation nor the update of another second said. Every third body has the provider's older
shape where there is one, and the names are of many scripts. Pure, but for reading the stored payloads beside this file.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from types import MappingProxyType
from typing import Final
from uuid import UUID

import orjson

from shared.clock import to_json
from shared.providers import amazon_samples as amazon
from shared.providers import market_samples as markets
from shared.providers import messenger_samples as messengers
from shared.providers import preset_samples as presets
from shared.providers import robaws
from shared.providers.contract import JSON
from shared.providers.flipkart import samples as flipkart
from shared.providers.form_body import FORM_TYPE, Form
from shared.providers.people import CITIES, new_phone, person
from shared.providers.shopify import samples as shopify

OLDER_EVERY = 3
NO_PRESET: Final = "hmac"  # the usual one, as the settings of a generic source have it
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
    "generic": dict(presets.SETTINGS["standard-webhooks"]),
}


@dataclass(frozen=True, slots=True)
class Payload:
    """One stored payload, written from the provider's documented fields."""

    provider: str
    topic: str
    variant: str  # "" for the present shape
    body: bytes


@dataclass(frozen=True, slots=True)
class Posted:
    """A body and what it says it is."""

    body: bytes
    content_type: str


def topics(provider: str, settings: Mapping[str, JSON] = MappingProxyType({})) -> tuple[str, ...]:
    """The topics that there are samples of for a source of a provider with these settings."""
    return tuple(_makers(provider, settings))


def families(provider: str) -> Mapping[str, tuple[str, ...]]:
    """The topics by the preset that a source of the provider may have; by `""`, where it has none."""
    if provider == "generic":
        return {preset: tuple(makers) for preset, makers in presets.MAKERS.items()}
    return {"": topics(provider)}


def make(provider: str, topic: str, *, number: int, at: datetime, tenant: str = "") -> bytes:
    """The body of `topic` about customer (or order, product, ...) `number`, last changed at `at`.

    A body that names its tenant names `tenant`, where one is given.

    Raises:
        KeyError: there is no sample of that provider and topic.
    """
    return posted(provider, topic, number=number, at=at, tenant=tenant).body


def posted(
    provider: str,
    topic: str,
    *,
    number: int,
    at: datetime,
    tenant: str = "",
    settings: Mapping[str, JSON] = MappingProxyType({}),
) -> Posted:
    """The same as it is posted to a source with these settings, which for a generic one is as its preset does.

    Raises:
        KeyError: there is no such sample.
    """
    body = _makers(provider, settings)[topic](topic, number, at.astimezone(UTC))
    if isinstance(body, Form):
        return Posted(body.encoded(), FORM_TYPE)
    field = _TENANT_FIELDS.get(provider)
    if tenant and field in body:
        body[field] = tenant
    return Posted(orjson.dumps(body), "application/json")


def _makers(provider: str, settings: Mapping[str, JSON]) -> Mapping[str, presets.Maker]:
    if provider == "generic":
        return presets.MAKERS[settings.get("preset", NO_PRESET)]
    return _MAKERS[provider]


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


# Where a provider's body names whose it is, and must name the one of the headers.
_TENANT_FIELDS: Mapping[str, str] = {"shopify": "shop_domain"}

_MAKERS: Mapping[str, Mapping[str, presets.Maker]] = {
    "shopify": shopify.MAKERS,
    "amazon": amazon.MAKERS,
    "robaws": {**dict.fromkeys(robaws.CLIENT_TOPICS, _robaws_client), **markets.ROBAWS_ARTICLES},
    "flipkart": flipkart.MAKERS,
    "selloship": markets.SELLOSHIP,
    "myntra": markets.MYNTRA,
    "manychat": messengers.MANYCHAT,
    "facebook": messengers.FACEBOOK,
}
