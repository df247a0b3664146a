"""What every view of the console works with: settings, the database, the queue, the keys and the clock.

Left behind: open connections, which end with the process.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from flask import current_app
from sqlalchemy import Engine

from shared import directory, logs, valkey
from shared.clock import utc_now
from shared.crypto import KeyRing, load_ring
from shared.db.engine import make_engine, transaction
from shared.errors import QueueUnavailable
from shared.settings import Settings

EXTENSION = "crossdock"


@dataclass(frozen=True, slots=True)
class Context:
    """One process's connections."""

    settings: Settings
    engine: Engine
    client: valkey.Client
    ring: KeyRing
    now: Callable[[], datetime]


def make_context(settings: Settings, *, now: Callable[[], datetime] = utc_now) -> Context:
    """A context over `settings`; connections open on first use."""
    return Context(
        settings=settings,
        engine=make_engine(settings.database_url),
        client=valkey.connect(settings.redis_url, timeout_seconds=settings.queue_timeout_seconds),
        ring=load_ring(settings),
        now=now,
    )


def here() -> Context:
    """The context of the app that handles this request."""
    return cast("Context", current_app.extensions[EXTENSION])


def publish_directory() -> None:
    """Tell the ingress of a change to sources or integrations, after its commit.

    A Valkey that is down is no error here: the change is made, and `maintenance.recover` tells it within a minute.
    """
    context = here()
    try:
        with transaction(context.engine) as connection:
            directory.publish(connection, context.client)
    except QueueUnavailable as error:
        logs.get("console").warning("directory.unpublished", error=str(error))
