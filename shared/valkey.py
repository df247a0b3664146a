"""The door to Valkey: a client that never waits long, and Celery's spelling of the same address.

Nothing is left behind.
"""

from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from shared.errors import QueueUnavailable

Client = redis.Redis  # bytes in, bytes out


def connect(redis_url: str, *, timeout_seconds: float = 2.0, max_connections: int = 64) -> Client:
    """A client whose every call ends within `timeout_seconds`, and that retries nothing by itself.

    A repeated append would be a second message.
    """
    return redis.Redis.from_url(
        redis_url,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
        max_connections=max_connections,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=0,
    )


def celery_url(redis_url: str) -> str:
    """The same address as Celery spells it: a unix socket is `redis+socket://` with `virtual_host`."""
    if not redis_url.startswith("unix://"):
        return redis_url
    path, _, query = redis_url.removeprefix("unix://").partition("?")
    database = next((part[3:] for part in query.split("&") if part.startswith("db=")), "0")
    return f"redis+socket://{path}?virtual_host={database}"


def run(script: Any, *, keys: list[str], args: list[Any], client: Client | None = None) -> Any:
    """Call a registered Lua script.

    Raises:
        QueueUnavailable: Valkey is down, slow, loading or full.
    """
    try:
        return script(keys=keys, args=args, client=client)
    except redis.RedisError as error:
        raise QueueUnavailable(str(error)) from error
