"""Deliveries' way out: one aiohttp session whose every connection goes to an address that was vetted.

Comes in: a request and its limits. Comes out: an `Answer`, always: that a receiver fails is a value. The address that
was vetted is the address that is connected to, with Host and SNI as the URL has them; nothing follows redirects, reads
proxies from the environment or reads past a cap. A process that dies in the middle has perhaps been heard.
"""

import asyncio
import socket
import ssl
import time
from collections.abc import Mapping
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from multidict import CIMultiDict
from yarl import URL

from shared.destinations.contract import Answer, Outgoing
from shared.egress.addresses import vet
from shared.egress.urls import look_up, target_of
from shared.errors import EgressRefused
from shared.networks import Networks

RESPONSE_BYTES = 65_536  # read at most
EXCERPT_BYTES = 2_048  # kept
CONNECT_SECONDS = 5.0
VETTED_SECONDS = 30  # how long a vetted address is connected to without asking again
# Below the 5 s after which common receivers close idle connections, so that we do not send into a closing one.
KEEP_ALIVE_SECONDS = 4.0
_NO_COMPRESSION = ("Accept-Encoding", "identity")
_KEPT_HEADERS = ("retry-after",)


class _VettingResolver(AbstractResolver):
    """Resolves in a thread and refuses a host that has an address it may not have."""

    def __init__(self, networks: Networks) -> None:
        self._networks = networks

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,  # noqa: ARG002  # the signature is aiohttp's
    ) -> list[ResolveResult]:
        found = await asyncio.to_thread(look_up, host, port)
        vet(host, found, self._networks)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in found
        ]

    async def close(self) -> None:
        """Nothing is kept."""


class Session:
    """An aiohttp session behind the guard; made and used within one loop."""

    def __init__(self, *, networks: Networks, allow_http: bool) -> None:
        self._networks = networks
        self._allow_http = allow_http
        self._targets: dict[str, URL] = {}
        self._client = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,  # the window limits
                resolver=_VettingResolver(networks),
                ttl_dns_cache=VETTED_SECONDS,
                keepalive_timeout=KEEP_ALIVE_SECONDS,
                ssl=ssl.create_default_context(),
                socket_factory=self._socket,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
        )

    def _socket(self, address: Any) -> socket.socket:
        """The last gate, which literal addresses pass through too: the very address that is connected to."""
        family, kind, protocol, _, where = address
        vet(str(where[0]), [str(where[0])], self._networks)
        return socket.socket(family, kind, protocol)

    def _url(self, url: str) -> URL:
        parsed = self._targets.get(url)
        if parsed is None:
            target_of(url, allow_http=self._allow_http)
            try:
                parsed = URL(url)
            except ValueError as error:
                raise EgressRefused("url_malformed", str(error)) from error
            if len(self._targets) >= 10_000:  # noqa: PLR2004  # more subscriptions than that are parsed anew
                self._targets.clear()
            self._targets[url] = parsed
        return parsed

    async def send(self, outgoing: Outgoing, *, timeout_seconds: float) -> Answer:
        """The answer to `outgoing`, no later than `timeout_seconds` from now, whatever the receiver does.

        The status decides once it is there: a body that drips, breaks off or is huge does not undo it.
        """
        began = time.monotonic()
        status: int | None = None
        headers: Mapping[str, str] = {}
        excerpt = b""
        code: str | None = None
        error: str | None = None
        sent = CIMultiDict(outgoing.headers)
        sent.add(*_NO_COMPRESSION)
        try:
            async with self._client.request(
                outgoing.method,
                self._url(outgoing.url),
                data=outgoing.body,
                headers=sent,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=timeout_seconds, sock_connect=CONNECT_SECONDS),
            ) as response:
                status = response.status
                headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
                excerpt = await _read(response, outgoing.reply_bytes)
        except EgressRefused as refused:
            code, error = refused.code, refused.message
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as failure:
            code, error = _code(failure), _text(failure)
        if status is not None:
            code = error = None
        return Answer(
            status=status,
            headers=headers,
            excerpt=excerpt[:EXCERPT_BYTES].decode("utf-8", "replace").replace("\x00", "�"),
            error_code=code,
            error=error,
            duration_ms=int((time.monotonic() - began) * 1000),
            body=excerpt if outgoing.reply_bytes else b"",
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._client.close()


async def _read(response: aiohttp.ClientResponse, wanted: int) -> bytes:
    """The first bytes of the reply's body. What is longer than we read is not read: the connection is closed."""
    most, keep = (wanted, wanted) if wanted else (RESPONSE_BYTES, EXCERPT_BYTES)
    kept = bytearray()
    count = 0
    content = response.content
    try:
        while count < most:
            chunk = await content.read(most - count)
            if not chunk:
                return bytes(kept)
            count += len(chunk)
            if len(kept) < keep:
                kept += chunk[: keep - len(kept)]
            if content.at_eof():
                return bytes(kept)
    except (TimeoutError, aiohttp.ClientError, OSError):
        pass
    response.close()
    return bytes(kept)


def _code(failure: Exception) -> str:
    if isinstance(failure, TimeoutError):
        return "timeout"
    if isinstance(failure, aiohttp.ClientSSLError):
        return "tls_failed"
    if isinstance(failure, aiohttp.ClientConnectorDNSError):
        return "host_unresolvable"
    if isinstance(failure, aiohttp.InvalidURL):
        return "url_malformed"
    if isinstance(failure, aiohttp.ClientResponseError | aiohttp.ClientPayloadError):
        return "reply_malformed"
    return "connection_failed"


def _text(failure: Exception) -> str:
    said = (str(failure) or type(failure).__name__)[:500]
    return said.encode("utf-8", "replace").decode().replace("\x00", "�")
