"""How a delivery of Shopify looks: its signature, its headers, and what makes a repeat a repeat.

Comes in: a webhook signed with the app's client secret. Comes out: a refusal, or what the message is. Only the body is
signed: topic, shop, ids and times come in headers that a replayer may alter, so the shop must be one of the source's
integrations, the body's shape must fit the topic, and the dedupe key binds the delivery id to the body. Pure.
"""

from shared import macs, signatures
from shared.clock import parse_instant, to_json
from shared.errors import PayloadUnexpected
from shared.providers import reading
from shared.providers.contract import JSON, Evidence, Headers, Identity, Refusal, Request, Sample, Source

API_VERSION = "2026-10"


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


def sign(sample: Sample) -> list[tuple[str, str]]:
    """The headers of a genuine delivery."""
    digest = macs.digest(sample.secret, sample.body)
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
