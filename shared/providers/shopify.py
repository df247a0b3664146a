"""Shopify: customers/create, customers/update, customers/delete.

Comes in: a webhook signed with the app's client secret. Comes out: one change of one user. Only the body is signed:
topic, shop, ids and times come in headers that a replayer may alter, so the shop must be one of the source's
integrations, the body's shape must fit the topic, and the dedupe key binds the delivery id to the body.
"""

from collections.abc import Mapping
from typing import Any

from shared import signatures
from shared.clock import parse_instant, to_json
from shared.errors import PayloadUnexpected
from shared.providers import reading
from shared.providers.contract import (
    JSON,
    Change,
    Evidence,
    Headers,
    Identity,
    Outcome,
    Provider,
    Refusal,
    Request,
    Sample,
    Source,
)

TOPICS = ("customers/create", "customers/update", "customers/delete")
API_VERSION = "2026-10"

# A body with one of these is a customer's snapshot; a deletion never carries them.
# Source: shopify.dev, webhooks topics reference, customers/delete, read 2026-11.
_SNAPSHOT_ONLY = ("created_at", "updated_at", "email", "first_name", "last_name", "default_address")
# What has a column of ours; all else is kept under attributes.
_MAPPED = frozenset(
    ("id", "admin_graphql_api_id", "email", "phone", "first_name", "last_name", "updated_at", "tags", "default_address")
)


def header(headers: Headers, name: str) -> str | None:
    """A Shopify header in either family: `X-Shopify-Topic`, or `shopify-topic` as the newer Events send it.

    Source: github.com/Shopify/shopify-api-ruby, lib/shopify_api/webhooks/request.rb, read 2026-11.
    """
    value = headers.get(f"x-shopify-{name}") or headers.get(f"shopify-{name}")
    return (value or "").strip() or None


def verify(request: Request, source: Source, evidence: Evidence) -> Refusal | None:
    """Base64 HMAC-SHA256 of the raw body under the client secret; after a rotation either secret may be used.

    Source: shopify.dev, webhooks/https, read 2026-11.
    """
    del evidence  # nothing in the signature has a time
    name = "x-shopify-hmac-sha256"
    given = signatures.sole(request.headers, name) or signatures.sole(request.headers, "shopify-hmac-sha256")
    if isinstance(given, Refusal):
        return given
    if given is None:
        return Refusal("signature_missing", "X-Shopify-Hmac-Sha256 is missing.")
    if not request.body:
        return Refusal("body_empty", "The body is empty.")
    if refusal := signatures.single(given, name):
        return refusal
    digest = signatures.decode(given, "base64")
    if digest is None:
        return Refusal("signature_malformed", "X-Shopify-Hmac-Sha256 is not base64.")
    return signatures.check_digests([digest], request.body, source.secrets, "sha256")


def route(request: Request, source: Source) -> str:
    """The shop's myshopify domain in lower case, unsigned; "" when there is none."""
    del source
    return (header(request.headers, "shop-domain") or "").lower()


def identify(request: Request, source: Source, payload: JSON) -> Identity:
    """What Shopify's headers say the message is.

    Raises:
        PayloadUnexpected: there is no topic.
    """
    del payload
    topic = header(request.headers, "topic")
    if topic is None:
        raise PayloadUnexpected("X-Shopify-Topic is missing")
    delivery_id = header(request.headers, "webhook-id")
    triggered_at = header(request.headers, "triggered-at")
    return Identity(
        topic=topic,
        # Without an id, two equal bodies triggered at different times are two messages.
        key=reading.unique_key(delivery_id or triggered_at, request.body),
        delivery_id=delivery_id,
        tenant=route(request, source),
        occurred_at=parse_instant(triggered_at),
    )


