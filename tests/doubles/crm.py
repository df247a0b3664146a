"""A CRM that receives webhooks over real HTTP, checks each as its documentation says, and answers as it is told.

Comes in: requests. Left behind: what was received, in memory. It refuses with 400 what a careful receiver refuses:
unsigned, wrongly signed, stale, or not JSON by its content type.
"""

import asyncio
import hashlib
import hmac
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

from shared.clock import utc_now

TOLERANCE_SECONDS = 300


@dataclass(frozen=True)
class Answer:
    """What to say to one request."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b'{"received": true}'
    hang: bool = False  # never answers
    drip: bool = False  # sends the head, then a byte at a time for ever
    reset: bool = False  # drops the connection without a word
    hold: bool = False  # answers when the path is released
    raw: bytes = b""  # sent as they are instead of an answer, then the connection is dropped


@dataclass(frozen=True)
class Received:
    """One request as it came, and how it was answered."""

    path: str
    headers: dict[str, str]
    body: bytes
    status: int
    problem: str | None

    @property
    def webhook_id(self) -> str:
        return self.headers["webhook-id"]


class Crm:
    """One receiver on a loopback port. Every path is a mailbox with its own script; the last answer is repeated."""

    def __init__(self, *secrets: str, clock: Callable[[], datetime] = utc_now) -> None:
        self.secrets = list(secrets)
        self.clock = clock
        self.received: list[Received] = []
        self.in_flight: dict[str, int] = {}
        self.most_in_flight: dict[str, int] = {}
        self.on_request: Callable[[str], None] = lambda _path: None
        self._scripts: dict[str, list[Answer]] = {}
        self._trusted: dict[str, str] = {}
        self._gates: dict[str, asyncio.Event] = {}
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="crm", daemon=True)
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join(10)

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def answer(self, *answers: Answer | int, path: str = "/hook") -> None:
        """Script the next answers of a path."""
        self._scripts[path] = [Answer(each) if isinstance(each, int) else each for each in answers]

    def trust(self, path: str, secret: str) -> None:
        """Believe what is signed with this secret, and nothing else, at a path that is one subscription's own."""
        self._trusted[path] = secret

    def release(self, path: str) -> None:
        """Answer what is held at the path, and what is to come."""
        self._loop.call_soon_threadsafe(self._gate(path).set)

    def at(self, path: str = "/hook") -> list[Received]:
        return [each for each in self.received if each.path == path]

    def accepted_ids(self, path: str = "/hook") -> list[str]:
        """The webhook-ids that were answered with success at the path, once for each time."""
        return [each.webhook_id for each in self.at(path) if each.problem is None and 200 <= each.status < 300]

    def refused(self) -> list[Received]:
        """What a careful receiver refused."""
        return [each for each in self.received if each.problem is not None]

    def problem_with(self, headers: dict[str, str], body: bytes, *, path: str = "/hook") -> str | None:
        """Why a careful receiver refuses this request; None when it does not."""
        if headers.get("content-type") != "application/json":
            return "content type"
        try:
            sent_at = int(headers["webhook-timestamp"])
        except (KeyError, ValueError):
            return "no timestamp"
        if abs(self.clock().timestamp() - sent_at) > TOLERANCE_SECONDS:
            return "stale"
        secrets = [self._trusted[path]] if path in self._trusted else self.secrets
        if not any(_verifies(secret, headers, body) for secret in secrets):
            return "signature"
        return None

    def _gate(self, path: str) -> asyncio.Event:
        return self._gates.setdefault(path, asyncio.Event())

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._done = asyncio.Event()
        app = web.Application(client_max_size=20_000_000)
        app.router.add_route("*", "/{tail:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = runner.addresses[0][1]
        self._ready.set()
        await self._done.wait()
        await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        self.in_flight[path] = self.in_flight.get(path, 0) + 1
        self.most_in_flight[path] = max(self.most_in_flight.get(path, 0), self.in_flight[path])
        try:
            return await self._answer(request, path)
        finally:
            self.in_flight[path] -= 1

    async def _answer(self, request: web.Request, path: str) -> web.StreamResponse:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        problem = self.problem_with(headers, body, path=path)
        script = self._scripts.get(path) or [Answer()]
        answer = script.pop(0) if len(script) > 1 else script[0]
        self.on_request(path)
        status = answer.status if problem is None else 400
        self.received.append(Received(path, headers, body, status, problem))
        if problem is not None:
            return web.Response(status=400, text=problem)
        if answer.hang:
            await asyncio.sleep(3600)
        if answer.hold:
            await self._gate(path).wait()
        if answer.reset or answer.raw:
            transport = request.transport
            assert transport is not None
            transport.write(answer.raw)
            if answer.raw:
                transport.close()
            else:
                transport.abort()
        if answer.drip:
            response = web.StreamResponse(status=status, headers=answer.headers)
            await response.prepare(request)
            while True:
                await response.write(b".")
                await asyncio.sleep(0.02)
        return web.Response(status=status, headers=answer.headers, body=answer.body)


def _verifies(secret: str, headers: dict[str, str], body: bytes) -> bool:
    plain = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    # During a rotation the plain header is made with the newest secret alone.
    is_rotating = len(headers.get("webhook-signature", "").split()) > 1
    if not is_rotating and not hmac.compare_digest(plain, headers.get("x-webhook-signature", "")):
        return False
    try:
        webhook = Webhook(secret)
        expected = webhook.sign(
            headers["webhook-id"],
            datetime.fromtimestamp(int(headers["webhook-timestamp"]), tz=utc_now().tzinfo),
            body.decode(),
        )
    except (WebhookVerificationError, KeyError, ValueError):
        return False
    return expected in headers["webhook-signature"].split(" ")
