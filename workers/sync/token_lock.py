"""One renewal of an integration's token at a time, whichever process does it: a session-level advisory lock.

Comes in: an engine and an integration. Left behind: nothing. It is held across the network, where no transaction may be
open, and so belongs to its connection alone: a process that dies, or loses its connection, loses the lock with it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from uuid import UUID

from psycopg2.errors import LockNotAvailable
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from workers.sync.upstream import UpstreamFailed

# As long as the one call that it is held for may take: `upstream_timeout_seconds` is 20 at most.
WAIT_SECONDS: Final = 20
_NAMESPACE: Final = 0x746F6B65  # "toke": the first key of the pair, apart from every other advisory lock
_LIMIT: Final = text("SELECT set_config('lock_timeout', :limit, true)")
_TAKE: Final = text("SELECT pg_advisory_lock(:namespace, :number)")
_GIVE: Final = text("SELECT pg_advisory_unlock(:namespace, :number)")


@contextmanager
def token_lock(engine: Engine, integration_id: UUID) -> Iterator[None]:
    """Hold the integration's lock, once whoever else holds it is done.

    When the block raises, the connection is closed for good rather than pooled, whatever state it is in.

    Raises:
        UpstreamFailed: `renewal_busy`: another process holds it for too long.
    """
    # The random end of the id. Two integrations that share it wait for each other, which does no harm.
    names = {"namespace": _NAMESPACE, "number": int.from_bytes(integration_id.bytes[-4:], signed=True)}
    with engine.connect() as connection:
        try:
            connection.execute(_LIMIT, {"limit": f"{WAIT_SECONDS}s"})
            connection.execute(_TAKE, names)
            connection.commit()
            yield
            connection.execute(_GIVE, names)
            connection.commit()
        except OperationalError as error:
            connection.invalidate()
            if not isinstance(error.orig, LockNotAvailable):
                raise
            raise UpstreamFailed("renewal_busy", "Another process is renewing the token, for long") from error
        except BaseException:
            connection.invalidate()
            raise