def transform(identity: Identity, payload: JSON, source: Source) -> Outcome:
    """The user as it is now, or its end.

    Raises:
        PayloadUnexpected: the body does not have the topic's shape.
    """
    del source
    if identity.topic not in TOPICS:
        return Outcome(ignored=f"topic {identity.topic} is not handled")
    body = reading.as_object(payload, "the body")
    customer_id = reading.identifier(body)
    gid = reading.optional_text(body, "admin_graphql_api_id")
    if gid is not None and gid != f"gid://shopify/Customer/{customer_id}":
        raise PayloadUnexpected("admin_graphql_api_id is not that of the customer in id")
    if identity.topic == "customers/delete":
        return Outcome(changes=(_deletion(customer_id, body, identity),))
    version = reading.instant(body, "updated_at")
    return Outcome(changes=(Change("user", "upsert", customer_id, version, _fields(body)),))


def _deletion(customer_id: str, body: Mapping[str, Any], identity: Identity) -> Change:
    # The topic is unsigned: a captured snapshot, sent again as a deletion, must not delete the customer.
    if found := [name for name in _SNAPSHOT_ONLY if name in body]:
        raise PayloadUnexpected(f"a deletion does not carry {found[0]}")
    # No updated_at: the tombstone stands from when it was triggered.
    return Change("user", "delete", customer_id, identity.occurred_at)


def _fields(body: Mapping[str, Any]) -> dict[str, JSON]:
    default = reading.optional_object(body, "default_address")
    first, last = reading.optional_text(body, "first_name"), reading.optional_text(body, "last_name")
    # A customer who gave a number only with the address is reached there.
    phone = reading.optional_text(body, "phone") or (reading.optional_text(default, "phone") if default else None)
    fields: dict[str, JSON] = {
        "first_name": first,
        "last_name": last,
        "full_name": " ".join(part for part in (first, last) if part) or None,
        "email": reading.optional_text(body, "email"),
        "phone": phone,
        "attributes": reading.with_text_ids({name: item for name, item in body.items() if name not in _MAPPED}),
    }
    # default_address may be left out; only a null says that there is none.
    if "default_address" in body:
        fields["address"] = _address(default) if default else None
    # Present until API version 2024-10; from 2025-01 tags have topics of their own.
    if "tags" in body:
        names = (reading.optional_text(body, "tags") or "").split(",")
        fields["tags"] = [reading.tag(name) for name in dict.fromkeys(part.strip() for part in names) if name]
    if opt_ins := _opt_ins(body):
        fields["opt_ins"] = opt_ins
    return fields


def _address(default: Mapping[str, Any]) -> dict[str, str | None]:
    return reading.address(
        company=reading.optional_text(default, "company"),
        line1=reading.optional_text(default, "address1"),
        line2=reading.optional_text(default, "address2"),
        city=reading.optional_text(default, "city"),
        province=reading.optional_text(default, "province"),
        postalCode=reading.optional_text(default, "zip"),
        country=reading.optional_text(default, "country"),
        countryCode=reading.optional_text(default, "country_code"),
        phone=reading.optional_text(default, "phone"),
    )


def _opt_ins(body: Mapping[str, Any]) -> dict[str, bool]:
    """Consent by channel, only where the body speaks of it: its absence says nothing."""
    opt_ins = {}
    for channel in ("email", "sms"):
        consent = reading.optional_object(body, f"{channel}_marketing_consent")
        if consent is not None:
            opt_ins[channel] = reading.optional_text(consent, "state") == "subscribed"
    return opt_ins


def sign(sample: Sample) -> list[tuple[str, str]]:
    """The headers of a genuine delivery."""
    digest = signatures.digest(sample.secret, sample.body)
    return [
        ("Content-Type", "application/json"),
        ("X-Shopify-Topic", sample.topic),
        ("X-Shopify-Hmac-Sha256", signatures.encode(digest, "base64")),
        ("X-Shopify-Shop-Domain", sample.tenant),
        ("X-Shopify-API-Version", API_VERSION),
        ("X-Shopify-Webhook-Id", sample.delivery_id),
        ("X-Shopify-Event-Id", f"{sample.delivery_id}-event"),
        ("X-Shopify-Triggered-At", to_json(sample.now)),
    ]


SHOPIFY = Provider(
    name="shopify",
    title="Shopify",
    verify=verify,
    route=route,
    identify=identify,
    transform=transform,
    topics=TOPICS,
    sign=sign,
    has_tenants=True,
)
