"""A webhook on its way: what is owed to a subscription until it is accepted or given up.

It is signed once and stays what it was, as is its address, though the subscription be mended meanwhile.

Source: shopify.dev, webhooks over HTTPS and the changelog of 2024-09-10 on retries, read 2026-11.
"""

import base64
import hashlib
import hmac
import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

RETRIES: Final = 8  # of one webhook, over four hours
FAILURES: Final = 8  # in a row, after which a subscription that was made over the API is deleted
TIMEOUT_SECONDS: Final = 5.0


@dataclass
class Owed:
    """One webhook that its subscription has not accepted yet."""

    subscription: dict[str, Any]
    uri: str
    headers: Mapping[str, str]
    body: bytes
    statuses: list[int] = field(default_factory=list)  # 0: no answer

    def post(self) -> bool:
        """Post it; whether it was accepted."""
        self.statuses.append(_post(self.uri, self.headers, self.body))
        return 200 <= self.statuses[-1] < 300

    @property
    def is_given_up(self) -> bool:
        return len(self.statuses) > RETRIES


def webhook(
    subscription: dict[str, Any], topic: str, payload: Mapping[str, Any], *, shop: str, secret: str, webhook_id: str
) -> Owed:
    """The webhook, with the fields that its subscription has, all unless it names some, and signed over its body."""
    names = subscription["includeFields"] or payload
    body = json.dumps({name: payload[name] for name in names if name in payload}, ensure_ascii=False).encode()
    digest = hmac.new(secret.encode(), body, hashlib.sha256).digest()
    headers = {
        "Content-Type": "application/json",
        "X-Shopify-Topic": topic,
        "X-Shopify-Shop-Domain": shop,
        "X-Shopify-Webhook-Id": webhook_id,
        "X-Shopify-API-Version": subscription["apiVersion"]["handle"],
        "X-Shopify-Triggered-At": "2026-11-01T10:00:00Z",
        "X-Shopify-Hmac-Sha256": base64.b64encode(digest).decode(),
    }
    return Owed(subscription, subscription["uri"], headers, body)


def _post(uri: str, headers: Mapping[str, str], body: bytes) -> int:
    where = urlsplit(uri)
    kind = http.client.HTTPSConnection if where.scheme == "https" else http.client.HTTPConnection
    connection = kind(where.hostname or "", where.port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("POST", where._replace(scheme="", netloc="").geturl() or "/", body, dict(headers))
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()
