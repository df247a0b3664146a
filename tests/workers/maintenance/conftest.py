"""A context over this test's own servers, and the orders that were sent."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from sqlalchemy import Engine

from shared import queues
from shared.crypto import KeyRing
from shared.inbox import Inbox
from shared.settings import Settings
from shared.valkey import Client
from workers.context import Context


@pytest.fixture
def context(settings: Settings, engine: Engine, queue: Client, ring: KeyRing) -> Context:
    return Context(settings=settings, engine=engine, client=queue, ring=ring, inbox=Inbox(queue, shards=4))


@pytest.fixture
def orders_sent(queue: Client) -> Callable[[], list[tuple[str, list[Any]]]]:
    """Takes the orders off the broker's queues: (task, arguments), as a worker would see them."""

    def take() -> list[tuple[str, list[Any]]]:
        taken = []
        for name in (queues.INBOUND_QUEUE, queues.DELIVERY_QUEUE, queues.SYNC_QUEUE):
            while (raw := queue.rpop(name)) is not None:
                message = orjson.loads(raw)
                headers = message["headers"]
                taken.append(
                    (
                        headers["task"],
                        orjson.loads(
                            headers["argsrepr"].replace("'", '"').replace(",)", ")").replace("(", "[").replace(")", "]")
                        ),
                    )
                )
        return taken

    return take
