"""A double of what posts to us: signs as the vendor's documentation says, and tries again as a vendor does.

Signatures are made here from the documented recipe and not by the code under test, so that both cannot be wrong alike.
"""

import base64
import hashlib
import hmac
import http.client
import itertools
import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

FIRST_VERSION = datetime(2026, 1, 1, tzinfo=UTC)
TIMEOUT_SECONDS = 5.0
PAUSE_SECONDS = 0.1  # between the tries of one webhook; real vendors wait longer


@dataclass(frozen=True)
class Webhook:
    """One signed request, which stays the same however often it is posted."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    delivery_id: str
    method: str = "POST"


@dataclass
class Report:
    """What posting came to."""

    accepted: dict[str, list[str]] = field(default_factory=dict)  # delivery id -> our message ids, one for each 200
    refused: list[int] = field(default_factory=list)  # every other status
    broken: int = 0  # requests that got no answer

    def merge(self, other: "Report") -> None:
        """Add another report to this one."""
        for delivery_id, message_ids in other.accepted.items():
            self.accepted.setdefault(delivery_id, []).extend(message_ids)
        self.refused += other.refused
        self.broken += other.broken


class Shop:
    """A Shopify shop with customers whose every change is told."""

    def __init__(self, *, path: str, secret: str, domain: str) -> None:
        self.path = f"/api/webhooks/{path}"
        self.secret = secret
        self.domain = domain
        self._numbers = itertools.count(1)

    def customer(self, number: int, *, version: int = 0, **changes: Any) -> dict[str, Any]:
        """A customer as Shopify describes one; `version` counts its changes."""
        name = f"Customer {number}"
        return {
            "id": 7_000_000_000_000_000_000 + number,  # beyond what a float can hold
            "email": f"customer-{number}@{self.domain}",
            "first_name": name,
            "last_name": "Łukasz-Ønsker",
            "phone": None,
            "note": f"v{version}",
            "state": "enabled",
            "verified_email": True,
            "tax_exempt": False,
            "created_at": FIRST_VERSION.isoformat(),
            "updated_at": (FIRST_VERSION + timedelta(minutes=version)).isoformat(),
            "addresses": [],
            "currency": "EUR",
            "admin_graphql_api_id": f"gid://shopify/Customer/{7_000_000_000_000_000_000 + number}",
        } | changes

    def webhook(self, topic: str, payload: Mapping[str, Any], *, delivery_id: str = "", at: str = "") -> Webhook:
        """The request that Shopify would send; `at` is when it was caused, by default the payload's own instant."""
        body = json.dumps(payload, ensure_ascii=False).encode()
        delivery_id = delivery_id or f"{self.domain}-{next(self._numbers)}"
        digest = hmac.new(self.secret.encode(), body, hashlib.sha256).digest()
        headers = {
            "Content-Type": "application/json",
            "X-Shopify-Topic": topic,
            "X-Shopify-Shop-Domain": self.domain,
            "X-Shopify-Webhook-Id": delivery_id,
            "X-Shopify-API-Version": "2025-10",
            "X-Shopify-Triggered-At": at or payload.get("updated_at", FIRST_VERSION.isoformat()),
            "X-Shopify-Hmac-Sha256": base64.b64encode(digest).decode(),
        }
        return Webhook(self.path, headers, body, delivery_id)

    def created(self, number: int, **changes: Any) -> Webhook:
        """`customers/create` of a customer."""
        return self.webhook("customers/create", self.customer(number, **changes))

    def updated(self, number: int, version: int, **changes: Any) -> Webhook:
        """`customers/update` of a customer to a version, which shows in its first name."""
        changed = {"first_name": f"Name {version}"} | changes
        return self.webhook("customers/update", self.customer(number, version=version, **changed))

    def deleted(self, number: int, version: int) -> Webhook:
        """`customers/delete` of a customer after a version."""
        last = self.customer(number, version=version)
        return self.webhook("customers/delete", {"id": last["id"]}, at=last["updated_at"])


def post(url: str, webhooks: Sequence[Webhook], *, patience_seconds: float = 60.0) -> Report:
    """Post each in turn over one connection, again until it is accepted or the patience ends."""
    report = Report()
    address = urlsplit(url)
    connection: http.client.HTTPConnection | None = None
    deadline = time.monotonic() + patience_seconds
    for webhook in webhooks:
        while True:
            try:
                connection = connection or http.client.HTTPConnection(
                    address.hostname or "", address.port, timeout=TIMEOUT_SECONDS
                )
                connection.request(webhook.method, webhook.path, webhook.body, dict(webhook.headers))
                response = connection.getresponse()
                answer = response.read()
            except (OSError, http.client.HTTPException):
                report.broken += 1
                if connection is not None:
                    connection.close()
                connection = None
            else:
                if response.status == http.client.OK:
                    report.accepted.setdefault(webhook.delivery_id, []).append(json.loads(answer).get("id", ""))
                    break
                report.refused.append(response.status)
                if response.status < http.client.INTERNAL_SERVER_ERROR:
                    break  # trying again would change nothing
            if time.monotonic() > deadline:
                break
            time.sleep(PAUSE_SECONDS)
    if connection is not None:
        connection.close()
    return report


class Load:
    """Posting in the background: each sequence in a thread of its own, so that each keeps its order."""

    def __init__(self, url: str, sequences: Sequence[Sequence[Webhook]]) -> None:
        self.report = Report()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._run, args=(url, sequence), daemon=True) for sequence in sequences
        ]

    def _run(self, url: str, sequence: Sequence[Webhook]) -> None:
        for webhook in sequence:
            report = post(url, [webhook])
            with self._lock:
                self.report.merge(report)

    def start(self) -> "Load":
        """Begin posting."""
        for thread in self._threads:
            thread.start()
        return self

    @property
    def accepted(self) -> int:
        """How many webhooks were accepted so far."""
        with self._lock:
            return len(self.report.accepted)

    @property
    def is_running(self) -> bool:
        """Whether anything is still to be posted."""
        return any(thread.is_alive() for thread in self._threads)

    def finish(self, seconds: float = 60.0) -> Report:
        """The report, once everything was posted."""
        for thread in self._threads:
            thread.join(seconds)
        if self.is_running:
            raise AssertionError(f"the load did not end within {seconds:g} s")
        return self.report
