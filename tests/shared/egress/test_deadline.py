"""An upstream call ends by its deadline, wherever the other side dawdles: against servers that really drip."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from shared.egress import networks_of, urls
from shared.egress.calls import Reply, call

LOOPBACK = networks_of(["127.0.0.0/8"])
DRIP_SECONDS = 0.005
ENDLESS = 20_000  # bytes, which would take more than a minute


class Dripping:
    """A server that reads a request, or does not, and sends its reply a byte at a time."""

    def __init__(self, reply: bytes, *, at_once: int = 0, reads: bool = True) -> None:
        self.reply, self.at_once, self.reads = reply, at_once, reads
        self.sent = 0
        self.gone = threading.Event()
        self.stop = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            if not self.reads:
                self.stop.wait(30)
                return
            connection.recv(65_536)
            try:
                connection.sendall(self.reply[: self.at_once])
                for byte in self.reply[self.at_once :]:
                    if self.stop.wait(DRIP_SECONDS):
                        return
                    connection.sendall(bytes([byte]))
                    self.sent += 1
            except OSError:
                self.gone.set()

    def close(self) -> None:
        self.stop.set()
        self._listener.close()
        self._thread.join(5)


@contextmanager
def dripping(reply: bytes, **more: Any) -> Iterator[Dripping]:
    server = Dripping(reply, **more)
    try:
        yield server
    finally:
        server.close()


def ask(server: Dripping, *, seconds: float, scheme: str = "http", **more: Any) -> Reply:
    return call(
        "POST",
        f"{scheme}://127.0.0.1:{server.port}/",
        what="test",
        timeout_seconds=seconds,
        allow_http=True,
        networks=LOOPBACK,
        **more,
    )


HEAD = b"HTTP/1.1 200 OK\r\n"
LONG_BODY = HEAD + b"Content-Length: 20000\r\n\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("reply", "at_once"),
    [
        (b"HTTP/1.1 200 " + b"O" * ENDLESS, 0),
        (HEAD + b"X-Slow: " + b"x" * ENDLESS, len(HEAD)),
        (HEAD + b"X: y\r\n" * ENDLESS, len(HEAD)),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * ENDLESS, 0),
        (LONG_BODY + b"x" * ENDLESS, len(LONG_BODY)),
        (CHUNKED + b"1\r\nx\r\n" * ENDLESS, len(CHUNKED)),
        (CHUNKED + b"0" * ENDLESS, len(CHUNKED)),
    ],
    ids=["status line", "one header", "headers", "interim replies", "body", "chunks", "size of a chunk"],
)
def test_whatever_drips_the_call_ends_by_its_deadline(reply: bytes, at_once: int):
    with dripping(reply, at_once=at_once) as server:
        with pytest.raises(requests.Timeout):
            ask(server, seconds=0.15, body=b"{}")
        assert server.gone.wait(10), "the connection was closed"
        assert server.sent < 1_000


def test_a_reply_that_drips_but_is_whole_in_time_is_a_reply():
    whole = HEAD + b"Content-Length: 2\r\n\r\nok"
    with dripping(whole) as server:
        assert ask(server, seconds=10.0, body=b"{}").body == b"ok"


def test_a_request_that_nobody_reads_ends_by_its_deadline():
    with dripping(b"", reads=False) as server, pytest.raises(requests.Timeout):
        ask(server, seconds=0.15, body=b"x" * 20_000_000)


def test_a_handshake_that_nobody_answers_ends_by_its_deadline():
    with dripping(b"", reads=False) as server, pytest.raises(requests.Timeout):
        ask(server, seconds=0.15, scheme="https")


def test_a_name_server_that_does_not_answer_ends_by_the_deadline(monkeypatch: pytest.MonkeyPatch):
    hung = threading.Event()

    def never(*_: Any, **__: Any) -> list[Any]:
        hung.wait(30)
        return []

    monkeypatch.setattr(urls.socket, "getaddrinfo", never)
    with pytest.raises(requests.Timeout):
        call("GET", "https://slow.example/", what="test", timeout_seconds=0.1)
    hung.set()


def test_addresses_that_do_not_answer_share_one_deadline(monkeypatch: pytest.MonkeyPatch):
    tried: list[float] = []

    def connect(address: tuple[str, int], timeout: float, **_: Any) -> socket.socket:
        tried.append(timeout)
        threading.Event().wait(timeout)
        raise TimeoutError

    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"93.184.215.{last}", 443)) for last in range(10)]
    monkeypatch.setattr(urls.socket, "getaddrinfo", lambda *_, **__: found)
    monkeypatch.setattr("shared.egress.calls.sockets.create_connection", connect)
    with pytest.raises(requests.Timeout):
        call("GET", "https://many.example/", what="test", timeout_seconds=0.1)
    assert len(tried) == 1


def test_what_fails_at_once_is_no_timeout(free: Callable[[], int]):
    with pytest.raises(requests.ConnectionError):
        call("GET", f"http://127.0.0.1:{free()}/", what="test", allow_http=True, networks=LOOPBACK)


@pytest.fixture
def free() -> Callable[[], int]:
    def port() -> int:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            return int(one.getsockname()[1])

    return port
