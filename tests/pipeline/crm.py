"""A CRM as the stories need one: it verifies what it is sent, keeps it, and behaves as badly as it is told to.

It speaks HTTP by hand on a loop of its own, since half of what it must do no HTTP server lets one do.
"""

import asyncio
import contextlib
import hmac
import threading
from collections import deque
from dataclasses import dataclass
from typing import Self

from standardwebhooks import Webhook, WebhookVerificationError

HUGE_BYTES = 1_000_000
DRIP_SECONDS = 0.05
OK, BAD_REQUEST = 200, 400

# A status, raw bytes to answer with, or one of `hold` (no answer until released, then 200), `drip` (a reply without
# end, byte by byte), `huge` (a megabyte), `close` (hangs up).
Behaviour = int | bytes | str


@dataclass(frozen=True)
class Receipt:
    """One request that came, whole."""

    path: str
    webhook_id: str
    headers: dict[str, str]  # names in lower case
    body: bytes
    answer: Behaviour


class Crm:
    """A receiver on a port of its own; use as a context manager."""

    def __init__(self) -> None:
        self._receipts: list[Receipt] = []
        self._scripts: dict[str, deque[Behaviour]] = {}
        self._secrets: dict[str, str] = {}
        self._released: dict[str, asyncio.Event] = {}
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="crm", daemon=True)
        self._port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._serve, "127.0.0.1", 0), self._loop
        ).result()
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # What a story tells it

    def url(self, path: str) -> str:
        """Where it receives."""
        return f"http://127.0.0.1:{self._port}{path}"

    def trust(self, path: str, secret: str) -> None:
        """Answer 400 to whatever is posted to `path` and not signed with `secret`, in both ways."""
        self._secrets[path] = secret

    def script(self, path: str, *behaviours: Behaviour) -> None:
        """How to answer one request after the other; the last stays. Without a script all are answered 200."""
        with self._lock:
            self._scripts[path] = deque(behaviours)

    def release(self, path: str) -> None:
        """Let go of the requests to `path` that are held, and of those to come."""
        self._loop.call_soon_threadsafe(self._gate(path).set)

    @staticmethod
    def redirect(status: int, location: str) -> bytes:
        """A redirect."""
        return f"HTTP/1.1 {status} Elsewhere\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()

    @staticmethod
    def busy(*, retry_after: str) -> bytes:
        """A 429."""
        return f"HTTP/1.1 429 Busy\r\nRetry-After: {retry_after}\r\nContent-Length: 0\r\n\r\n".encode()

    # What it saw

    def receipts(self, path: str) -> list[Receipt]:
        """What came to `path`, in its order."""
        with self._lock:
            return [receipt for receipt in self._receipts if receipt.path == path]

    def accepted_ids(self, path: str) -> list[str]:
        """The webhook-ids that were answered 200, one for each time."""
        return [receipt.webhook_id for receipt in self.receipts(path) if receipt.answer in (OK, "hold")]

    def refused(self) -> list[Receipt]:
        """What was not signed as it should be."""
        with self._lock:
            return [receipt for receipt in self._receipts if receipt.answer == BAD_REQUEST]

    # The server

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Cancelled is how `_end` ends it; let through, it would be logged as a failure of the server.
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while head := await self._head(reader):
                path, headers = head
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                behaviour = self._take(path, headers, body)
                if not await self._answer(writer, path, behaviour):
                    break
        writer.close()

    async def _head(self, reader: asyncio.StreamReader) -> tuple[str, dict[str, str]] | None:
        line = await reader.readline()
        if not line:
            return None
        headers = {}
        while (field := (await reader.readline()).decode("latin-1").strip()) != "":
            name, _, value = field.partition(":")
            headers[name.lower()] = value.strip()
        return line.decode("latin-1").split()[1], headers

    def _take(self, path: str, headers: dict[str, str], body: bytes) -> Behaviour:
        with self._lock:
            if path in self._secrets and not _is_signed(self._secrets[path], headers, body):
                behaviour: Behaviour = BAD_REQUEST
            else:
                script = self._scripts.get(path) or deque([OK])
                behaviour = script.popleft() if len(script) > 1 else script[0]
            self._receipts.append(Receipt(path, headers.get("webhook-id", ""), headers, body, behaviour))
        return behaviour

    async def _answer(self, writer: asyncio.StreamWriter, path: str, behaviour: Behaviour) -> bool:
        """Write the answer; whether the connection can be used on."""
        if behaviour == "close":
            return False
        if behaviour == "hold":
            await self._gate(path).wait()
            behaviour = OK
        if behaviour == "drip":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            while not writer.is_closing():
                writer.write(b".")
                await writer.drain()
                await asyncio.sleep(DRIP_SECONDS)
            return False
        if behaviour == "huge":
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {HUGE_BYTES}\r\n\r\n".encode() + b"x" * HUGE_BYTES)
        elif isinstance(behaviour, bytes):
            writer.write(behaviour)
        else:
            length = "" if behaviour == 204 else "Content-Length: 2\r\n"  # a 204 has no body
            writer.write(f"HTTP/1.1 {behaviour} -\r\n{length}\r\n".encode() + (b"ok" if length else b""))
        await writer.drain()
        return True

    def _gate(self, path: str) -> asyncio.Event:
        return self._released.setdefault(path, asyncio.Event())

    async def _end(self) -> None:
        self._server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _is_signed(secret: str, headers: dict[str, str], body: bytes) -> bool:
    try:
        Webhook(secret).verify(body, headers)
    except (WebhookVerificationError, ValueError):  # the library unpacks a malformed header without a look
        return False
    expected = hmac.new(secret.encode(), body, "sha256").hexdigest()
    return hmac.compare_digest(expected.encode(), headers.get("x-webhook-signature", "").encode())
