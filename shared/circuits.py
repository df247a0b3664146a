"""Calls to a host that failed again and again are not made: whoever calls leaves a dead host alone together.

Only what the host did counts. A request that cannot even be made, for its token has a line break, say, is its sender's
trouble, and would keep everybody else from the host.

Comes in: one call upstream, from a worker or from the console. Left behind: how often the host failed in a row, in
Valkey, which ends by itself. A process that dies between the call and the count costs the count; a Valkey that is
down costs the circuit, nothing else.
"""

import contextlib
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

import redis
import requests

from shared import queues, valkey
from shared.egress import networks_of
from shared.egress.calls import Reply, call
from shared.errors import CrossdockError
from shared.settings import Settings

CIRCUIT_FAILURES: Final = 5
CIRCUIT_SECONDS: Final = 60
# It was not reached, took too long, or broke off.
_FAILED: Final = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)


class CircuitOpen(CrossdockError):
    """Raised when nothing was sent, since the host failed `CIRCUIT_FAILURES` times in a row."""


def guarded_call(
    client: valkey.Client,
    settings: Settings,
    method: str,
    url: str,
    *,
    what: str,
    headers: Mapping[str, str],
    body: bytes | None,
    timeout_seconds: float,
    max_bytes: int,
) -> Reply:
    """The reply, whatever its status. The circuit of the host is asked before, and told after.

    Raises:
        CircuitOpen: the host is left alone for now.
        EgressRefused: the URL or an address of its host is refused; nothing was sent.
        requests.RequestException: there was no whole reply.
    """
    host = urlsplit(url).netloc
    _check(client, host)
    try:
        reply = call(
            method,
            url,
            what=what,
            headers=headers,
            body=body,
            timeout_seconds=timeout_seconds,
            max_bytes=max_bytes,
            allow_http=settings.allow_http_destinations,
            networks=networks_of(settings.allowed_networks()),
        )
    except _FAILED:
        _count(client, host, is_down=True)
        raise
    _count(client, host, is_down=reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR)
    return reply


def _check(client: valkey.Client, host: str) -> None:
    with contextlib.suppress(redis.RedisError):
        failures = client.get(queues.circuit(host))
        if int(failures or 0) >= CIRCUIT_FAILURES:
            raise CircuitOpen(f"{host} failed again and again")


def _count(client: valkey.Client, host: str, *, is_down: bool) -> None:
    with contextlib.suppress(redis.RedisError):
        if not is_down:
            client.delete(queues.circuit(host))
            return
        with client.pipeline(transaction=True) as pipe:
            pipe.incr(queues.circuit(host))
            pipe.expire(queues.circuit(host), CIRCUIT_SECONDS)
            pipe.execute()
