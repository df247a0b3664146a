"""Robaws for one company: its clients and articles, and the endpoints that it tells of them, which it really posts to.

It refuses what Robaws refuses: whoever is no administrator, an address that is not https (unless `allow_http`), an
event there is none of, an endpoint there is none of. A secret is told once. It can be made to fail, and what it posts
it tries again until it is accepted or the endpoint is suspended. Signatures are made here from the documented recipe
and not by the code under test.

Source: Robaws' support article on webhooks, read 2026-11.
"""

import base64
import hashlib
import hmac
import http.client
import itertools
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from tests.doubles.served import Reply, Served
from tests.doubles.shop import Webhook

PATH = "/api/v2/webhook-endpoints"
EVENTS = frozenset(
    f"{noun}.{verb}"
    for noun in ("client", "article", "sales-order", "sales-invoice", "offer", "project", "employee")
    for verb in ("created", "updated")
) | {"article.stock-changed"}
TIMEOUT_SECONDS = 2.0
TRIES = 8  # of one body without success, after which its endpoint is suspended; how many is not documented


def robaws_webhook(*, path: str, secret: str, event: str, data: Mapping[str, Any], delivery_id: str) -> Webhook:
    """The request that Robaws would send: `t` and the hex HMAC-SHA256 of `t.body`."""
    body = json.dumps({"id": delivery_id, "event": event, "data": data}).encode()
    return Webhook(f"/api/webhooks/{path}", _headers(secret, body, int(time.time())), body, delivery_id)


def _headers(secret: str, body: bytes, stamp: int) -> dict[str, str]:
    digest = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return {"Content-Type": "application/json", "Robaws-Signature": f"t={stamp},v1={digest}"}


@dataclass
class Endpoint:
    """Where Robaws posts to."""

    id: str
    url: str
    events: list[str]
    secret: str

    def shown(self) -> dict[str, Any]:
        return {"id": self.id, "url": self.url, "events": self.events}


@dataclass
class Owed:
    """One body that an endpoint has not accepted yet; the same bytes each time, signed anew."""

    endpoint: Endpoint
    body: bytes
    statuses: list[int] = field(default_factory=list)  # 0: no answer


