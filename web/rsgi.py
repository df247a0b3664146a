"""The ingress on its server: heads and bodies come in on one loop, and threads do what takes long.

Comes in: a request as granian hands it over, its head read. Left behind: what `web.ingress` leaves. A process that dies
before the answer has not answered, and the provider sends again.

WSGI has one spelling for `-` and `_`: of two headers one would be judged, and the other never seen. And each of its
threads waits for its request's body: a few senders that drip would keep everybody out. Here a body waits on the loop.
A small one for a known source is judged there too, and what then waits for Valkey goes there together; threads have
large bodies, refusals, certificates that are to be fetched, and what is Flask's own.
"""

import asyncio
import io
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol, TypeVar

from flask import Flask, Response

from shared import logs
from shared.directory import Listing
from shared.inbox import LARGE_BYTES
from shared.providers.contract import Headers, Refusal
from shared.settings import Settings
from shared.strict_json import REPLACEMENT
from web import wsgi
from web.answers import Answer
from web.appends import Appends
from web.bodies import Bodies, Incoming
from web.certificates import NotKept
from web.ingress import INTERNAL, Arrived, Ingress

Found = TypeVar("Found")

_log = logs.get("ingress")
# Of every request's environ; its body is read before, so there is none left to read.
_SAME = {
    "SCRIPT_NAME": "",
    "SERVER_NAME": "localhost",
    "SERVER_PORT": "80",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "wsgi.version": (1, 0),
    "wsgi.url_scheme": "http",
    "wsgi.input": io.BytesIO(),
    "wsgi.errors": sys.stderr,
    "wsgi.multithread": True,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
}


class Scope(Protocol):
    """The head of a request. Source: RSGI 1.5, granian's docs/spec/RSGI.md."""

    method: str
    path: str  # decoded
    query_string: str
    client: str  # address and port
    headers: Any  # `keys()` has each name once, `items()` each header whose value is ASCII


class Exchange(Incoming, Protocol):
    """The rest of a request, and the way back."""

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Answer, once."""


class Ready(NamedTuple):
    """An answer as the server takes it."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Front:
    """The RSGI app before the ingress's WSGI app."""

    def __init__(self, app: Flask, settings: Settings) -> None:
        self._wsgi_app = app.wsgi_app
        self._ingress: Ingress = app.extensions["ingress"]
        self._bodies = Bodies(settings.max_body_bytes, seconds=settings.body_timeout_seconds)
        self._patience = settings.queue_timeout_seconds
        self._threads = ThreadPoolExecutor(settings.ingress_threads, thread_name_prefix="ingress")
        self._loop: asyncio.AbstractEventLoop
        self._appends: Appends

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._appends = Appends(self._ingress.inbox, loop, patience_seconds=self._patience)

    def __rsgi_del__(self, _: asyncio.AbstractEventLoop) -> None:
        self._appends.stop()
        self._threads.shutdown(wait=False)

    async def __rsgi__(self, scope: Scope, exchange: Exchange) -> None:
        """Answer one request."""
        try:
            ready = await self._answer(scope, exchange)
        except Exception:  # noqa: BLE001  # the app's edge
            _log.exception("webhook.unexpected")
            ready = _ready(INTERNAL)
        exchange.response_bytes(*ready)

    async def _answer(self, scope: Scope, exchange: Exchange) -> Ready:
        environ = _environ(scope)
        place = self._ingress.place(wsgi.path_of(environ))
        if place is None or place.listing is None:  # of what is for nobody no body is read
            return await self._in_thread(self._of_wsgi, environ)
        body = environ[wsgi.BODY] = await self._bodies.read(exchange, environ[wsgi.HEADERS])
        try:
            if scope.method != "POST" or isinstance(body, Refusal) or len(body) > LARGE_BYTES:
                return await self._in_thread(self._of_wsgi, environ)
            return await self._of_loop(environ, place.listing, place.beneath, body)
        finally:
            self._bodies.let_go(body)

    async def _of_loop(self, environ: dict[str, Any], listing: Listing, beneath: str, body: bytes) -> Ready:
        """What `Ingress.receive` does, without a wait that holds others up."""
        ingress, received = self._ingress, self._ingress.request(environ, beneath, body)
        try:
            judged = ingress.judge(received, listing, ingress.certificates.kept)
        except NotKept:
            return await self._in_thread(self._of_wsgi, environ)
        if isinstance(judged, Arrived):
            judged = ingress.settle(judged, await self._appends.put(judged.arrival))
        if isinstance(judged, Refusal):
            judged = await self._in_thread(ingress.refuse, judged, received, listing)
        return _ready(judged)

    def _of_wsgi(self, environ: dict[str, Any]) -> Ready:
        """The WSGI app's answer; in a thread."""
        response = Response.from_app(self._wsgi_app, environ, buffered=True)
        return Ready(response.status_code, list(response.headers), response.get_data())

    async def _in_thread(self, work: Callable[..., Found], *args: Any) -> Found:
        return await self._loop.run_in_executor(self._threads, work, *args)


def _ready(answer: Answer) -> Ready:
    fixed = [("content-type", answer.content_type), ("content-length", str(len(answer.body)))]
    return Ready(answer.status, [*fixed, *answer.headers], answer.body)


def _headers(given: Any) -> Headers:
    """The headers as they were sent, with U+FFFD for a value that is not ASCII, which the server keeps to itself.

    Of a header that was sent twice it does so too: where one of the two is not ASCII, only the other is seen.
    """
    pairs = given.items()
    known = {name for name, _ in pairs}
    if len(given) > len(known):
        pairs += [(name, REPLACEMENT) for name in given.keys() if name not in known]  # noqa: SIM118  # it is no dict
    return Headers(pairs)


def _environ(scope: Scope) -> dict[str, Any]:
    path, found = scope.path, _headers(scope.headers)
    return _SAME | {
        "REQUEST_METHOD": scope.method,
        "PATH_INFO": path if path.isascii() else path.encode().decode("latin-1"),  # as WSGI has it
        "QUERY_STRING": scope.query_string,
        "REMOTE_ADDR": scope.client.rpartition(":")[0].strip("[]"),
        "HTTP_HOST": found.get("host") or "localhost",
        wsgi.HEADERS: found,
    }
