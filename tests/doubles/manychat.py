"""ManyChat's API for one page: tells of its subscribers, ten times a second at most, to who has the page's token."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from shared.clock import utc_now
from tests.doubles.served import Reply, Served
from tests.doubles.window import Window

TOKEN = "4711:0123456789abcdef"  # of a page that is not there


class ManyChat(Served):
    """A page with its subscribers."""

    def __init__(self, *, page_id: str = "4711", clock: Callable[[], datetime] = utc_now) -> None:
        super().__init__()
        self.clock = clock
        self.page_id = page_id
        self.subscribers: dict[str, dict[str, Any]] = {}
        self.left: int | None = None  # requests before a longer limit
        self.per_second = 10
        self._window = Window(1)

    def subscribe(self, subscriber: str, **fields: Any) -> None:
        """Somebody who is there, as getInfo shows them."""
        self.subscribers[subscriber] = {
            "id": subscriber,
            "page_id": self.page_id,
            "status": "active",
            "first_name": "Zoë",
            "last_name": "Lindqvist",
            "name": "Zoë Lindqvist",
            "subscribed": "2026-03-14T09:26:53+00:00",
            "last_interaction": "2026-05-01T10:00:00+00:00",
            "optin_whatsapp": True,
            "tags": [{"id": 7, "name": "vip"}],
            "custom_fields": [{"id": 3, "name": "favourite_tea", "type": "text", "value": "Sencha"}],
        } | fields

    def answer(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes,  # noqa: ARG002  # the signature is the server's
    ) -> Reply:
        if headers.get("authorization") != f"Bearer {TOKEN}":
            return Reply(401, {"status": "error", "message": "Wrong token"})
        if (method, path) != ("GET", "/fb/subscriber/getInfo"):
            return Reply(404, {"status": "error", "message": "Unknown method"})
        if self.left is not None:
            if self.left <= 0:
                return Reply(429, {"status": "error", "message": "Too many requests"}, {"Retry-After": "30"})
            self.left -= 1
        if not self._window.takes(self.clock(), self.per_second):
            return Reply(429, {"status": "error", "message": "Too many requests"}, {"Retry-After": "1"})
        found = self.subscribers.get(query.get("subscriber_id", ""))
        if found is None:
            return Reply(400, {"status": "error", "message": "Validation error"})
        return Reply(200, {"status": "success", "data": found})
