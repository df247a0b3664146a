"""Upstream calls' way out: requests, behind the same guard as deliveries.

Comes in: a method, a URL and limits. Comes out: a bounded reply. Each connection goes to the address that was vetted,
with Host, SNI and the certificate's name as the URL has them; no redirects, no proxies from the environment; and all of
it, from the name server to the last byte, ends by one deadline. Left behind: a line in the log, with neither a header
nor a query. A process that dies in the middle has perhaps been heard.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import connection, connectionpool, poolmanager
from urllib3.exceptions import NewConnectionError
from urllib3.util import connection as sockets

from shared import logs
from shared.egress.addresses import vet
from shared.egress.deadline import Deadline, TimedSocket
from shared.egress.urls import host_of, look_up, target_of
from shared.errors import EgressRefused
from shared.networks import Networks

CONNECT_SECONDS = 5.0
CHUNK_BYTES = 16_384

_log = logs.get("upstream")


@dataclass(frozen=True, slots=True)
class Reply:
    """What an upstream answered."""

    status: int
    headers: Mapping[str, str]  # names without case
    body: bytes


class _Pinned:
    """A connection that resolves once, vets every address and connects to one of those very addresses, in time."""

    networks: Networks = ()
    deadline: Deadline

    def _new_conn(self) -> Any:
        host, port = self._dns_host, self.port  # type: ignore[attr-defined]
        found = self.deadline.wait_for(lambda: look_up(host, port))
        vet(host, found, self.networks)
        failure: OSError | None = None
        for address in found:
            try:
                # The timeout stays with the socket, for the TLS handshake.
                return sockets.create_connection(
                    (address, port),
                    min(CONNECT_SECONDS, self.deadline.left()),
                    source_address=self.source_address,  # type: ignore[attr-defined]
                    socket_options=self.socket_options,  # type: ignore[attr-defined]
                )
            except OSError as error:
                failure = error
        raise NewConnectionError(self, f"{host}: {failure}")  # type: ignore[arg-type]

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        self.sock: Any = TimedSocket(self.sock, self.deadline)


class _Adapter(HTTPAdapter):
    """requests' own adapter over pinned connections."""

    def __init__(self, networks: Networks, deadline: Deadline) -> None:
        self._bounds = {"networks": networks, "deadline": deadline}
        super().__init__(max_retries=0)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:
        plain = type("PinnedHTTP", (_Pinned, connection.HTTPConnection), self._bounds)
        secure = type("PinnedHTTPS", (_Pinned, connection.HTTPSConnection), self._bounds)
        manager = poolmanager.PoolManager(num_pools=connections, maxsize=maxsize, block=block, **kwargs)
        manager.pool_classes_by_scheme = {
            "http": type("PinnedHTTPPool", (connectionpool.HTTPConnectionPool,), {"ConnectionCls": plain}),
            "https": type("PinnedHTTPSPool", (connectionpool.HTTPSConnectionPool,), {"ConnectionCls": secure}),
        }
        self.poolmanager = manager


def call(
    method: str,
    url: str,
    *,
    what: str,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    timeout_seconds: float = 10.0,
    max_bytes: int = 5_000_000,
    allow_http: bool = False,
    networks: Networks = (),
) -> Reply:
    """The reply of an upstream, no longer than `max_bytes`, within `timeout_seconds` in all.

    `what` names the call in the log.

    Raises:
        EgressRefused: the URL or an address of its host is refused; nothing was sent.
        requests.RequestException: there was no whole reply (`requests.Timeout` when it took too long,
            `requests.ConnectionError` when it was longer than `max_bytes` or broke off).
    """
    began = time.monotonic()
    status: int | None = None
    error_code: str | None = None
    try:
        target_of(url, allow_http=allow_http)
        reply = _exchange(method, url, headers or {}, body, Deadline(timeout_seconds), max_bytes, networks)
        status = reply.status
    except EgressRefused as refused:
        error_code = refused.code
        raise
    except requests.RequestException as error:
        error_code = "timeout" if isinstance(error, requests.Timeout) else "unreachable"
        raise
    finally:
        _log.info(
            "upstream.called",
            what=what,
            host=host_of(url) or None,
            status=status,
            error_code=error_code,
            duration_ms=round((time.monotonic() - began) * 1000),
        )
    return reply


def _exchange(  # noqa: PLR0917  # passed on
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None,
    deadline: Deadline,
    max_bytes: int,
    networks: Networks,
) -> Reply:
    try:
        with requests.Session() as session:
            session.trust_env = False
            adapter = _Adapter(networks, deadline)
            session.mount("http://", adapter)
            session.mount("https://", adapter)
            response = session.request(
                method, url, headers=dict(headers), data=body, allow_redirects=False, stream=True
            )
            with response:
                return Reply(response.status_code, response.headers, _read(response, max_bytes))
    except requests.Timeout:
        raise
    except (requests.RequestException, OSError) as error:
        # Between here and the socket a timeout goes by many names.
        if deadline.is_over():
            raise requests.Timeout(f"it took longer than {deadline.seconds:g} s") from error
        raise


def _read(response: requests.Response, max_bytes: int) -> bytes:
    chunks: list[bytes] = []
    count = 0
    for chunk in response.iter_content(CHUNK_BYTES):
        count += len(chunk)
        if count > max_bytes:
            raise requests.ConnectionError(f"the reply is longer than {max_bytes} bytes")
        chunks.append(chunk)
    return b"".join(chunks)
