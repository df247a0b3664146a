"""The webhooks that the load is made of: customers of a shop, signed as Shopify signs them, as bytes of HTTP/1.1.

Comes in: a number and where it is to go. Comes out: the same request for the same number, every time. Each carries
its number in the customer's e-mail address (`load-<number>@`), which is how the receiver tells what arrived. Pure.
"""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import orjson

NUMBER = re.compile(rb"load-(\d+)@")
FIRST_CUSTOMER = 7_000_000_000_000_000_000  # over 2^53, as the real ones may be
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
_NAMES = ("Ines", "Jürgen", "Amélie", "Sota", "Wafaa", "Óscar", "Zoë", "Lech")


@dataclass(frozen=True, slots=True)
class Target:
    """A source to post to: its path below /api/webhooks/, the shop it belongs to and its secret."""

    path: str
    shop: str
    secret: str


def body(number: int, *, customers: int) -> bytes:
    """The payload of webhook `number`: a new customer for the first `customers` of them, changes of theirs after."""
    customer = FIRST_CUSTOMER + number % customers
    at = (_EPOCH + timedelta(seconds=number)).isoformat()
    name = _NAMES[number % len(_NAMES)]
    address = {
        "id": customer + 1,
        "customer_id": customer,
        "first_name": name,
        "last_name": f"Load {number}",
        "company": None,
        "address1": f"{number % 200} Quay Street",
        "address2": "Shed 4",
        "city": "Antwerpen",
        "province": None,
        "country": "Belgium",
        "zip": "2000",
        "phone": f"+3247{number % 10_000_000:07d}",
        "name": f"{name} Load {number}",
        "province_code": None,
        "country_code": "BE",
        "country_name": "Belgium",
        "default": True,
    }
    return orjson.dumps(
        {
            "id": customer,
            "email": f"load-{number}@example.com",
            "created_at": _EPOCH.isoformat(),
            "updated_at": at,
            "first_name": name,
            "last_name": f"Load {number}",
            "state": "enabled",
            "note": "unloads on Tuesdays",
            "verified_email": True,
            "multipass_identifier": None,
            "tax_exempt": False,
            "phone": f"+3247{number % 10_000_000:07d}",
            "currency": "EUR",
            "addresses": [address],
            "tax_exemptions": [],
            "admin_graphql_api_id": f"gid://shopify/Customer/{customer}",
            "default_address": address,
        }
    )


def request(number: int, target: Target, *, customers: int) -> bytes:
    """Webhook `number` as it goes over the wire, head and body."""
    content = body(number, customers=customers)
    signature = base64.b64encode(hmac.digest(target.secret.encode(), content, hashlib.sha256))
    topic = b"customers/create" if number < customers else b"customers/update"
    return b"".join(
        (
            _head(target),
            b"X-Shopify-Topic: ",
            topic,
            b"\r\nX-Shopify-Webhook-Id: b54557e4-bdd9-4b37-8a5f-%012x" % number,
            b"\r\nX-Shopify-Event-Id: 98880550-7158-44d4-b7cd-%012x" % number,
            b"\r\nX-Shopify-Triggered-At: ",
            (_EPOCH + timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%S.%fZ").encode(),
            b"\r\nX-Shopify-Hmac-Sha256: ",
            signature,
            b"\r\nContent-Length: %d\r\n\r\n" % len(content),
            content,
        )
    )


@lru_cache(maxsize=1024)
def _head(target: Target) -> bytes:
    return (
        f"POST /api/webhooks/{target.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\nAccept: */*\r\n"
        f"Content-Type: application/json\r\nX-Shopify-Shop-Domain: {target.shop}\r\nX-Shopify-API-Version: 2026-10\r\n"
    ).encode()
