"""What every task works with: settings, the database, the queue and the keys of one process.

Left behind: open connections, which end with the process.
"""

from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import Engine

from shared import logs, valkey
from shared.crypto import KeyRing, load_ring
from shared.db.engine import make_engine
from shared.inbox import Inbox
from shared.settings import Settings, current


@dataclass(frozen=True, slots=True)
class Context:
    """One process's connections."""

    settings: Settings
    engine: Engine
    client: valkey.Client
    ring: KeyRing
    inbox: Inbox


def make_context(settings: Settings) -> Context:
    """A context over `settings`; connections open on first use."""
    client = valkey.connect(settings.redis_url, timeout_seconds=max(settings.queue_timeout_seconds, 5.0))
    return Context(
        settings=settings,
        engine=make_engine(settings.database_url),
        client=client,
        ring=load_ring(settings),
        inbox=Inbox(client, shards=settings.inbox_shards),
    )


@lru_cache(maxsize=1)
def context() -> Context:
    """This process's context, made on first use and so after the fork."""
    settings = current()
    logs.configure(settings)
    return make_context(settings)
