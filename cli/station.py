"""The operator's station: the connections that one command works with.

Left behind: what its transactions committed. A command that dies inside one leaves nothing of it; one that dies
between the commit and `publish` leaves the ingress with the old directory for at most a minute.
"""

import getpass
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import click
from sqlalchemy import Connection, Engine

from cli import stack
from shared import audit, directory, valkey
from shared.clock import utc_now
from shared.crypto import KeyRing, load_ring
from shared.db.engine import make_engine, transaction
from shared.errors import QueueUnavailable
from shared.settings import Settings, current


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

    def note(
        self,
        connection: Connection,
        action: str,
        subject_id: UUID,
        *,
        account_id: UUID | None,
        detail: Mapping[str, Any] | None = None,
        reason: str | None = None,
    ) -> None:
        """Write the audit log's line, in the transaction of the deed; `action` is `noun.verbed`."""
        audit.record(
            connection,
            account_id=account_id,
            actor=self.actor,
            action=action,
            subject_kind=action.partition(".")[0],
            subject_id=subject_id,
            reason=reason,
            detail=detail,
            now=self.now(),
        )

    def publish(self) -> None:
        """Tell the ingress of changed sources and integrations; call it after the commit.

        The change stands whether Valkey answers or not; if not, the maintenance tells the ingress later.
        """
        try:
            with self.engine.connect() as connection:
                directory.publish(connection, self.client)
        except QueueUnavailable as error:
            click.echo(f"warning: the ingress could not be told, and learns of it within a minute: {error}", err=True)

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


@contextmanager
def at_work() -> Iterator[Station]:
    """The station of this environment: DATABASE_URL and REDIS_URL, or the servers of a running `crossdock up`.

    Raises:
        NotRunning: there are none.
    """
    with opened(stack.locate(current())) as station:
        yield station


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "unknown"
