"""One drain to a shard: a session-level advisory lock on the very connection that the drain commits on.

Comes in: an engine and a shard. Left behind: nothing. A process that dies, or loses its connection, loses the lock
with it, and can commit no more: that is the fence.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection, Engine, text

_NAMESPACE: Final = 0x64726169  # "drai": the first key of the pair, apart from every other advisory lock
_TAKE = text("SELECT pg_try_advisory_lock(:namespace, :shard)")
_GIVE = text("SELECT pg_advisory_unlock(:namespace, :shard)")


@contextmanager
def shard_lock(engine: Engine, shard: int) -> Iterator[Connection | None]:
    """The connection that holds the shard's lock, outside a transaction; `None` when another drain holds it.

    When the block raises, the connection is closed for good rather than pooled, whatever state it is in.
    """
    names = {"namespace": _NAMESPACE, "shard": shard}
    with engine.connect() as connection:
        try:
            taken = connection.execute(_TAKE, names).scalar()
            connection.commit()
            if not taken:
                yield None
                return
            yield connection
            connection.rollback()
            connection.execute(_GIVE, names)
            connection.commit()
        except BaseException:
            connection.invalidate()
            raise
