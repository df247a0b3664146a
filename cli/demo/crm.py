"""The demo's CRM: a receiver that believes nothing. It checks both signatures of every request as a CRM would.

Comes in: deliveries. Left behind: an account of what was received, in memory, for the reckoning. It is part of the
demo's process and ends with it.
"""

import asyncio
import hashlib
import hmac
from collections import Counter
from dataclasses import dataclass, field

from aiohttp import web
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from cli.ports import is_free

SLOW_SECONDS = 0.25
FAILS_EVERY = 10


@dataclass
class Desk:
    """What one subscription's receiver does and has seen."""

    name: str
    fails_every: int = 0  # every n-th first attempt is answered 500
    seconds: float = 0.0  # how long it takes to answer
    dead: bool = False  # every attempt is answered 500
    secret: str = ""
    requests: int = 0
    first_attempts: int = 0
    accepted: Counter[str] = field(default_factory=Counter)  # webhook-id -> how often it was verified and taken
    refused: list[str] = field(default_factory=list)  # why a request was not believed
    digests: dict[str, str] = field(default_factory=dict)  # webhook-id -> of the body; the same on every attempt

    def complaint(self, headers: dict[str, str], body: bytes) -> str | None:
        """Why a request is not to be believed; `None` when both signatures hold and the body is as before."""
        try:
            Webhook(self.secret).verify(body, headers)
        except WebhookVerificationError as error:
            return f"Standard Webhooks: {error}"
        expected = hmac.new(self.secret.encode(), body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected, headers.get("x-webhook-signature", "")):
            return "X-Webhook-Signature does not match"
        if headers.get("content-type") != "application/json":
            return "not application/json"
        digest = hashlib.sha256(body).hexdigest()
        if self.digests.setdefault(headers["webhook-id"], digest) != digest:
            return "the body differs from that of an earlier attempt"
        return None


class Crm:
    """The receiver of several subscriptions, each at its own path."""

    def __init__(self, desks: list[Desk]) -> None:
        self.desks = {desk.name: desk for desk in desks}
        self.port = 0
        app = web.Application()
        app.router.add_post("/{name}", self._receive)
        self._runner = web.AppRunner(app, access_log=None)

    async def start(self) -> None:
        """Listen on a free port of the loopback."""
        await self._runner.setup()
        self.port = next(port for port in range(9100, 9300) if is_free("127.0.0.1", port))
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def stop(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    def url(self, name: str) -> str:
        """Where a subscription's deliveries go."""
        return f"http://127.0.0.1:{self.port}/{name}"

    async def _receive(self, request: web.Request) -> web.Response:
        desk = self.desks[request.match_info["name"]]
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        desk.requests += 1
        if (why := desk.complaint(headers, body)) is not None:
            desk.refused.append(why)
            return web.json_response({"error": why}, status=401)
        if desk.seconds:
            await asyncio.sleep(desk.seconds)
        if headers.get("x-webhook-attempt") == "1":
            desk.first_attempts += 1
            if desk.fails_every and desk.first_attempts % desk.fails_every == 0:
                return web.json_response({"error": "this one fails on purpose"}, status=500)
        if desk.dead:
            return web.json_response({"error": "out of order"}, status=500)
        desk.accepted[headers["webhook-id"]] += 1
        return web.json_response({"received": True})
