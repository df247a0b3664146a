"""One connection's HTTP/1.1: whatever the pieces a reply comes in, and when a connection carries no second request."""

import asyncio
import http.client
import io
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from shared.destinations.contract import Answer, Outgoing
from shared.egress import connections, networks_of
from shared.egress.connections import KEEP_ALIVE_SECONDS
from shared.egress.sessions import RESPONSE_BYTES, Session
from shared.egress.wire import FRAME_BYTES, HEAD_BYTES, Connection, Reply, ReplyMalformed, request_head
from tests.shared.egress.loops import MovedLoop

LOOPBACK = networks_of(["127.0.0.0/8"])

REPLIES = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "nothing": b"HTTP/1.1 204 No Content\r\n\r\n",
    "chunks": (
        b"HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nRetry-After: 1\r\n\r\n"
    ),
    "interim": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nRetry-After: 9\r\n\r\n"
        b"HTTP/1.1 201 Made\r\nContent-Length: 0\r\n\r\n"
    ),
    "later": b"HTTP/1.1 429 Slow\r\nretry-AFTER: 120\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\nno",
    "old": b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "closing": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
}
KEPT = {"length", "nothing", "chunks", "interim", "later"}


class Line(asyncio.Transport):
    """The other end of a connection: what was written, and whether it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.unsent = 0
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def abort(self) -> None:
        self.closed = True


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(story())


async def exchange(
    *parts: bytes, line: Line | None = None, end: bool = False, most: int = 1000, keep: int = 1000
) -> tuple[Reply, Connection]:
    """What one exchange gives of which the reply comes in `parts`; `end`: then the receiver closes."""
    loop = asyncio.get_running_loop()
    connection = Connection(loop)
    connection.connection_made(line or Line())
    sending = asyncio.ensure_future(connection.exchange(b"request", until=loop.time() + 600, most=most, keep=keep))
    await asyncio.sleep(0)
    for part in parts:
        connection.data_received(part)
    if end:
        connection.connection_lost(None)
    return await sending, connection


class Bytes(io.BytesIO):
    """What http.client takes for a socket."""

    def makefile(self, *_: object) -> io.BytesIO:
        return self

    def close(self) -> None:
        pass


def referee(content: bytes) -> tuple[int, bytes]:
    """What Python's own client makes of a reply; of interim ones it knows only 100."""
    skipped = content[content.rindex(b"HTTP/") :]
    response = http.client.HTTPResponse(Bytes(skipped), method="POST")  # type: ignore[arg-type]
    response.begin()
    return response.status, response.read()


@given(st.sampled_from(sorted(REPLIES)), st.data())
def test_a_reply_is_the_same_in_whatever_pieces_it_comes(name: str, data: st.DataObject):
    whole = REPLIES[name]
    cuts = sorted(data.draw(st.sets(st.integers(1, len(whole) - 1), max_size=8)))
    parts = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]

    async def story() -> None:
        line = Line()
        reply, connection = await exchange(*parts, line=line)
        assert (reply.status, bytes(reply.body)) == referee(whole)
        assert reply.headers == ({"retry-after": "120"} if name == "later" else {})
        assert reply.is_whole
        assert connection.may_be_kept() == (name in KEPT) == (not line.closed)
        assert line.written == b"request"

    run(story)


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        pytest.param([b"220 mail.example ESMTP\r\n"], "", id="not_http"),
        pytest.param([b"HTTP/1.1 200 OK\r\nX: " + b"x" * HEAD_BYTES], "head is longer", id="a_head_without_end"),
        pytest.param([b"HTTP/1.1 100 C\r\n\r\n"] * 4000, "head is longer", id="interim_replies_without_end"),
        pytest.param(
            [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n"], "", id="two_lengths_that_differ"
        ),
        pytest.param(
            [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"], "", id="length_and_chunks"
        ),
        pytest.param([b"HTTP/1.1 200 OK\r\nBad Header: x\r\n\r\n"], "", id="a_space_in_a_header's_name"),
    ],
)
def test_what_is_no_reply_is_malformed_and_the_connection_closed(parts: list[bytes], says: str):
    async def story() -> None:
        line = Line()
        with pytest.raises(ReplyMalformed, match=says or ".."):
            await exchange(*parts, line=line)
        assert line.closed

    run(story)


LONG = b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + b"x" * 1001
UPGRADE = b"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
BAD_CHUNK = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", b"zz\r\n"]


