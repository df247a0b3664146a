"""A context, and a way to ask for a job."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine

from shared import replays
from shared.crypto import KeyRing
from shared.db.engine import transaction
from shared.inbox import Inbox
from shared.replays import Filters, Target
from shared.settings import Settings
from shared.valkey import Client
from tests.workers.replays.jobs import LATER
from workers.context import Context


@pytest.fixture
def context(settings: Settings, engine: Engine, queue: Client, ring: KeyRing) -> Context:
    return Context(settings=settings, engine=engine, client=queue, ring=ring, inbox=Inbox(queue, shards=4))


@pytest.fixture
def ask(engine: Engine) -> Callable[..., UUID]:
    def create(target: Target, *, rate: float | None = None, **filters: Any) -> UUID:
        with transaction(engine) as connection:
            job = replays.create(
                connection,
                target=target,
                filters=Filters(**filters),
                rate_per_second=rate,
                asked_by="cli:ada",
                reason="the CRM was down",
                now=LATER,
            )
        return UUID(str(job["id"]))

    return create
