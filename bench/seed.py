"""The rows a stage starts from: accounts with a source and subscriptions each, and backlogs of pending deliveries.

Left behind: rows in the stage's own database and the directory of sources in Valkey. All set-based; a bench that dies
in the middle leaves a database that the next one drops.
"""

import secrets
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, insert, text

from bench.samples import Target, body
from bench.stack import Stack
from shared import directory
from shared.clock import to_json, utc_now
from shared.crypto import KeyRing
from shared.db.tables import accounts, sources, subscriptions
from shared.ids import new_id

TIMEOUT_MS = 10_000  # the default


@dataclass(frozen=True, slots=True)
class World:
    """What was seeded: where to post, and the subscriptions in the order of their accounts."""

    targets: list[Target]
    account_ids: list[UUID]
    subscription_ids: list[UUID]


def make_world(stack: Stack, *, urls: Sequence[Sequence[str]], in_flight: int = 10) -> World:
    """One account a member of `urls`, with one Shopify source and one subscription to each of its URLs."""
    now, ring = utc_now(), stack.ring
    account_rows, source_rows, targets = [], [], []
    subscription_rows: list[dict[str, Any]] = []
    account_ids = [new_id() for _ in urls]
    for number, (account_id, account_urls) in enumerate(zip(account_ids, urls, strict=True)):
        source_id, secret = new_id(), secrets.token_hex(16)
        account_rows.append(
            {"id": account_id, "slug": f"bench-{number}", "title": f"Bench {number}", "created_at": now}
        )
        sealed = [_sealed(ring, secret, place=directory.place(source_id), now=now)]
        source_rows.append(
            {
                "id": source_id,
                "account_id": account_id,
                "provider": "shopify",
                "path": f"bench-{number}",
                "name": f"Bench {number}",
                "active": True,
                "any_tenant": True,
                "settings": {},
                "secrets": sealed,
                "created_at": now,
                "updated_at": now,
            }
        )
        targets.append(Target(f"bench-{number}", f"bench-{number}.myshopify.com", secret))
        subscription_rows += [
            _subscription(ring, account_id, url, in_flight=in_flight, now=now) for url in account_urls
        ]
    with stack.engine.begin() as connection:
        connection.execute(insert(accounts), account_rows)
        connection.execute(insert(sources), source_rows)
        if subscription_rows:
            connection.execute(insert(subscriptions), subscription_rows)
            connection.execute(text("INSERT INTO lanes (subscription_id) SELECT id FROM subscriptions"))
    with stack.engine.connect() as connection, stack.client as client:
        directory.publish(connection, client)
    return World(targets, account_ids, [row["id"] for row in subscription_rows])


def _subscription(ring: KeyRing, account_id: UUID, url: str, *, in_flight: int, now: datetime) -> dict[str, Any]:
    subscription_id = new_id()
    secret = "whsec_" + b64encode(secrets.token_bytes(32)).decode()
    return {
        "id": subscription_id,
        "account_id": account_id,
        "name": f"Bench {subscription_id}",
        "description": "",
        "destination": "webhook",
        "url": url,
        "events": ["*"],
        "secrets": [_sealed(ring, secret, place=f"subscription:{subscription_id}", now=now)],
        "settings": {},
        "active": True,
        "retry_attempts": 3,
        "retry_delay_seconds": 60.0,
        "timeout_ms": TIMEOUT_MS,
        "disable_after": 20,
        "disable_after_seconds": 86_400.0,
        "max_in_flight": in_flight,
        "ordering": "none",
        "created_at": now,
        "updated_at": now,
    }


def _sealed(ring: KeyRing, secret: str, *, place: str, now: datetime) -> dict[str, str | None]:
    return {
        "id": str(new_id()),
        "sealed": ring.encrypt(secret.encode(), place=place),
        "createdAt": to_json(now),
        "expiresAt": None,
    }


def make_backlog(stack: Stack, world: World, deliveries: int, *, first: int = 0) -> None:
    """`deliveries` pending deliveries that are due now, spread evenly over the subscriptions.

    Each is of an event of its own, numbered from `first`, unless an account has several subscriptions: then every
    event goes to all of them.
    """
    fan_out = max(1, len(world.subscription_ids) // len(world.account_ids))
    with stack.engine.begin() as connection:
        _insert_events(connection, world, -(-deliveries // fan_out), first=first)
        connection.execute(
            text("""
                INSERT INTO deliveries (id, account_id, event_id, subscription_id, event_type, state,
                                        next_attempt_at, accepted_at, created_at)
                SELECT uuidv7(), e.account_id, e.id, s.id, e.type, 'pending', e.created_at, e.created_at, e.created_at
                FROM events e JOIN subscriptions s USING (account_id)
                WHERE e.created_at = (SELECT max(created_at) FROM events)
                ORDER BY e.id, s.id
                LIMIT :deliveries
            """),
            {"deliveries": deliveries},
        )
    with stack.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE events, deliveries"))
        connection.execute(text("CHECKPOINT"))  # what seeding wrote is not to be flushed on the stage's time


def _insert_events(connection: Connection, world: World, count: int, *, first: int) -> None:
    now = utc_now()
    connection.execute(
        text("""
            INSERT INTO events (id, account_id, type, subject_kind, body, occurred_at, created_at)
            SELECT uuidv7(), (CAST(:accounts AS uuid[]))[1 + n % :account_count], 'user.created', 'user',
                   replace(:body, 'load-0@', 'load-' || (:first + n) || '@'), :now, :now
            FROM generate_series(0, :last) AS n
        """),
        {
            "accounts": [str(account_id) for account_id in world.account_ids],
            "account_count": len(world.account_ids),
            "body": _envelope(),
            "first": first,
            "last": count - 1,
            "now": now,
        },
    )


def _envelope() -> str:
    data = body(0, customers=1).decode()
    return (
        '{"event":"user.created","timestamp":"2026-01-01T00:00:00.000Z","data":{"user":'
        + data
        + '},"metadata":{"source":"shopify","action":"created"}}'
    )