@pytest.mark.parametrize(
    ("parts", "end", "status", "body"),
    [
        pytest.param([b"HTTP/1.1 200 OK\r\n\r\nabc"], True, 200, b"abc", id="a_body_until_the_end"),
        pytest.param([b"HTTP/1.1 500 Oh\r\nContent-Length: 9\r\n\r\nabc"], True, 500, b"abc", id="broken_off"),
        pytest.param(BAD_CHUNK, False, 200, b"abc", id="a_chunk_that_is_none"),
        pytest.param([LONG], False, 200, b"x" * 10, id="huge"),
        pytest.param([UPGRADE], False, 101, b"", id="another_protocol"),
    ],
)
def test_the_status_counts_whatever_becomes_of_the_body(parts: list[bytes], end: bool, status: int, body: bytes):
    async def story() -> None:
        reply, connection = await exchange(*parts, end=end, keep=10)
        assert (reply.status, bytes(reply.body)) == (status, body)
        assert not connection.may_be_kept()

    run(story)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(b"2\r\nok\r\n0\r\nX-Trailer: ", id="a_trailer_without_end"),
        pytest.param(b"2\r\nok\r\n2;extension=", id="an_extension_without_end"),
    ],
)
def test_what_frames_a_body_has_an_end_too(start: bytes):
    async def story() -> None:
        line, loop = Line(), asyncio.get_running_loop()
        connection = Connection(loop)
        connection.connection_made(line)
        sending = asyncio.ensure_future(connection.exchange(b"request", until=loop.time() + 600, most=1000, keep=1000))
        await asyncio.sleep(0)
        connection.data_received(CHUNKED + start)
        read = 0
        while not line.closed:
            connection.data_received(b"a" * 10_000)
            read += 10_000
            await asyncio.sleep(0)
            assert read < 2 * FRAME_BYTES
        reply = await sending
        assert (reply.status, bytes(reply.body)) == (200, b"ok")

    run(story)


