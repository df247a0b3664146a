"""The door to PostgreSQL: an engine per process and `transaction()`, the one place that commits.

Left behind: what a `with transaction()` block did, whole or not at all. A process that dies inside one leaves
nothing of it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import orjson
from sqlalchemy import Connection, Engine, create_engine

POOL_SIZE = 5
CONNECT_TIMEOUT_SECONDS = 5


def make_engine(database_url: str, *, pool_size: int = POOL_SIZE) -> Engine:
    """An engine on psycopg2 whose connections time out, survive a restart of the server and speak UTC."""
    url = database_url
    for plain in ("postgres://", "postgresql://"):
        if url.startswith(plain):
            url = "postgresql+psycopg2://" + url.removeprefix(plain)
    return create_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_pre_ping=True,
        pool_timeout=CONNECT_TIMEOUT_SECONDS,
        hide_parameters=True,  # an error's text reaches the log, and the values may be a payload or a secret
        executemany_mode="values_plus_batch",
        json_serializer=lambda value: orjson.dumps(value).decode(),
        json_deserializer=orjson.loads,
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "options": "-c timezone=UTC -c idle_in_transaction_session_timeout=60000",
            "application_name": "crossdock",
        },
    )


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """One transaction: committed when the block ends, rolled back when it raises. Never open across the network."""
    with engine.begin() as connection:
        yield connection
