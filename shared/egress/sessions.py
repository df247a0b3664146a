"""Deliveries' way out: requests over connections whose every other end is an address that was vetted.

Comes in: a request and its limits. Comes out: an `Answer`, always: that a receiver fails is a value. The address that
was vetted is the address that is connected to, with Host and SNI as the URL has them; nothing follows redirects, reads
proxies from the environment or reads past a cap. A process that dies in the middle has perhaps been heard.
"""

import asyncio
import ssl
import time
from typing import NamedTuple

from yarl import URL

from shared.destinations.contract import Answer, Outgoing
from shared.egress.connections import Connections
from shared.egress.urls import Target, target_of
from shared.egress.wire import Reply, ReplyMalformed, request_head
from shared.errors import EgressRefused
from shared.networks import Networks

RESPONSE_BYTES = 65_536  # read at most
EXCERPT_BYTES = 2_048  # kept
_NO_COMPRESSION = ("Accept-Encoding", "identity")
_URLS_KEPT = 10_000  # more subscriptions than that are parsed anew


class _Address(NamedTuple):
    """What a request needs of its URL."""

    target: Target
    host: str  # as the Host header has it
    path: str  # with the query


class Session:
    """A way out behind the guard; made and used within one loop."""

    def __init__(self, *, networks: Networks, allow_http: bool) -> None:
        self._allow_http = allow_http
        self._loop = asyncio.get_running_loop()
        self._connections = Connections(networks=networks)
        self._addresses: dict[str, _Address] = {}

    async def send(self, outgoing: Outgoing, *, timeout_seconds: float) -> Answer:
        """The answer to `outgoing`, no later than `timeout_seconds` from now, whatever the receiver does.

        The status decides once it is there: a body that drips, breaks off or is huge does not undo it.
        """
        began = time.monotonic()
        until = self._loop.time() + timeout_seconds
        try:
            reply = await self._exchange(outgoing, until)
        except EgressRefused as refused:
            return Answer(None, error_code=refused.code, error=refused.message, duration_ms=_ms_since(began))
        except (OSError, ReplyMalformed, ValueError) as failure:
            return Answer(None, error_code=_code(failure), error=_text(failure), duration_ms=_ms_since(began))
        excerpt = bytes(reply.body)
        return Answer(
            status=reply.status,
            headers=reply.headers,
            excerpt=excerpt[:EXCERPT_BYTES].decode("utf-8", "replace").replace("\x00", "�"),
            duration_ms=_ms_since(began),
            body=excerpt if outgoing.reply_bytes else b"",
        )

    async def _exchange(self, outgoing: Outgoing, until: float) -> Reply:
        target, host, path = self._addresses.get(outgoing.url) or self._address(outgoing.url)
        body = outgoing.body
        head = request_head(outgoing.method, path, host, (*outgoing.headers, _NO_COMPRESSION), len(body))
        wanted = outgoing.reply_bytes
        connection = await self._connections.take(target, until=until)
        # Cancelled or failed, the connection has closed itself.
        reply = await connection.exchange(
            head + body, until=until, most=wanted or RESPONSE_BYTES, keep=wanted or EXCERPT_BYTES
        )
        self._connections.give_back(target, connection)
        return reply

    def _address(self, url: str) -> _Address:
        target = target_of(url, allow_http=self._allow_http)
        try:
            path = URL(url).raw_path_qs
        except ValueError as error:
            raise EgressRefused("url_malformed", str(error)) from error
        if len(self._addresses) >= _URLS_KEPT:
            self._addresses.clear()
        address = self._addresses[url] = _Address(target, target.host_header, path)
        return address

    async def close(self) -> None:
        """Close every connection that is idle; those under way close with their requests."""
        self._connections.close()


def _ms_since(began: float) -> int:
    return int((time.monotonic() - began) * 1000)


def _code(failure: Exception) -> str:
    if isinstance(failure, TimeoutError):
        return "timeout"
    if isinstance(failure, ssl.SSLError):
        return "tls_failed"
    if isinstance(failure, ReplyMalformed):
        return "reply_malformed"
    if isinstance(failure, OSError):
        return "connection_failed"
    return "request_unbuildable"


def _text(failure: Exception) -> str:
    said = (str(failure) or type(failure).__name__)[:500]
    return said.encode("utf-8", "replace").decode().replace("\x00", "�")
