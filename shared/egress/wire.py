"""One connection that speaks HTTP/1.1 to a receiver: a request goes out, a reply of bounded size comes in.

Comes in: the bytes of a request, and a moment by which it must be over. Comes out: a `Reply`; its status once that is
there, whatever becomes of its body. Left behind: a connection that may carry the next request, or one that is closed.
A process that dies in the middle has perhaps been heard.

Reading what is on the wire is llhttp's work, strictly. A general client does far more with every request than a
delivery needs (cookies, redirects, proxies, forms), and that was half of what a delivery cost.
"""

import asyncio
from collections.abc import Iterable
from typing import cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

HEAD_BYTES = 65_536  # of a reply's status line and headers, interim replies included
# Of all that is read of one reply beside its body: its head, and what frames a body in chunks. Neither a chunk's
# extensions nor the trailers behind the last have an end of their own.
FRAME_BYTES = 2 * HEAD_BYTES
SWITCHING, OK = 101, 200
_KEPT_HEADERS = frozenset({b"retry-after"})


class ReplyMalformed(Exception):
    """What came is no HTTP, or more of it than anybody needs to say."""


class Reply:
    """What has come of one exchange so far."""

    __slots__ = ("_keep", "_most", "body", "count", "headers", "is_full", "is_whole", "status", "wire_bytes")

    def __init__(self, most: int, keep: int) -> None:
        self.status: int | None = None
        self.headers: dict[str, str] = {}  # lower-case names; only those that somebody acts on
        self.body = bytearray()  # its first `keep` bytes
        self.count = 0
        self.is_whole = False
        self.is_full = False  # longer than `most` bytes: the rest is not read
        self.wire_bytes = 0  # read of it in all
        self._most = most
        self._keep = keep

    def add(self, data: bytes) -> None:
        """Take a part of the body."""
        self.count += len(data)
        room = self._keep - len(self.body)
        if room > 0:
            self.body += data[:room]
        self.is_full = self.count > self._most

    @property
    def is_endless(self) -> bool:
        """Whether more was read of it than any reply needs whose body is not too long."""
        return self.wire_bytes - self.count > FRAME_BYTES


class Connection(asyncio.Protocol):
    """One exchange at a time; `may_be_kept` says whether there may be another."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._parser = HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._reply: Reply | None = None
        self._over: asyncio.Future[None] | None = None  # of the exchange that is under way
        self._in_head = True
        self._persists = False

    async def exchange(self, request: bytes, *, until: float, most: int, keep: int) -> Reply:
        """The reply to `request`, of whose body `most` bytes are read and `keep` kept; `until` is the loop's time.

        Raises:
            TimeoutError: there was no status by then.
            ReplyMalformed: what came has no status.
            OSError: the connection broke before there was one.
        """
        transport = self._transport
        if transport is None or self._over is not None:
            raise ConnectionResetError("the connection is closed")
        self._reply = reply = Reply(most, keep)
        self._over = over = self._loop.create_future()
        self._in_head, self._persists = True, False
        timer = self._loop.call_at(until, self._expire)
        try:
            transport.write(request)
            await over
        except BaseException:  # cancelled, too: nobody would give it back
            self.close()
            raise
        finally:
            timer.cancel()
            self._reply = self._over = None
        # A receiver that answered before it had read everything would take the rest for the next request.
        if not (reply.is_whole and self._persists) or transport.get_write_buffer_size():
            self.close()
        return reply

    def may_be_kept(self) -> bool:
        """Whether the next request may go this way."""
        return self._transport is not None

    def close(self) -> None:
        """Close it at once; idempotent. What is under way breaks off."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()

    def _expire(self) -> None:
        self._end(TimeoutError("no reply in time"))

    def _end(self, error: Exception | None = None) -> None:
        """The exchange is over. An error no longer matters once there is a status."""
        over, reply = self._over, self._reply
        if over is None or reply is None or over.done():
            return
        if error is None or reply.status is not None:
            over.set_result(None)
        else:
            over.set_exception(error)

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected, and past the handshake."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Closed, by either side."""
        self._transport = None
        self._end(exc or ConnectionResetError("the receiver closed the connection without a reply"))

    def data_received(self, data: bytes) -> None:
        """Some of a reply; or something that nobody asked for, after which nothing here can be trusted."""
        reply = self._reply
        if reply is None:
            self.close()
            return
        reply.wire_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            self._fail("it switches to another protocol")
        except HttpParserError as error:
            self._fail(str(error) or "it is not HTTP")
        else:
            if self._in_head and reply.wire_bytes > HEAD_BYTES:
                self._fail(f"its head is longer than {HEAD_BYTES} bytes")
            elif reply.is_whole or reply.is_full or reply.is_endless:
                self._end()

    def _fail(self, what: str) -> None:
        self._persists = False
        self._end(ReplyMalformed(what))

    # What the parser calls

    def on_message_begin(self) -> None:
        """A second reply to one request: what comes next belongs to nobody."""
        if self._reply is not None and self._reply.is_whole:
            self._persists = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header; what comes behind a body in chunks is none."""
        lower = name.lower()
        if lower in _KEPT_HEADERS and self._in_head and self._reply is not None:
            self._reply.headers.setdefault(lower.decode(), value.decode("latin-1"))

    def on_headers_complete(self) -> None:
        """The status is known; an interim one is passed over."""
        if self._reply is None or self._reply.is_whole:
            return
        status = self._parser.get_status_code()
        if status >= OK or status == SWITCHING:
            self._reply.status = status
            self._in_head = False

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        if self._reply is not None and not self._reply.is_whole:
            self._reply.add(body)

    def on_message_complete(self) -> None:
        """One reply is whole, if it was not an interim one."""
        if self._reply is None or self._reply.is_whole:
            return
        if self._in_head:
            self._reply.headers.clear()
            return
        self._reply.is_whole = True
        self._persists = self._parser.should_keep_alive()


def request_head(method: str, path: str, host: str, headers: Iterable[tuple[str, str]], length: int) -> bytes:
    """The request line and the headers, of a body of `length` bytes.

    Raises:
        ValueError: one of them holds a line break or a NUL, and would be read as something else.
    """
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in headers]
    lines.append(f"Content-Length: {length}")
    head = "\n".join(lines)
    if head.count("\n") != len(lines) - 1 or "\r" in head or "\0" in head:
        raise ValueError("a header holds a line break")
    return head.replace("\n", "\r\n").encode() + b"\r\n\r\n"
