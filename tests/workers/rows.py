"""Rows as the earlier stages leave them, for tests of what comes after: written straight into the tables."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, insert, text

from shared import ids
from shared.db.engine import transaction
from shared.db.tables import accounts, deliveries, events, lanes, messages, sources, subscriptions

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def account(engine: Engine, slug: str = "acme") -> UUID:
    return _add(engine, accounts, id=ids.new_id(), slug=slug, title=slug, created_at=NOW)


def source(engine: Engine, account_id: UUID, **values: Any) -> UUID:
    key = ids.new_id()
    defaults = {
        "provider": "shopify",
        "path": f"shopify-{key}",
        "name": "shop",
        "active": True,
        "any_tenant": True,
        "settings": {},
        "secrets": [],
        "created_at": NOW,
        "updated_at": NOW,
    }
    return _add(engine, sources, **{**defaults, "id": key, "account_id": account_id, **values})


def subscription(engine: Engine, account_id: UUID, *, lane: dict[str, Any] | None = None, **values: Any) -> UUID:
    defaults = {
        "name": "crm",
        "url": "https://crm.example/hooks",
        "description": "",
        "destination": "webhook",
        "events": ["*"],
        "secrets": [],
        "settings": {},
        "active": True,
        "retry_attempts": 3,
        "retry_delay_seconds": 60.0,
        "timeout_ms": 10_000,
        "disable_after": 20,
        "disable_after_seconds": 0.0,
        "max_in_flight": 10,
        "ordering": "none",
        "created_at": NOW,
        "updated_at": NOW,
    }
    key = _add(engine, subscriptions, **{**defaults, "id": ids.new_id(), "account_id": account_id, **values})
    with transaction(engine) as connection:
        connection.execute(text("INSERT INTO lanes (subscription_id) VALUES (:id)"), {"id": key})
        if lane:
            connection.execute(lanes.update().where(lanes.c.subscription_id == key).values(**lane))
    return key


def event(engine: Engine, account_id: UUID, **values: Any) -> UUID:
    defaults = {
        "id": ids.new_id(),
        "message_id": ids.new_id(),
        "type": "user.created",
        "body": '{"event":"user.created"}',
        "occurred_at": NOW,
        "created_at": NOW,
    }
    return _add(engine, events, **{**defaults, "account_id": account_id, **values})


def delivery(engine: Engine, account_id: UUID, subscription_id: UUID, **values: Any) -> UUID:
    """One delivery with an event of its own, dead after four tries, unless `values` say otherwise."""
    if "event_id" not in values:
        values["event_id"] = event(engine, account_id)
    defaults = {
        "id": ids.new_id(),
        "event_type": "user.created",
        "state": "dead",
        "strict": False,
        "tries": 4,
        "attempts": 4,
        "next_attempt_at": NOW,
        "created_at": NOW,
        "finished_at": NOW if values.get("state", "dead") in ("dead", "delivered", "discarded") else None,
        "last_status": 500,
    }
    row = {**defaults, "account_id": account_id, "subscription_id": subscription_id, **values}
    return _add(engine, deliveries, **row)


def message(engine: Engine, account_id: UUID, source_id: UUID, **values: Any) -> UUID:
    defaults = {
        "id": ids.new_id(),
        "provider": "shopify",
        "topic": "customers/create",
        "tenant": "",
        "method": "POST",
        "path": "/api/webhooks/shopify",
        "headers": {},
        "body": b"{}",
        "body_digest": bytes(32),
        "state": "failed",
        "events_count": 0,
        "replays": 0,
        "received_at": NOW,
        "processed_at": NOW,
    }
    return _add(engine, messages, **{**defaults, "account_id": account_id, "source_id": source_id, **values})


def states(engine: Engine, table: str = "deliveries", wanted: Iterable[UUID] | None = None) -> dict[UUID, str]:
    with engine.connect() as connection:
        found = {row.id: row.state for row in connection.execute(text(f"SELECT id, state FROM {table}"))}
    return found if wanted is None else {key: found[key] for key in wanted}


def row(engine: Engine, table: str, key: UUID) -> dict[str, Any]:
    with engine.connect() as connection:
        return dict(connection.execute(text(f"SELECT * FROM {table} WHERE id = :id"), {"id": key}).mappings().one())


def _add(engine: Engine, table: Any, **values: Any) -> UUID:
    with transaction(engine) as connection:
        connection.execute(insert(table).values(**values))
    return UUID(str(values["id"]))
