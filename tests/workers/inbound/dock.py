"""A shop's webhooks on their way in: what the ingress appends, and a look at what the drain left."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, text

from shared import valkey
from shared.crypto import KeyRing
from shared.ids import new_id
from shared.inbox import Inbox, shard_of
from shared.providers.contract import Headers, Request
from shared.settings import Settings
from tests import envelopes
from tests.workers import rows
from workers.context import Context
from workers.inbound.drain import drain

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
RECEIVED = NOW + timedelta(minutes=30)  # later than whatever the messages tell of
SHOP = "lindenhof.myshopify.com"


def customer(number: int = 7064055069303700841, *, minute: int = 0, **fields: Any) -> dict[str, Any]:
    """A customer as Shopify sends one, last changed at `minute`."""
    return {
        "id": number,
        "admin_graphql_api_id": f"gid://shopify/Customer/{number}",
        "created_at": "2026-03-01T10:00:00+01:00",
        "updated_at": (NOW + timedelta(minutes=minute)).isoformat(),
        "first_name": "Zoë",
        "last_name": "Lindqvist",
        "email": "zoe@lindenhof.example",
        "phone": None,
        "state": "enabled",
        "verified_email": True,
        **fields,
    }


_LOCKS = (
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


class Dock:
    """One account with one source and one subscription, and the inbox before them."""

    def __init__(self, engine: Engine, settings: Settings, queue: valkey.Client, ring: KeyRing) -> None:
        self.engine = engine
        self.context = Context(settings, engine, queue, ring, Inbox(queue, shards=settings.inbox_shards))
        self.account_id = rows.account(engine)
        self.source_id = rows.source(engine, self.account_id)
        self.subscription_id = rows.subscription(engine, self.account_id)
        self.shard = shard_of(str(self.source_id), SHOP, settings.inbox_shards)
        self._count = 0

    def post(
        self,
        topic: str,
        body: Any,
        *,
        delivery_id: str | None = None,
        triggered_at: datetime | None = None,
        source_id: UUID | None = None,
        shop: str = SHOP,
        shard: int | None = None,
        headers: tuple[tuple[str, str], ...] = (),
        message_id: UUID | None = None,
        received_at: datetime = RECEIVED,
    ) -> UUID:
        """Append a webhook as the ingress does after verifying it; the message's id."""
        self._count += 1
        delivery_id = delivery_id or f"delivery-{self._count}"
        message_id = message_id or new_id()
        pairs = [
            ("Content-Type", "application/json"),
            ("X-Shopify-Topic", topic),
            ("X-Shopify-Shop-Domain", shop),
            ("X-Shopify-Webhook-Id", delivery_id),
            ("X-Shopify-Triggered-At", (triggered_at or NOW).isoformat()),
            *headers,
        ]
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        appended = self.context.inbox.append(
            message_id=message_id,
            source_id=str(source_id or self.source_id),
            tenant=self._tenant_in(source_id or self.source_id, self.shard if shard is None else shard),
            request=Request("POST", "/api/webhooks/shopify", Headers(pairs), raw),
            received_at=received_at + timedelta(milliseconds=self._count),
            max_length=1000,
            rate_per_second=0,
        )
        assert appended.refused is None
        return message_id

    def _tenant_in(self, source_id: UUID, shard: int) -> str:
        """Some tenant whose messages of this source go to the shard."""
        shards = self.context.settings.inbox_shards
        return next(f"{n}" for n in range(10_000) if shard_of(str(source_id), f"{n}", shards) == shard)

    def drain(self) -> dict[str, int]:
        return drain(self.context, self.shard, clock=lambda: NOW + timedelta(hours=1))

    def rows(self, table: str, order: str = "id") -> list[dict[str, Any]]:
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(text(f"SELECT * FROM {table} ORDER BY {order}")).mappings()]

    def message(self, message_id: UUID) -> dict[str, Any]:
        return rows.row(self.engine, "messages", message_id)

    def told(self) -> list[str]:
        """The types of all events, in order."""
        return [row["type"] for row in self.rows("events")]

    def envelopes(self) -> list[dict[str, Any]]:
        return [envelopes.read(row["body"]) for row in self.rows("events")]

    def left(self) -> int:
        return self.context.inbox.length(self.shard)


def advisory_locks(engine: Engine) -> int:
    """Held in the test's database: PostgreSQL lets go of a dead drain's when it sees that its connection is gone."""
    with engine.connect() as connection:
        return int(connection.execute(text(_LOCKS)).scalar_one())


def digest(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()
