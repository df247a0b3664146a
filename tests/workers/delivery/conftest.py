"""A delivery engine against real servers and a CRM double, under a clock that only the test moves."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, insert, select, text

from shared.clock import utc_now
from shared.crypto import KeyRing
from shared.db import tables
from shared.ids import new_id
from shared.settings import Settings
from shared.signing import new_secret
from tests.doubles.crm import Crm
from workers.context import Context, make_context
from workers.delivery import dispatch as dispatching
from workers.delivery import leases

SECRET = new_secret()


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = utc_now().replace(microsecond=0)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Desk:
    """What the tests do to the engine."""

    def __init__(self, engine: Engine, ring: KeyRing, context: Context, clock: Clock) -> None:
        self.engine, self.ring, self.context, self.clock = engine, ring, context, clock
        self.account_id = new_id()
        with engine.begin() as connection:
            connection.execute(
                insert(tables.accounts).values(id=self.account_id, slug="a", title="A", created_at=clock())
            )

    def subscribe(self, url: str, *, secrets: list[tuple[str, datetime | None]] | None = None, **values: Any) -> UUID:
        subscription_id = new_id()
        sealed = [
            {
                "id": str(new_id()),
                "sealed": self.ring.encrypt(secret.encode(), place=f"subscription:{subscription_id}"),
                "createdAt": self.clock().isoformat(),
                "expiresAt": end and end.isoformat(),
            }
            for secret, end in (secrets or [(SECRET, None)])
        ]
        row: dict[str, Any] = {
            "id": subscription_id,
            "account_id": self.account_id,
            "name": "CRM",
            "description": "",
            "destination": "webhook",
            "url": url,
            "events": ["*"],
            "secrets": sealed,
            "settings": {},
            "active": True,
            "retry_attempts": 3,
            "retry_delay_seconds": 60.0,
            "timeout_ms": 10_000,
            "disable_after": 20,
            "disable_after_seconds": 0.0,
            "max_in_flight": 10,
            "ordering": "none",
            "created_at": self.clock(),
            "updated_at": self.clock(),
        }
        with self.engine.begin() as connection:
            connection.execute(insert(tables.subscriptions).values(**{**row, **values}))
            connection.execute(text("INSERT INTO lanes (subscription_id) VALUES (:id)"), {"id": str(subscription_id)})
        return subscription_id

    def owe(
        self,
        *subscriptions: UUID,
        count: int = 1,
        body: str | None = None,
        strict: bool = False,
        record: UUID | None = None,
    ) -> list[UUID]:
        """Events owed to subscriptions; the deliveries' ids, event by event. `record`: whose they are, in order."""
        ids = []
        with self.engine.begin() as connection:
            for _ in range(count):
                event_id = new_id()
                connection.execute(
                    insert(tables.events).values(
                        id=event_id,
                        account_id=self.account_id,
                        type="user.created",
                        subject_kind=record and "user",
                        subject_id=record,
                        body=body or f'{{"event": "user.created", "data": {{"n": "{event_id}"}}}}',
                        occurred_at=self.clock(),
                        created_at=self.clock(),
                    )
                )
                for subscription_id in subscriptions:
                    delivery_id = new_id()
                    connection.execute(
                        insert(tables.deliveries).values(
                            id=delivery_id,
                            account_id=self.account_id,
                            event_id=event_id,
                            subscription_id=subscription_id,
                            event_type="user.created",
                            state="pending",
                            strict=strict,
                            record_id=record,
                            tries=0,
                            attempts=0,
                            next_attempt_at=self.clock(),
                            created_at=self.clock(),
                        )
                    )
                    ids.append(delivery_id)
        return ids

    def dispatch(self, *, is_stopping: Callable[[], bool] = lambda: False) -> dict[str, int]:
        return dispatching.dispatch(self.context, clock=self.clock, is_stopping=is_stopping)

    def expire(self) -> int:
        with self.engine.begin() as connection:
            return leases.expire(connection, now=self.clock())

    def delivery(self, delivery_id: UUID) -> Any:
        return self.one(select(tables.deliveries).where(tables.deliveries.c.id == delivery_id))

    def lane(self, subscription_id: UUID) -> Any:
        return self.one(select(tables.lanes).where(tables.lanes.c.subscription_id == subscription_id))

    def subscription(self, subscription_id: UUID) -> Any:
        return self.one(select(tables.subscriptions).where(tables.subscriptions.c.id == subscription_id))

    def attempts(self, delivery_id: UUID) -> list[Any]:
        return self.all(
            select(tables.attempts)
            .where(tables.attempts.c.delivery_id == delivery_id)
            .order_by(tables.attempts.c.number)
        )

    def states(self, subscription_id: UUID) -> dict[str, int]:
        rows = self.all(
            text("SELECT state, count(*) AS n FROM deliveries WHERE subscription_id = :id GROUP BY 1").bindparams(
                id=str(subscription_id)
            )
        )
        return {row.state: row.n for row in rows}

    def one(self, query: Any) -> Any:
        with self.engine.begin() as connection:
            return SimpleNamespace(**connection.execute(query).mappings().one())

    def all(self, query: Any) -> list[Any]:
        with self.engine.begin() as connection:
            return [SimpleNamespace(**row) for row in connection.execute(query).mappings()]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def crm(clock: Clock) -> Iterator[Crm]:
    with Crm(SECRET, clock=clock) as double:
        yield double


@pytest.fixture
def shipping(settings: Settings) -> Settings:
    return settings.model_copy(
        update={"allow_http_destinations": True, "allowed_destination_cidrs": "127.0.0.0/8", "circuit_failures": 5}
    )


@pytest.fixture
def desk(shipping: Settings, engine: Engine, ring: KeyRing, clock: Clock) -> Iterator[Desk]:
    made = make_context(shipping)
    context = Context(made.settings, made.engine, made.client, ring, made.inbox)
    yield Desk(engine, ring, context, clock)
    dispatching.close(context, seconds=0.5)
    context.engine.dispose()
    context.client.close()