@pytest.mark.parametrize("more", [b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad", b"stray", b"\x00"])
def test_more_than_one_reply_to_a_request_taints_the_connection_and_not_the_reply(more: bytes):
    async def story() -> None:
        line = Line()
        reply, _ = await exchange(REPLIES["length"] + more, line=line)
        assert (reply.status, bytes(reply.body)) == (200, b"hello")
        assert line.closed

    run(story)


def test_what_comes_while_nothing_was_asked_closes_the_connection():
    async def story() -> None:
        line = Line()
        _, connection = await exchange(REPLIES["length"], line=line)
        assert connection.may_be_kept()
        connection.data_received(REPLIES["length"])
        assert line.closed
        assert not connection.may_be_kept()
        with pytest.raises(ConnectionError):
            await connection.exchange(b"next", until=0, most=1, keep=1)

    run(story)


def test_a_reply_before_the_request_was_all_sent_closes_the_connection():
    async def story() -> None:
        line = Line()
        line.unsent = 1
        reply, connection = await exchange(REPLIES["length"], line=line)
        assert reply.status == 200
        assert not connection.may_be_kept()

    run(story)


@pytest.mark.parametrize("reply", [b"", REPLIES["length"]], ids=["before_the_reply", "with_the_reply"])
def test_an_exchange_that_is_cancelled_closes_the_connection(reply: bytes):
    async def story() -> None:
        line, loop = Line(), asyncio.get_running_loop()
        connection = Connection(loop)
        connection.connection_made(line)
        sending = asyncio.ensure_future(connection.exchange(b"request", until=loop.time() + 600, most=1, keep=1))
        await asyncio.sleep(0)
        connection.data_received(reply)
        sending.cancel()
        await asyncio.wait([sending])
        assert sending.cancelled()
        assert line.closed

    run(story)


@pytest.mark.parametrize("character", ["\r", "\n", "\x00"])
@pytest.mark.parametrize("place", ["path", "name", "value"])
def test_no_header_can_end_the_head(place: str, character: str):
    text = f"a{character}b"
    with pytest.raises(ValueError, match="line break"):
        request_head(
            "POST",
            f"/{text}" if place == "path" else "/",
            "crm.example",
            [(text if place == "name" else "X", text if place == "value" else "y")],
            0,
        )


def test_a_header_with_a_line_break_is_an_answer_of_our_own():
    async def story() -> None:
        session = Session(networks=LOOPBACK, allow_http=True)
        answer = await session.send(
            Outgoing("POST", "http://127.0.0.1:9999/", (("X", "a\r\nb"),), b""), timeout_seconds=5
        )
        assert (answer.status, answer.error_code) == (None, "request_unbuildable")
        await session.close()

    run(story)


# Over real connections, a well-kept server being the referee


class Crm:
    """A receiver: what it was sent, by connection, and what it answers."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.peers: list[Any] = []
        self.answer: Callable[[], web.StreamResponse] = lambda: web.Response(text="ok")

    async def take(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.seen.append((request.method, request.raw_path, dict(request.headers), body))
        assert request.transport is not None
        self.peers.append(request.transport.get_extra_info("peername"))
        return self.answer()


def with_crm(story: Callable[[Crm, Session, str, MovedLoop], Awaitable[None]]) -> None:
    async def whole() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, MovedLoop)
        crm = Crm()
        app = web.Application(client_max_size=10_000_000)
        app.router.add_route("*", "/{path:.*}", crm.take)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        session = Session(networks=LOOPBACK, allow_http=True)
        try:
            await story(crm, session, f"http://127.0.0.1:{runner.addresses[0][1]}", loop)
        finally:
            await session.close()
            await runner.cleanup()

    with asyncio.Runner(loop_factory=MovedLoop) as runner:
        runner.run(whole())


async def post(session: Session, url: str, body: bytes = b"{}") -> Answer:
    return await session.send(
        Outgoing("POST", url, (("Content-Type", "application/json"), ("X-One", "Ü")), body), timeout_seconds=60
    )


@pytest.mark.parametrize("size", [0, 2, 3_000_000])
def test_a_server_reads_what_was_meant(size: int):
    async def story(crm: Crm, session: Session, url: str, _: MovedLoop) -> None:
        body = b"x" * size
        assert (await post(session, f"{url}/hook/ä?q=a%20b&c=d#part", body)).status == 200
        [(method, path, headers, came)] = crm.seen
        assert (method, path) == ("POST", "/hook/%C3%A4?q=a%20b&c=d")
        assert came == body
        assert headers == {
            "Host": url.removeprefix("http://"),
            "Content-Type": "application/json",
            "X-One": "Ü",
            "Accept-Encoding": "identity",
            "Content-Length": str(size),
        }

    with_crm(story)


def test_a_connection_is_kept_for_a_while_and_not_longer():
    async def story(crm: Crm, session: Session, url: str, loop: MovedLoop) -> None:
        for _ in range(3):
            assert (await post(session, f"{url}/a")).status == 200
        assert len(set(crm.peers)) == 1, "one after the other they share one"

        loop.ahead += KEEP_ALIVE_SECONDS + 0.1
        assert (await post(session, f"{url}/a")).status == 200
        assert len(set(crm.peers)) == 2, "one that was idle for long may be closing at the other end"

        crm.answer = lambda: web.Response(text="ok", headers={"Connection": "close"})
        for _ in range(2):
            assert (await post(session, f"{url}/b")).status == 200
        assert len(set(crm.peers)) == 3

    with_crm(story)


def test_no_more_connections_are_kept_idle_than_a_process_has_files_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connections, "IDLE_MOST", 5)

    async def story(crm: Crm, session: Session, url: str, _: MovedLoop) -> None:
        await asyncio.gather(*[post(session, f"{url}/{number}") for number in range(20)])
        await asyncio.gather(*[post(session, f"{url}/{number}") for number in range(20)])
        assert len(set(crm.peers)) == 20 + 15, "five of them were kept"

    with_crm(story)


def test_requests_at_once_have_a_connection_each():
    async def story(crm: Crm, session: Session, url: str, _: MovedLoop) -> None:
        answers = await asyncio.gather(*[post(session, f"{url}/{number}") for number in range(20)])
        assert [answer.status for answer in answers] == [200] * 20
        assert len(set(crm.peers)) == 20

    with_crm(story)


def test_a_huge_reply_is_cut_and_its_connection_closed():
    async def story(crm: Crm, session: Session, url: str, _: MovedLoop) -> None:
        crm.answer = lambda: web.Response(body=b"y" * 50 * RESPONSE_BYTES, status=500)
        answer = await post(session, f"{url}/a")
        assert (answer.status, len(answer.excerpt)) == (500, 2048)
        crm.answer = lambda: web.Response(body=b"y" * RESPONSE_BYTES)
        assert (await post(session, f"{url}/a")).status == 200
        assert (await post(session, f"{url}/a")).status == 200
        assert len(set(crm.peers)) == 2, "one of the size that is read is no reason to close"

    with_crm(story)
