"""Request bodies as they come in on a loop: each has a deadline, and all together an end.

Comes in: a request whose head is there. Comes out: its whole raw body, or why there is none. Nothing is left behind.
"""

import asyncio
from typing import Any, Protocol

from shared.inbox import LARGE_BYTES
from shared.providers.contract import Headers, Refusal
from web import wsgi

HELD_BYTES = 64_000_000  # of large bodies a process holds at once, read in part or whole

SLOW = Refusal("body_slow", "The body came too slowly.", 408)
BUSY = Refusal("ingress_busy", "Too many large bodies are coming in at once.", 503)


class Incoming(Protocol):
    """What a body is read from. Source: RSGI 1.5, the HTTP protocol, in granian's docs/spec/RSGI.md."""

    async def __call__(self) -> bytes:
        """The body, whole."""

    def __aiter__(self) -> Any:
        """The body in parts."""


class Bodies:
    """Reads bodies; on one loop, so it needs no lock."""

    def __init__(self, most_bytes: int, *, seconds: float, held_bytes: int = HELD_BYTES) -> None:
        self._most = most_bytes
        self._seconds = seconds
        self._most_held = max(held_bytes, 2 * most_bytes)
        self.held = 0  # bytes of large bodies, which small ones' number bounds too

    async def read(self, incoming: Incoming, headers: Headers) -> bytes | Refusal:
        """The raw body; one that says it is too large is not read. What is large is held until `let_go`."""
        length = wsgi.declared_length(headers.get("content-length"), self._most)
        if isinstance(length, Refusal):
            return length
        if not length and "transfer-encoding" not in headers:
            return b""
        try:
            async with asyncio.timeout(self._seconds):
                if length is not None and length <= LARGE_BYTES:
                    body = await incoming()
                    return body if len(body) == length else wsgi.INCOMPLETE
                return await self._in_parts(incoming, length)
        except TimeoutError:
            return SLOW
        except RuntimeError:  # the connection has ended
            return wsgi.INCOMPLETE

    def let_go(self, body: bytes | Refusal) -> None:
        """Forget a body that was read."""
        if not isinstance(body, Refusal) and len(body) > LARGE_BYTES:
            self.held -= len(body)

    async def _in_parts(self, incoming: Incoming, length: int | None) -> bytes | Refusal:
        parts: list[bytes] = []
        size, is_kept = 0, False
        try:
            async for part in incoming:
                size += len(part)
                self.held += len(part)
                if size > self._most:
                    return wsgi.too_large(self._most)
                if self.held > self._most_held:
                    return BUSY
                parts.append(part)
            if length is not None and size != length:
                return wsgi.INCOMPLETE
            is_kept = size > LARGE_BYTES
            return b"".join(parts)
        finally:
            if not is_kept:
                self.held -= size