class Robaws(Served):
    """A company's Robaws."""

    def __init__(
        self,
        *,
        key: str = "key",
        secret: str = "secret",  # noqa: S107  # of a company that is not there
        allow_http: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self.key, self.secret = key, secret
        self.members = {"member": "member-secret"}  # keys of people who are no administrators
        self.allow_http = allow_http
        self.clock = clock
        self.endpoints: list[Endpoint] = []
        self.clients: dict[str, dict[str, Any]] = {}
        self.articles: dict[str, dict[str, Any]] = {}
        self.owed: list[Owed] = []
        self.page_size = 100
        self.left: int | None = None  # calls before the limit
        self._numbers = itertools.count(1)

    # The API.

    def answer(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> Reply:
        if (refusal := self._refusal(headers)) is not None:
            return refusal
        if path == PATH and method == "GET":
            return self._list(query)
        if path == PATH and method == "POST":
            return self._make(headers, body)
        if path.startswith(f"{PATH}/") and method == "DELETE":
            return self._remove(path.removeprefix(f"{PATH}/"))
        return _error(404, "not found")

    def _refusal(self, headers: Mapping[str, str]) -> Reply | None:
        given = headers.get("authorization", "")
        if given != _basic(self.key, self.secret):
            is_member = any(given == _basic(*pair) for pair in self.members.items())
            return _error(403, "only administrators") if is_member else _error(401, "unauthorized")
        if self.left is not None:
            if self.left <= 0:
                return Reply(429, {"message": "too many requests"}, {"Retry-After": "30"})
            self.left -= 1
        return None

    def _list(self, query: Mapping[str, str]) -> Reply:
        asked = query.get("size", "20"), query.get("page", "0")
        if not all(number.isascii() and number.isdecimal() for number in asked):
            return _error(400, "size and page are numbers")
        size = min(int(asked[0]), self.page_size)
        start = int(asked[1]) * size
        return Reply(200, {"items": [one.shown() for one in self.endpoints[start : start + size]]})

    def _make(self, headers: Mapping[str, str], body: bytes) -> Reply:
        if headers.get("content-type") != "application/json":
            return _error(415, "content type")
        try:
            asked = json.loads(body)
            url, events = asked["url"], asked["events"]
        except (ValueError, KeyError, TypeError):
            return _error(400, "url and events are needed")
        if not isinstance(url, str) or not url.startswith(("https://", "http://") if self.allow_http else "https://"):
            return _error(400, "url must be https")
        if not isinstance(events, list) or not events or not EVENTS.issuperset(events):
            return _error(400, "unknown event")
        made = self.make(url, events)
        return Reply(201, made.shown() | {"secret": made.secret})

    def make(self, url: str, events: list[str]) -> Endpoint:
        """An endpoint, as another administrator would make it."""
        made = Endpoint(str(next(self._numbers)), url, events, f"whs_{secrets.token_hex(16)}")
        self.endpoints.append(made)
        return made

    def _remove(self, endpoint_id: str) -> Reply:
        before = len(self.endpoints)
        self.endpoints = [one for one in self.endpoints if one.id != endpoint_id]
        return Reply(204) if len(self.endpoints) < before else _error(404, "no such endpoint")

    # What happens there, and who is told.

    def add_client(self, **fields: Any) -> str:
        """A new client; its id."""
        return self._add(self.clients, "client", {"name": "Lindenhof BV", "status": "customer", **fields})

    def change_client(self, client_id: str, **fields: Any) -> None:
        """Change what is known of a client."""
        self._change(self.clients, "client.updated", client_id, fields)

    def add_article(self, **fields: Any) -> str:
        """A new article; its id."""
        return self._add(self.articles, "article", {"name": "Kettle", "articleNumber": "K-1", "stock": 0, **fields})

    def change_article(self, article_id: str, **fields: Any) -> None:
        """Change what is known of an article."""
        self._change(self.articles, "article.updated", article_id, fields)

    def count_stock(self, article_id: str, stock: float) -> None:
        """Change how many there are of an article."""
        self._change(self.articles, "article.stock-changed", article_id, {"stock": stock})

    def _add(self, known: dict[str, dict[str, Any]], noun: str, fields: dict[str, Any]) -> str:
        number = str(next(self._numbers))
        known[number] = {"id": number, "createdAt": self._now(), "updatedAt": self._now(), **fields}
        self._owe(f"{noun}.created", known[number])
        return number

    def _change(self, known: dict[str, dict[str, Any]], event: str, number: str, fields: dict[str, Any]) -> None:
        known[number] |= fields | {"updatedAt": self._now()}
        self._owe(event, known[number])

    def _now(self) -> str:
        # Each state has an instant of its own, however quickly they follow.
        at = self.clock() + next(self._numbers) / 1_000_000
        return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f".{int(at % 1 * 1_000_000):06}Z"

    def _owe(self, event: str, data: Mapping[str, Any]) -> None:
        body = json.dumps({"id": str(uuid4()), "event": event, "data": data}, ensure_ascii=False).encode()
        self.owed += [Owed(endpoint, body) for endpoint in self.endpoints if event in endpoint.events]

    def post(self) -> bool:
        """Post what is owed, each once and in its order; whether all of it was accepted by now.

        An endpoint that never accepts is suspended without a warning, and nothing is owed to it any more.
        """
        for one in list(self.owed):
            if one.endpoint not in self.endpoints:
                self.owed.remove(one)
                continue
            status = self._post(one.endpoint, one.body)
            one.statuses.append(status)
            if 200 <= status < 300:
                self.owed.remove(one)
            elif len(one.statuses) >= TRIES:
                self.suspend(one.endpoint)
        return not self.owed

    def suspend(self, endpoint: Endpoint) -> None:
        """Give an endpoint up; it is not listed any more."""
        self.endpoints.remove(endpoint)
        self.owed = [one for one in self.owed if one.endpoint is not endpoint]

    def _post(self, endpoint: Endpoint, body: bytes) -> int:
        where = urlsplit(endpoint.url)
        kind = http.client.HTTPSConnection if where.scheme == "https" else http.client.HTTPConnection
        connection = kind(where.hostname or "", where.port, timeout=TIMEOUT_SECONDS)
        try:
            connection.request("POST", where.path, body, _headers(endpoint.secret, body, int(self.clock())))
            return connection.getresponse().status
        except OSError:
            return 0
        finally:
            connection.close()


def _basic(key: str, secret: str) -> str:
    return f"Basic {base64.b64encode(f'{key}:{secret}'.encode()).decode()}"


def _error(status: int, message: str) -> Reply:
    return Reply(status, {"message": message})
