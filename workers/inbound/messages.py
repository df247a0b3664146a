"""The rows of `messages`: what a provider sent, raw, and what became of it.

Comes in: settled readings, inside the caller's transaction. Left behind: one row each, immutable but for a replay's
verdict. A process that dies before the commit leaves nothing.
"""

from binascii import b2a_base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import orjson
from sqlalchemy import Connection, text

from shared.ids import parse_id
from shared.providers.contract import Headers, Request
from shared.states import MessageState
from workers.inbound.payload import clean_text
from workers.inbound.reading import Inbound, Reading

# Credentials, which no replay needs: messages are not verified again.
_REDACTED: Final = frozenset({"authorization", "proxy-authorization", "cookie"})

_INSERT = text("""
INSERT INTO messages (id, account_id, source_id, provider, topic, tenant, delivery_key, method, path, headers, body,
                      body_digest, state, reason_code, reason, duplicate_of, events_count, replays, received_at,
                      occurred_at, processed_at)
SELECT id, account_id, source_id, provider, topic, tenant, delivery_key, method, path, headers, decode(body, 'base64'),
       decode(body_digest, 'hex'), state, reason_code, reason, duplicate_of, events_count, 0, received_at, occurred_at,
       :now
FROM json_to_recordset(CAST(:rows AS json)) AS r (
    id uuid, account_id uuid, source_id uuid, provider text, topic text, tenant text, delivery_key text, method text,
    path text, headers jsonb, body text, body_digest text, state text, reason_code text, reason text,
    duplicate_of uuid, events_count integer, received_at timestamptz, occurred_at timestamptz
)
""")
_REPLAYED = text("""
UPDATE messages m
SET topic = r.topic, tenant = r.tenant, delivery_key = r.delivery_key, state = r.state, reason_code = r.reason_code,
    reason = r.reason, events_count = m.events_count + r.events_count, replays = m.replays + 1,
    occurred_at = r.occurred_at, processed_at = :now
FROM json_to_recordset(CAST(:rows AS json)) AS r (
    id uuid, topic text, tenant text, delivery_key text, state text, reason_code text, reason text,
    events_count integer, occurred_at timestamptz
)
WHERE m.id = r.id AND m.id = ANY(CAST(:ids AS uuid[]))
""")


def insert(connection: Connection, readings: Sequence[Reading], *, now: datetime) -> None:
    """A row for every reading; a duplicate's is without its body."""
    rows = [_verdict(reading) | _raw(reading) for reading in readings]
    connection.execute(_INSERT, {"rows": orjson.dumps(rows).decode(), "now": now})


def record_replay(connection: Connection, readings: Sequence[Reading], *, now: datetime) -> None:
    """The new verdict on messages that are there already; events add up."""
    rows = [_verdict(reading) for reading in readings]
    ids = [str(reading.inbound.message_id) for reading in readings]
    connection.execute(_REPLAYED, {"rows": orjson.dumps(rows).decode(), "ids": ids, "now": now})


def restore(row: Mapping[str, Any]) -> Inbound | None:
    """The message of a `messages` row (`row._mapping`), as it came in; `None` when its body is not kept."""
    message_id, source_id = parse_id(row["id"]), parse_id(row["source_id"])
    if row["body"] is None or message_id is None or source_id is None:
        return None
    return Inbound(
        message_id=message_id,
        source_id=source_id,
        received_at=row["received_at"],
        request=Request(
            method=row["method"],
            path=row["path"],
            headers=Headers(
                (name, value)
                for name, values in row["headers"].items()
                for value in (values if isinstance(values, list) else [values])
            ),
            body=bytes(row["body"]),
        ),
    )


def _verdict(reading: Reading) -> dict[str, Any]:
    return {
        "id": reading.inbound.message_id,
        "topic": reading.topic,
        "tenant": reading.tenant,
        "delivery_key": reading.delivery_id,
        "state": reading.state,
        "reason_code": reading.reason_code,
        "reason": reading.reason,
        "events_count": reading.events_count,
        "occurred_at": reading.occurred_at,
    }


def _raw(reading: Reading) -> dict[str, Any]:
    request = reading.inbound.request
    kept = reading.state is not MessageState.DUPLICATE
    return {
        "account_id": reading.account_id,
        "source_id": reading.inbound.source_id,
        "provider": reading.provider,
        "method": clean_text(request.method),
        "path": clean_text(request.path),
        "headers": _headers(request.headers),
        "body": b2a_base64(request.body, newline=False).decode() if kept else None,
        "body_digest": reading.body_digest.hex(),
        "duplicate_of": reading.duplicate_of,
        "received_at": reading.inbound.received_at,
    }


def _headers(headers: Headers) -> dict[str, str | list[str]]:
    """{name: value}, or {name: [values]} where one was sent several times."""
    kept: dict[str, str | list[str]] = {}
    for raw_name, raw_value in headers.pairs():
        name = clean_text(raw_name)
        value = "redacted" if name in _REDACTED else clean_text(raw_value)
        known = kept.get(name)
        if known is None:
            kept[name] = value
        else:
            kept[name] = [*known, value] if isinstance(known, list) else [known, value]
    return kept
