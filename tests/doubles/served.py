"""A double of somebody's API, served over real HTTP on a loopback port from a thread of its own.

Comes in: requests. Left behind: what was asked and how it was answered, in memory. Its faults are scripted: each
answers one request in place of the API, before or after the API has done what was asked.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import orjson
from aiohttp import web


@dataclass(frozen=True)
class Fault:
    """What happens to one request instead of its answer."""

    status: int = 503
    headers: Mapping[str, str] = field(default_factory=dict)
    after: bool = False  # the API does what was asked, and then fails to say so
    slow: bool = False  # no answer comes for as long as the double is there
    silent: bool = False  # the connection is dropped without a word
    path: str = ""  # only a request whose path has this in it
    method: str = ""  # only one with this method


def taken(faults: deque[Fault], method: str, path: str) -> Fault | None:
    """The next fault, if it is for such a request; it is used up."""
    is_next = bool(faults) and faults[0].path in path and faults[0].method in ("", method)
    return faults.popleft() if is_next else None


@dataclass(frozen=True)
class Asked:
    """One request as it came, and its answer."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]  # lower-case names
    body: bytes
    status: int

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """What the API answers."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Served:
    """An API on a loopback port; `answer` says what it does."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.faults: deque[Fault] = deque()
        self.port = 0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="double", daemon=True)

    def answer(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> Reply:
        """What the API answers to one request."""
        raise NotImplementedError

    def url(self, path: str = "") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def answered(self, status: int) -> list[Asked]:
        """The requests that were answered with this status."""
        return [asked for asked in self.asked if asked.status == status]

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join(10)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._done = asyncio.Event()
        app = web.Application(client_max_size=20_000_000)
        app.router.add_route("*", "/{tail:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        self._ready.set()
        await self._done.wait()
        await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        fault = taken(self.faults, request.method, request.path)
        reply = Reply(fault.status, headers=fault.headers) if fault else Reply()
        if fault is None or fault.after:
            done = self.answer(request.method, request.path, dict(request.query), headers, body)
            reply = reply if fault else done
        self.asked.append(Asked(request.method, request.raw_path, dict(request.query), headers, body, reply.status))
        if fault and fault.slow:
            await self._done.wait()
        if fault and fault.silent:
            assert request.transport is not None
            request.transport.abort()
        content = b"" if reply.body is None else orjson.dumps(reply.body)
        return web.Response(
            status=reply.status, headers=dict(reply.headers), body=content, content_type="application/json"
        )
