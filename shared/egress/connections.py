"""Connections to receivers: to addresses that were vetted, and kept for a little while for the next request.

Comes in: where a request is to go. Comes out: a connection whose other end is an address that was vetted, with the
name of the URL in the TLS handshake. Left behind: idle connections, for seconds. A process that dies in the middle
leaves nothing.
"""

import asyncio
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import aiohappyeyeballs

from shared.egress.addresses import vet
from shared.egress.urls import Target, look_up
from shared.egress.wire import Connection
from shared.networks import Networks

CONNECT_SECONDS = 5.0
NEXT_ADDRESS_SECONDS = 0.25  # after which the next address of a host is tried beside the last (RFC 8305)
VETTED_SECONDS = 30.0  # how long vetted addresses are connected to without asking again
# And while a name server is asked again and does not answer: its silence must not stop who was reached a minute ago.
STALE_SECONDS = 600.0
# Below the 5 s after which common receivers close idle connections, so that we do not send into a closing one.
KEEP_ALIVE_SECONDS = 4.0
# A name server that does not answer holds its thread for long; the others' names must not wait behind it.
LOOK_UPS = 64
_HOSTS_KEPT = 10_000
# Of connections that nobody uses just now, to all receivers together: a process has a thousand files, often.
IDLE_MOST = 256


@dataclass(slots=True)
class _Name:
    """What is known of a name, and whether it is being asked for."""

    addresses: list[str] | None = None  # vetted
    since: float = 0.0
    looking: "asyncio.Future[list[str]] | None" = None

    def is_young(self, now: float, seconds: float) -> bool:
        return self.addresses is not None and now < self.since + seconds


class Connections:
    """The connections of one loop."""

    def __init__(self, *, networks: Networks) -> None:
        self._networks = networks
        self._loop = asyncio.get_running_loop()
        self._tls = ssl.create_default_context()
        self._idle: dict[Target, list[Connection]] = {}
        self._since: dict[Connection, tuple[Target, float]] = {}  # of all that are idle, the longest first
        self._vetted: dict[tuple[str, int], _Name] = {}
        self._sweep: asyncio.TimerHandle | None = None
        self._names = ThreadPoolExecutor(LOOK_UPS, thread_name_prefix="look-up")

    async def take(self, target: Target, *, until: float) -> Connection:
        """A connection that is open; `until` is the loop's time. Give it back, or close it.

        Raises:
            EgressRefused: the host cannot be resolved, or has an address that may not be reached.
            TimeoutError: it was not made in time.
            OSError: it cannot be made; `ssl.SSLError` where that is TLS's doing.
        """
        oldest = self._loop.time() - KEEP_ALIVE_SECONDS
        while idle := self._idle.get(target):
            connection = idle[-1]
            _, since = self._since[connection]
            self._forget(connection)
            if since >= oldest and connection.may_be_kept():
                return connection
            connection.close()
        async with asyncio.timeout_at(until):
            return await self._connect(target)

    def give_back(self, target: Target, connection: Connection) -> None:
        """Keep a connection for the next request, if it may be kept."""
        if not connection.may_be_kept():
            return
        self._idle.setdefault(target, []).append(connection)
        self._since[connection] = (target, self._loop.time())
        while len(self._since) > IDLE_MOST:
            self._close_longest_idle()
        if self._sweep is None:
            self._sweep = self._loop.call_later(KEEP_ALIVE_SECONDS, self._close_stale)

    def close(self) -> None:
        """Close all that are idle, and ask for no more names."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        while self._since:
            self._close_longest_idle()
        for name in self._vetted.values():
            if name.looking is not None:
                name.looking.cancel()
        self._names.shutdown(wait=False)

    def _forget(self, connection: Connection) -> None:
        """It is idle no more."""
        target, _ = self._since.pop(connection)
        self._idle[target].remove(connection)
        if not self._idle[target]:
            del self._idle[target]

    def _close_longest_idle(self) -> None:
        connection = next(iter(self._since))
        self._forget(connection)
        connection.close()

    def _close_stale(self) -> None:
        self._sweep = None
        oldest = self._loop.time() - KEEP_ALIVE_SECONDS
        while self._since and next(iter(self._since.values()))[1] <= oldest:
            self._close_longest_idle()
        if self._since:
            self._sweep = self._loop.call_later(KEEP_ALIVE_SECONDS, self._close_stale)

    async def _connect(self, target: Target) -> Connection:
        addresses = [target.host] if target.is_literal else await self._addresses(target.host, target.port)
        async with asyncio.timeout(CONNECT_SECONDS):
            sock = await aiohappyeyeballs.start_connection(
                [_info(address, target.port) for address in addresses],
                happy_eyeballs_delay=NEXT_ADDRESS_SECONDS,
                socket_factory=self._socket,
            )
        is_tls = target.scheme == "https"
        _, connection = await self._loop.create_connection(
            lambda: Connection(self._loop),
            sock=sock,
            ssl=self._tls if is_tls else None,
            server_hostname=target.host.rstrip(".") if is_tls else None,
        )
        return connection

    def _socket(self, info: Any) -> socket.socket:
        """The last gate, which literal addresses pass through too: the very address that is connected to."""
        family, kind, protocol, _, where = info
        vet(str(where[0]), [str(where[0])], self._networks)
        return socket.socket(family, kind, protocol)

    async def _addresses(self, host: str, port: int) -> list[str]:
        """The vetted addresses of a host: one look-up for all who wait for it, and for a while after."""
        now = self._loop.time()
        if len(self._vetted) >= _HOSTS_KEPT:
            self._vetted = {key: name for key, name in self._vetted.items() if name.looking is not None}
        name = self._vetted.setdefault((host, port), _Name())
        # However long it takes, a name is asked for once at a time: it holds one thread at most.
        if name.looking is None and not name.is_young(now, VETTED_SECONDS):
            name.looking = asyncio.ensure_future(self._look_up(host, port))
            name.looking.add_done_callback(lambda done: self._note(name, done))
        looking = name.looking
        if looking is None or name.is_young(now, STALE_SECONDS):
            return name.addresses or []
        # One that gives up waiting must not take the look-up away from the others; `wait` cancels nothing.
        await asyncio.wait([looking])
        if looking.cancelled():
            raise ConnectionAbortedError("the way out is being closed")
        return looking.result()

    def _note(self, name: _Name, looking: "asyncio.Future[list[str]]") -> None:
        """What was found counts from now on; one that failed is asked for again by the next request."""
        name.looking = name.addresses = None
        if not looking.cancelled() and looking.exception() is None:
            name.addresses, name.since = looking.result(), self._loop.time()

    async def _look_up(self, host: str, port: int) -> list[str]:
        found = await self._loop.run_in_executor(self._names, look_up, host, port)
        vet(host, found, self._networks)
        return found


def _info(address: str, port: int) -> Any:
    if ":" in address:
        return socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port, 0, 0)
    return socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port)
