"""The log of refused requests: what was turned away and why, for an operator to look at.

Comes in: a refusal and the request it was about. Left behind: one entry of a bounded stream, without secrets, and a
counter that misses none. It is best effort: when Valkey is down or the process dies, the entry is lost and the
request was refused all the same.
"""

import contextlib
import hashlib
import json
from datetime import datetime
from typing import Any

import orjson
import redis

from shared import queues, valkey
from shared.clock import to_json
from shared.errors import QueueUnavailable
from shared.providers.contract import Headers, Refusal, Request

LOGGED_PER_SECOND = 50  # a flood is counted in full and shown in part
BODY_START_BYTES = 256
SIGNATURE_START = 12  # enough to tell two signatures apart, not enough to use one
SIGNATURE_LEAST = 28  # SHA-1 in base64; what is shorter is no signature, but may be somebody's password
VALUE_MAX = 500
HEADERS_MAX = 60

# In a header's name. Better to hide an idempotency key than to show an API key.
_SECRET = ("auth", "key", "token", "secret", "pass", "pwd", "credential", "session", "cookie", "bearer", "jwt")
_SHORTENED = ("signature", "hmac")

# KEYS: stream, rate window, counters.  ARGV: entries kept, logged per second, counter, entry.
_RECORD = """
redis.call('HINCRBY', KEYS[3], ARGV[3], 1)
if tonumber(ARGV[1]) == 0 then return 0 end
local n = redis.call('INCR', KEYS[2])
if n == 1 then redis.call('PEXPIRE', KEYS[2], 1000) end
if n > tonumber(ARGV[2]) then return 0 end
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'e', ARGV[4])
return 1
"""


def redact(headers: Headers) -> dict[str, str]:
    """Headers fit to be shown: what is named like a credential is gone, signatures are shortened, nothing is endless.

    Only a signature may show its beginning: it is of no use without the rest, and never the same twice.
    """
    shown = {}
    for name, value in headers.pairs()[:HEADERS_MAX]:
        if any(word in name for word in _SECRET):
            text = "[redacted]"
        elif any(word in name for word in _SHORTENED):
            text = value[:SIGNATURE_START] + "…" if len(value) >= SIGNATURE_LEAST else "[redacted]"
        else:
            text = value[:VALUE_MAX]
        shown[name[:100]] = text
    return shown


def without_values(path: str) -> str:
    """A path with the names of its query and not their values: a verify token or an API key may stand there."""
    bare, mark, query = path.partition("?")
    pairs = [pair.partition("=") for pair in query.split("&")]
    return bare + mark + "&".join(f"{name}{equals}{'…' if value else ''}" for name, equals, value in pairs)


def record(
    client: valkey.Client,
    refusal: Refusal,
    request: Request,
    *,
    at: datetime,
    kept: int,
    provider: str = "",
    source_id: str = "",
    account_id: str = "",
) -> None:
    """Count a refusal and, within `LOGGED_PER_SECOND`, log it; about `kept` entries are kept.

    Best effort: a Valkey that does not answer is not reported, and costs its timeout at most.
    """
    entry = {
        "at": to_json(at),
        "code": refusal.code,
        "message": refusal.message,
        "status": refusal.status,
        "method": request.method,
        "path": without_values(request.path)[:VALUE_MAX],
        "provider": provider or None,
        "sourceId": source_id or None,
        "accountId": account_id or None,
        "remoteAddr": request.remote_addr,
        "headers": redact(request.headers),
        "bodyBytes": len(request.body),
        "bodyDigest": hashlib.sha256(request.body).hexdigest(),
        "bodyStart": request.body[:BODY_START_BYTES].decode("utf-8", "replace"),
    }
    # A lone surrogate in a header or path is no character, and would make the entry unreadable.
    text = json.dumps(entry, ensure_ascii=False).encode("utf-8", "replace")
    keys = (queues.REFUSALS, f"{queues.REFUSALS}:rate", queues.COUNTERS)
    values = (kept, LOGGED_PER_SECOND, f"refused:{refusal.code}", text)
    with contextlib.suppress(redis.RedisError):
        client.eval(_RECORD, len(keys), *keys, *values)


def recent(
    client: valkey.Client, limit: int, before: str | None = None, *, account_id: str | None = None
) -> list[dict[str, Any]]:
    """The newest refusals first, each `{"id", "at", "code", "message", "status", "path", "headers", ...}`.

    `before` is the id of the last one seen. With `account_id`, only those of that account's sources; `None` shows
    every account's and those of unknown paths.

    Raises:
        QueueUnavailable: Valkey cannot be read.
    """
    found: list[dict[str, Any]] = []
    last = f"({before}" if before else "+"
    page = max(limit, 1) * (1 if account_id is None else 5)
    while len(found) < limit:
        try:
            rows: Any = client.xrevrange(queues.REFUSALS, max=last, count=page)
        except redis.RedisError as error:
            raise QueueUnavailable(str(error)) from error
        for entry_id, fields in rows:
            entry = orjson.loads(fields[b"e"])
            if account_id is None or entry["accountId"] == account_id:
                found.append({"id": entry_id.decode(), **entry})
        if len(rows) < page:
            break
        last = f"({rows[-1][0].decode()}"
    return found[:limit]
