"""xwanai's customer API: keeps customers by id, and refuses a wrong key, what is no JSON, and a customer without id."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import orjson

from tests.doubles.served import Reply, Served


class Xwanai(Served):
    """An xwanai with its customers."""

    def __init__(self, *, key: str = "xw_live_0123456789") -> None:
        super().__init__()
        self.key = key
        self.customers: dict[str, dict[str, Any]] = {}

    def answer(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],  # noqa: ARG002  # the signature is the server's
        headers: Mapping[str, str],
        body: bytes,
    ) -> Reply:
        given = headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")
        if given != self.key:
            return Reply(401, {"error": "invalid api key"})
        if method == "DELETE" and path.startswith("/api/customers/"):
            gone = self.customers.pop(unquote(path.removeprefix("/api/customers/")), None)
            return Reply(204) if gone else Reply(404, {"error": "no such customer"})
        if (method, path) != ("POST", "/api/customers/sync"):
            return Reply(404, {"error": "not found"})
        if headers.get("content-type") != "application/json":
            return Reply(415, {"error": "content type"})
        try:
            customer = orjson.loads(body)
        except orjson.JSONDecodeError:
            return Reply(400, {"error": "not JSON"})
        if not isinstance(customer, dict) or not isinstance(customer.get("customer_id"), str):
            return Reply(422, {"error": "customer_id is missing"})
        known = customer["customer_id"] in self.customers
        self.customers[customer["customer_id"]] = customer
        return Reply(200 if known else 201, {"success": True})
