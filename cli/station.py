"""The operator's station: the connections that one command works with.

Left behind: what its transactions committed. A command that dies inside one leaves nothing of it; one that dies
between the commit and `publish` leaves the ingress with the old directory for at most a minute.
"""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine

from shared import directory, valkey
from shared.clock import utc_now
from shared.crypto import KeyRing, load_ring
from shared.db.engine import make_engine, transaction
from shared.settings import Settings


@dataclass(frozen=True, slots=True)
class Station:
    """Connections to PostgreSQL and Valkey, the key ring, and who is sitting here."""

    settings: Settings
    engine: Engine
    client: valkey.Client
    ring: KeyRing
    actor: str  # `cli:<login>`, for the audit log

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One transaction, committed at the end of the block."""
        with transaction(self.engine) as connection:
            yield connection

    def publish(self) -> None:
        """Tell the ingress of changed sources and integrations; call it after the commit."""
        with self.engine.connect() as connection:
            directory.publish(connection, self.client)

    def now(self) -> datetime:
        """The present instant; the one place where a command asks for it."""
        return utc_now()


@contextmanager
def opened(settings: Settings) -> Iterator[Station]:
    """A station over settings that have both URLs; its connections are closed at the end."""
    engine = make_engine(settings.database_url)
    client = valkey.connect(settings.redis_url, timeout_seconds=settings.queue_timeout_seconds)
    try:
        yield Station(settings, engine, client, load_ring(settings), actor=f"cli:{_login()}")
    finally:
        client.close()
        engine.dispose()


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "unknown"
