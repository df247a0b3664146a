"""What a browser is in the middle of: the nonce of an OAuth round, and the shop it has connected.

Left behind: a key in Valkey that ends by itself, under the digest of a random text that only the browser has. A
process that dies in the middle leaves at most that; a Valkey that loses it has the person begin again.
"""

import hashlib
import secrets
from dataclasses import asdict, dataclass
from typing import Any, Final
from uuid import UUID

import orjson
import redis

from shared import queues, valkey
from shared.errors import QueueUnavailable

ROUND_SECONDS: Final = 600
SESSION_SECONDS: Final = 3600
_RANDOM_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Round:
    """What a browser was sent to a shop for."""

    source_id: UUID
    shop: str


def begin_round(client: valkey.Client, begun: Round) -> str:
    """A fresh nonce for the round, good once and for `ROUND_SECONDS`.

    Raises:
        QueueUnavailable: Valkey cannot be reached.
    """
    return _put(client, queues.oauth_state, orjson.dumps(asdict(begun)), seconds=ROUND_SECONDS)


def take_round(client: valkey.Client, nonce: str) -> Round | None:
    """The round of a nonce, which is now used up; `None` when it was used, is too old or never was.

    Raises:
        QueueUnavailable: Valkey cannot be reached.
    """
    try:
        found: Any = client.getdel(queues.oauth_state(_digest(nonce)))
    except redis.RedisError as error:
        raise QueueUnavailable(str(error)) from error
    if found is None:
        return None
    entry = orjson.loads(found)
    return Round(UUID(entry["source_id"]), entry["shop"])


def open_session(client: valkey.Client, integration_id: UUID) -> str:
    """A fresh session of `SESSION_SECONDS` for the browser that has connected this integration.

    Raises:
        QueueUnavailable: Valkey cannot be reached.
    """
    return _put(client, queues.shop_session, str(integration_id).encode(), seconds=SESSION_SECONDS)


def session(client: valkey.Client, token: str) -> UUID | None:
    """The integration of a session; `None` when it has ended or never was.

    Raises:
        QueueUnavailable: Valkey cannot be reached.
    """
    try:
        found: Any = client.get(queues.shop_session(_digest(token)))
    except redis.RedisError as error:
        raise QueueUnavailable(str(error)) from error
    return None if found is None else UUID(found.decode())


def _put(client: valkey.Client, key: Any, value: bytes, *, seconds: int) -> str:
    token = secrets.token_urlsafe(_RANDOM_BYTES)
    try:
        client.set(key(_digest(token)), value, ex=seconds)
    except redis.RedisError as error:
        raise QueueUnavailable(str(error)) from error
    return token


def _digest(token: str) -> str:
    # What stands in Valkey opens nothing for whoever reads it.
    return hashlib.sha256(token.encode()).hexdigest()
