"""HubSpot's batch upsert of contacts: keeps contacts by e-mail, and refuses what HubSpot refuses.

A wrong token, what is no JSON, more than 100 inputs, the same id twice, a property that does not exist or a malformed
address (of one contact alone: 207, of the whole batch when it cannot be read: 400), a request that is too large, and
more requests than the account may make within ten seconds or in a day.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import orjson

from shared.clock import utc_now
from tests.doubles.served import Reply, Served
from tests.doubles.window import Window

PATH = "/crm/v3/objects/contacts/batch/upsert"
TOKEN = "pat-eu1-0123456789abcdef"
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


class HubSpot(Served):
    """An account with its contacts."""

    def __init__(self, *, token: str = TOKEN, clock: Callable[[], datetime] = utc_now) -> None:
        super().__init__()
        self.clock = clock
        self.token = token
        self.contacts: dict[str, dict[str, str]] = {}
        self.properties = {"email", "firstname", "lastname", "phone"}
        self.busy: set[str] = set()  # contacts whose write fails for now
        self.names_errors = True  # a partial failure says whose it is
        self.most_bytes: int | None = None  # of one request
        self.left: int | None = None  # requests before the limit of the day
        self.per_ten_seconds = 100  # of a free account
        self._window = Window(10)

    def _over_a_limit(self) -> Reply | None:
        if self.left is not None:
            if self.left <= 0:
                return _limited("DAILY")
            self.left -= 1
        return None if self._window.takes(self.clock(), self.per_ten_seconds) else _limited("TEN_SECONDLY_ROLLING")

    def answer(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],  # noqa: ARG002  # the signature is the server's
        headers: Mapping[str, str],
        body: bytes,
    ) -> Reply:
        if headers.get("authorization") != f"Bearer {self.token}":
            return _error(401, "INVALID_AUTHENTICATION")
        if (method, path) != ("POST", PATH):
            return Reply(404)
        if limited := self._over_a_limit():
            return limited
        if self.most_bytes is not None and len(body) > self.most_bytes:
            return _error(413, "REQUEST_TOO_LARGE")
        if headers.get("content-type") != "application/json":
            return _error(415, "UNSUPPORTED_MEDIA_TYPE")
        try:
            inputs = orjson.loads(body)["inputs"]
            ids = [each["id"].lower() for each in inputs]
            is_whole = all(each["idProperty"] == "email" and dict(each["properties"]) for each in inputs)
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
            return _error(400, "VALIDATION_ERROR")
        if not is_whole or not 0 < len(ids) <= 100 or len(set(ids)) < len(ids):
            return _error(400, "VALIDATION_ERROR")
        if any(set(each["properties"]) - self.properties for each in inputs):
            return _error(400, "VALIDATION_ERROR")  # the whole batch, as HubSpot does
        return self._upsert(inputs)

    def _upsert(self, inputs: list[dict[str, Any]]) -> Reply:
        results, errors = [], []
        for each in inputs:
            email = each["id"].lower()
            category = "" if _EMAIL.fullmatch(email) else "VALIDATION_ERROR"
            category = "INTERNAL_ERROR" if email in self.busy else category
            if category:
                context = {"ids": [each["id"]], "objectWriteTraceId": [each.get("objectWriteTraceId")]}
                errors.append({"status": "error", "category": category, "context": context})
                continue
            contact = self.contacts.setdefault(email, {})
            contact.update(each["properties"])
            results.append({"id": str(len(self.contacts)), "properties": {"email": email}, "new": False})
        if not errors:
            return Reply(200, {"status": "COMPLETE", "results": results})
        if not self.names_errors:
            errors = [{"status": "error", "category": error["category"]} for error in errors]
        return Reply(207, {"status": "COMPLETE", "results": results, "numErrors": len(errors), "errors": errors})


def _limited(policy: str) -> Reply:
    return Reply(429, {"status": "error", "errorType": "RATE_LIMIT", "policyName": policy})


def _error(status: int, category: str) -> Reply:
    return Reply(status, {"status": "error", "category": category, "message": "refused"})
