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
from shared.payload import clean_text
from shared.providers.contract import Headers, Request
from shared.states import MessageState
from workers.inbound.reading import Inbound, Reading

# Credentials, which no replay needs: messages are not verified again.
_REDACTED: Final = frozenset({"authorization", "proxy-authorization", "cookie"})

# The raw body beside the short columns: as text where it is UTF-8, which the server takes in twice as fast as base64.
_INSERT = text("""
INSERT INTO messages (id, account_id, source_id, provider, topic, tenant, delivery_key, method, path, headers, body,
                      body_digest, state, reason_code, reason, duplicate_of, events_count, replays, received_at,
                      occurred_at, processed_at, subjects)
SELECT id, account_id, source_id, provider, topic, tenant, delivery_key, method, path, headers,
       coalesce(convert_to(body, 'UTF8'), decode(body_base64, 'base64')), decode(body_digest, 'hex'), state,
       reason_code, reason, duplicate_of, events_count, 0, received_at, occurred_at, :now, subjects
FROM ROWS FROM (
    json_to_recordset(CAST(:rows AS json)) AS (
        id uuid, account_id uuid, source_id uuid, provider text, topic text, tenant text, delivery_key text,
        method text, path text, headers jsonb, body_base64 text, body_digest text, state text, reason_code text,
        reason text, duplicate_of uuid, events_count integer, received_at timestamptz, occurred_at timestamptz,
        subjects text[]
    ),
    unnest(CAST(:bodies AS text[]))
) AS r (id, account_id, source_id, provider, topic, tenant, delivery_key, method, path, headers, body_base64,
        body_digest, state, reason_code, reason, duplicate_of, events_count, received_at, occurred_at, subjects, body)
""")
_REPLAYED = text("""
UPDATE messages m
SET topic = r.topic, tenant = r.tenant, delivery_key = r.delivery_key, state = r.state, reason_code = r.reason_code,
    reason = r.reason, events_count = m.events_count + r.events_count, replays = m.replays + 1,
    occurred_at = r.occurred_at, processed_at = :now, subjects = r.subjects
FROM json_to_recordset(CAST(:rows AS json)) AS r (
    id uuid, topic text, tenant text, delivery_key text, state text, reason_code text, reason text,
    events_count integer, occurred_at timestamptz, subjects text[]
)
WHERE m.id = r.id AND m.id = ANY(CAST(:ids AS uuid[]))
""")


def insert(connection: Connection, readings: Sequence[Reading], *, now: datetime) -> None:
    """A row for every reading; a duplicate's is without its body."""
    bodies = [_body_text(reading) for reading in readings]
    rows = [
        _verdict(reading) | _raw(reading, is_text=body is not None)
        for reading, body in zip(readings, bodies, strict=True)
    ]
    connection.execute(_INSERT, {"rows": orjson.dumps(rows).decode(), "bodies": bodies, "now": now})


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
        "subjects": reading.subjects,
    }


def _is_kept(reading: Reading) -> bool:
    return reading.state is not MessageState.DUPLICATE and not reading.is_forgotten


def _body_text(reading: Reading) -> str | None:
    """The body as text; `None` when it is not kept, or is nothing that PostgreSQL calls text."""
    if not _is_kept(reading) or b"\x00" in reading.inbound.request.body:
        return None
    try:
        return reading.inbound.request.body.decode()
    except UnicodeDecodeError:
        return None


def _raw(reading: Reading, *, is_text: bool) -> dict[str, Any]:
    request = reading.inbound.request
    kept = _is_kept(reading)
    return {
        "account_id": reading.account_id,
        "source_id": reading.inbound.source_id,
        "provider": reading.provider,
        "method": clean_text(request.method),
        "path": clean_text(request.path),
        "headers": {} if reading.is_forgotten else _headers(request.headers),
        "body_base64": b2a_base64(request.body, newline=False).decode() if kept and not is_text else None,
        "body_digest": reading.body_digest.hex(),
        "duplicate_of": reading.duplicate_of,
        "received_at": reading.inbound.received_at,
    }


def _headers(headers: Headers) -> dict[str, str | list[str]]:
    """{name: value}, or {name: [values]} where one was sent several times."""
    pairs = headers.pairs()
    plain: dict[str, str | list[str]] = dict(pairs)
    everything = "".join([*plain, *plain.values()])  # type: ignore[list-item]  # so far all are texts
    if len(plain) == len(pairs) and clean_text(everything) == everything and _REDACTED.isdisjoint(plain):
        return plain
    kept: dict[str, str | list[str]] = {}
    for raw_name, raw_value in pairs:
        name = clean_text(raw_name)
        value = "redacted" if name in _REDACTED else clean_text(raw_value)
        known = kept.get(name)
        if known is None:
            kept[name] = value
        else:
            kept[name] = [*known, value] if isinstance(known, list) else [known, value]
    return kept
