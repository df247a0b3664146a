"""Google's token endpoint and the rows of one spreadsheet: keeps what is appended, and refuses what Google refuses.

An assertion that is wrongly signed, stale or for another scope; a token that is unknown or past its hour; a sheet that
is not there; a value that is no scalar; more requests in a minute than the quota.
"""

import base64
import itertools
import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, unquote

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from shared.clock import utc_now
from tests.doubles.served import Reply, Served
from tests.doubles.window import Window

SPREADSHEET = "1zH_Lindenhof-events-2026"
_SCOPE = "https://www.googleapis.com/auth/spreadsheets"


class Sheets(Served):
    """One spreadsheet that one service account may write to."""

    def __init__(self, *, clock: Callable[[], datetime] = utc_now) -> None:
        super().__init__()
        self.clock = clock
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.email = "crossdock@lindenhof.iam.gserviceaccount.com"
        self.sheets: dict[str, list[list[Any]]] = {"Users": [["delivery", "event", "email"]]}
        self.tokens: dict[str, datetime] = {}
        self.per_minute = 60
        self._windows = {"read": Window(60), "write": Window(60)}
        self._numbers = itertools.count(1)

    def credential(self) -> str:
        """The account's key file."""
        pem = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file = {"type": "service_account", "client_email": self.email, "private_key_id": "k1"}
        return json.dumps({**file, "private_key": pem.decode(), "token_uri": self.url("/token")})

    def answer(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> Reply:
        if (method, path) == ("POST", "/token"):
            return self._token(body)
        ends = self.tokens.get(headers.get("authorization", "").removeprefix("Bearer "))
        if ends is None or ends <= self.clock():
            return _error(401, "UNAUTHENTICATED")
        prefix = f"/v4/spreadsheets/{SPREADSHEET}/values/"
        if not path.startswith(prefix):
            return _error(404, "NOT_FOUND")
        kind = "read" if method == "GET" else "write"
        if not self._windows[kind].takes(self.clock(), self.per_minute):
            return _error(429, "RESOURCE_EXHAUSTED")
        where = unquote(path.removeprefix(prefix))
        is_append = where.endswith(":append")
        title, _, columns = where.removesuffix(":append").rpartition("!")
        rows = self.sheets.get(title.strip("'").replace("''", "'"))
        if rows is None:
            return _error(400, "INVALID_ARGUMENT")
        if is_append and method == "POST":
            return self._append(rows, where, query, body)
        if method == "GET" and columns == "A:A" and query.get("majorDimension") == "COLUMNS":
            return Reply(200, {"values": [[row[0] for row in rows]]} if rows else {})
        return _error(400, "INVALID_ARGUMENT")

    def _append(self, rows: list[list[Any]], where: str, query: Mapping[str, str], body: bytes) -> Reply:
        try:
            values = orjson.loads(body)["values"]
            is_plain = all(isinstance(cell, str | int | float | bool) for row in values for cell in row)
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return _error(400, "INVALID_ARGUMENT")
        if query.get("valueInputOption") != "RAW" or not values or not is_plain:
            return _error(400, "INVALID_ARGUMENT")
        rows.extend(values)
        return Reply(
            200, {"spreadsheetId": SPREADSHEET, "updates": {"updatedRange": where, "updatedRows": len(values)}}
        )

    def _token(self, body: bytes) -> Reply:
        form = parse_qs(body.decode())
        if form.get("grant_type") != ["urn:ietf:params:oauth:grant-type:jwt-bearer"]:
            return Reply(400, {"error": "unsupported_grant_type"})
        try:
            signed, _, signature = form["assertion"][0].rpartition(".")
            self.key.public_key().verify(_decoded(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
            head, claims = (orjson.loads(_decoded(part)) for part in signed.split("."))
            mine = (head["alg"], claims["iss"], claims["scope"], claims["aud"])
            since, until = float(claims["iat"]), float(claims["exp"])
        except (InvalidSignature, ValueError, KeyError, TypeError):
            return Reply(400, {"error": "invalid_grant"})
        now = self.clock().timestamp()
        if mine != ("RS256", self.email, _SCOPE, self.url("/token")) or not now - 300 < since <= now + 300:
            return Reply(400, {"error": "invalid_grant"})
        if not since < until <= since + 3600:
            return Reply(400, {"error": "invalid_grant"})
        token = f"ya29.{next(self._numbers)}"
        self.tokens[token] = self.clock() + timedelta(seconds=3599)
        return Reply(200, {"access_token": token, "expires_in": 3599, "token_type": "Bearer"})


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _error(status: int, name: str) -> Reply:
    return Reply(status, {"error": {"code": status, "status": name, "message": "refused"}})
