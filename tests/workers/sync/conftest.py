"""A worker with a connected shop, the double that is its Shopify, and an ingress that really takes webhooks in."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, text
from werkzeug.serving import make_server

from shared import accounts, connections, directory, sources, upstream_work
from shared.clock import utc_now
from shared.crypto import KeyRing
from shared.db.engine import transaction
from shared.inbox import Inbox
from shared.settings import Settings
from shared.upstream_work import Kind
from shared.valkey import Client
from tests.doubles.shopify import Shop, Shopify
from web import ingress
from workers.context import Context
from workers.sync import claims
from workers.sync.claims import Claim
from workers.sync.job import Job, load
from workers.sync.upstream import Upstream
from workers.sync.work import work

SHOP = "acme.myshopify.com"


@dataclass
class Rig:
    """A worker whose clock and sleep are moved by hand."""

    context: Context
    shopify: Shopify
    shop: Shop
    account: UUID
    source: UUID
    integration: UUID
    now: datetime = field(default_factory=utc_now)
    slept: list[float] = field(default_factory=list)

    def ask(self, kind: Kind, **more: Any) -> None:
        with transaction(self.context.engine) as connection:
            upstream_work.ask(connection, [self.integration], kind, now=self.now, **more)

    def run(self) -> dict[str, int]:
        """One order's work."""
        return work(self.context, clock=lambda: self.now, upstream=self.upstream())

    def upstream(self) -> Upstream:
        """A way out by this clock, on which no sleep takes time."""
        return Upstream(self.context.settings, self.context.client, sleep=self.slept.append, clock=lambda: self.now)

    def claimed(self, kind: Kind, *, upstream: Upstream | None = None) -> Job:
        """The work as a worker has just claimed it."""
        with transaction(self.context.engine) as connection:
            claim = claims.take(connection, kinds=[kind], now=self.now, lease_seconds=90)
        assert claim is not None
        return self.job(claim, upstream=upstream)

    def job(self, claim: Claim, *, upstream: Upstream | None = None) -> Job:
        """What a worker with this claim knows."""
        with transaction(self.context.engine) as connection:
            job = load(
                connection,
                self.context.ring,
                claim,
                context=self.context,
                upstream=upstream or self.upstream(),
                now=self.now,
                is_over=lambda: False,
            )
        assert job is not None
        return job

    def do(self, kind: Kind) -> dict[str, Any]:
        """Ask for a kind of work as a person does, do what is due, and how it stands."""
        self.ask(kind, by_person=True)
        self.run()
        return self.standing(kind)

    def standing(self, kind: Kind) -> dict[str, Any]:
        with transaction(self.context.engine) as connection:
            return next(one for one in upstream_work.standing(connection, self.integration) if one["kind"] == kind)

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)

    def rows(self, statement: str) -> list[dict[str, Any]]:
        with transaction(self.context.engine) as connection:
            return [dict(row) for row in connection.execute(text(statement)).mappings()]

    def execute(self, statement: str, **values: Any) -> None:
        with transaction(self.context.engine) as connection:
            connection.execute(text(statement), values)

    def set(self, **settings: Any) -> None:
        """The same worker with other settings."""
        self.context = Context(
            settings=self.context.settings.model_copy(update=settings),
            engine=self.context.engine,
            client=self.context.client,
            ring=self.context.ring,
            inbox=self.context.inbox,
        )


@pytest.fixture
def rig(settings: Settings, engine: Engine, queue: Client, ring: KeyRing) -> Iterator[Rig]:
    now = utc_now()
    with Shopify() as shopify:
        shop = shopify.shop(SHOP)
        shop.token = "shpat_good"
        shop.bucket.maximum = shop.bucket.available = 20_000.0
        made = settings.model_copy(
            update={
                "allow_http_destinations": True,
                "allowed_destination_cidrs": "127.0.0.0/8",
                "public_url": "http://127.0.0.1:61001",
                "shopify_url": shopify.url,
            }
        )
        with transaction(engine) as connection:
            account = accounts.create(connection, slug="acme", title="Acme", now=now)["id"]
            source = sources.create(
                connection, ring, account_id=account, provider="shopify", secrets=[shopify.secret], now=now
            )[0]["id"]
            joinable = connections.joinable(connection, ring, source, now=now)
            integration = connections.connect(
                connection,
                ring,
                joinable,
                tenant=SHOP,
                credentials={"access_token": shop.token},
                detail={},
                work=(),
                actor="test",
                now=now,
            )["id"]
            directory.publish(connection, queue)
        context = Context(settings=made, engine=engine, client=queue, ring=ring, inbox=Inbox(queue, shards=4))
        yield Rig(context, shopify, shop, account, source, integration)


@contextmanager
def serving(rig: Rig, ring: KeyRing, *, clock: Callable[[], datetime] = utc_now) -> Iterator[ingress.Ingress]:
    """The rig with an ingress that listens at its public address."""
    app = ingress.make_app(rig.context.settings, ring, clock=clock)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    rig.set(public_url=f"http://127.0.0.1:{server.port}")
    try:
        yield app.extensions["ingress"]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
        app.extensions["ingress"].stop()


@pytest.fixture
def served(rig: Rig, ring: KeyRing) -> Iterator[Rig]:
    """The rig with such an ingress, whose clock is the machine's."""
    with serving(rig, ring):
        yield rig
