"""Both ways out against real sockets: the address that is vetted is the one that is connected to."""

import asyncio
import datetime as dt
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from shared.destinations.contract import Answer, Outgoing
from shared.egress import connections, networks_of, urls
from shared.egress.calls import call
from shared.egress.sessions import Session
from shared.errors import EgressRefused
from tests.shared.egress.loops import MovedLoop, StandingLoop

LOOPBACK = networks_of(["127.0.0.0/8"])


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.hosts.append(self.headers["Host"])  # type: ignore[attr-defined]
        body = b"x" * self.server.size  # type: ignore[attr-defined]
        self.send_response(self.server.status)  # type: ignore[attr-defined]
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Location", "http://169.254.169.254/")
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST  # noqa: N815  # the name is the base class's

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Any]:
    made: Any = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.hosts, made.size, made.status = [], 2, 200
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Answer name look-ups one after the other, the last for ever; the names that were asked for."""
    asked: list[str] = []
    left = list(answers)

    def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        found = left.pop(0) if len(left) > 1 else left[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(urls.socket, "getaddrinfo", getaddrinfo)
    return asked


def send(url: str, *, networks: Any = LOOPBACK, times: int = 1, timeout_seconds: float = 5.0) -> Answer:
    async def run() -> Answer:
        session = Session(networks=networks, allow_http=True)
        try:
            for _ in range(times):
                answer = await session.send(Outgoing("POST", url, (), b"{}"), timeout_seconds=timeout_seconds)
            return answer
        finally:
            await session.close()

    return asyncio.run(run())


def test_a_delivery_keeps_the_host_of_its_url_and_connects_to_the_vetted_address(
    server: Any, monkeypatch: pytest.MonkeyPatch
):
    asked = resolving(monkeypatch, ["127.0.0.1"])
    url = f"http://crm.example:{server.server_port}/hook"

    assert send(url, times=3).status == 200

    assert server.hosts == [f"crm.example:{server.server_port}"] * 3
    assert asked == ["crm.example"], "one look-up, kept for a while"


def test_a_name_server_that_no_longer_answers_does_not_stop_who_was_reached_before(
    server: Any, monkeypatch: pytest.MonkeyPatch
):
    asked, silent, over = resolving(monkeypatch, ["127.0.0.1"]), threading.Event(), threading.Event()
    answering = urls.socket.getaddrinfo

    def getaddrinfo(*about: Any, **more: Any) -> Any:
        if silent.is_set():
            over.wait()
        return answering(*about, **more)

    monkeypatch.setattr(urls.socket, "getaddrinfo", getaddrinfo)
    url = f"http://crm.example:{server.server_port}/"

    async def story(loop: MovedLoop) -> None:
        session = Session(networks=LOOPBACK, allow_http=True)

        async def status() -> int | str | None:
            answer = await session.send(Outgoing("POST", url, (), b"{}"), timeout_seconds=30)
            return answer.status or answer.error_code

        assert await status() == 200
        silent.set()
        loop.ahead += connections.VETTED_SECONDS + 1
        assert [await status() for _ in range(3)] == [200] * 3
        loop.ahead += connections.STALE_SECONDS
        waiting = asyncio.ensure_future(status())
        await _turns()
        assert not waiting.done(), "for ever it is not believed"
        over.set()
        assert await waiting == 200
        await session.close()

    with asyncio.Runner(loop_factory=MovedLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, MovedLoop)
        runner.run(story(loop))
    assert asked == ["crm.example"] * 2, "once at a time"


def test_k13_one_bad_address_among_good_ones_refuses_the_host(server: Any, monkeypatch: pytest.MonkeyPatch):
    resolving(monkeypatch, ["127.0.0.1", "169.254.169.254"])

    answer = send(f"http://rebind.example:{server.server_port}/")

    assert (answer.status, answer.error_code) == (None, "address_refused")
    assert "169.254.169.254" in (answer.error or "")
    assert server.hosts == []


def test_k13_a_name_that_turns_private_after_it_was_vetted_is_not_reached(server: Any, monkeypatch: pytest.MonkeyPatch):
    """The first look-up is the check when the URL is set; the second is the delivery's own."""
    resolving(monkeypatch, ["93.184.215.14"], ["127.0.0.1"])
    url = f"http://rebind.example:{server.server_port}/"
    urls.check_url(url, allow_http=True, networks=[])

    assert send(url, networks=()).error_code == "address_refused"
    assert server.hosts == []


def test_k13_what_is_connected_to_is_vetted_even_if_resolving_was_fooled(server: Any, monkeypatch: pytest.MonkeyPatch):
    resolving(monkeypatch, ["127.0.0.1"])
    passed: list[str] = []
    original = connections.vet

    def vet_but_not_when_resolving(host: str, addresses: list[str], networks: Any) -> None:
        passed.append(host)
        if host != "rebind.example":
            original(host, addresses, networks)

    monkeypatch.setattr(connections, "vet", vet_but_not_when_resolving)

    assert send(f"http://rebind.example:{server.server_port}/", networks=()).error_code == "address_refused"
    assert passed == ["rebind.example", "127.0.0.1"]
    assert server.hosts == []


def test_a_literal_address_is_vetted_too(server: Any):
    assert send(f"http://127.0.0.1:{server.server_port}/", networks=()).error_code == "address_refused"
    assert send(f"http://[::ffff:127.0.0.1]:{server.server_port}/", networks=()).error_code == "address_refused"
    assert server.hosts == []


def test_proxies_of_the_environment_are_not_used(server: Any, monkeypatch: pytest.MonkeyPatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    url = f"http://127.0.0.1:{server.server_port}/"
    assert send(url).status == 200
    assert call("GET", url, what="test", allow_http=True, networks=LOOPBACK).status == 200


def test_nobody_listening_is_a_failed_connection():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert send(f"http://127.0.0.1:{port}/").error_code == "connection_failed"


async def _turns(count: int = 100) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("head", "status", "code"),
    [
        pytest.param(b"", None, "timeout", id="no_answer"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n.", 200, None, id="a_body_that_does_not_end"),
    ],
)
def test_k14_a_receiver_gets_its_timeout_and_not_a_moment_more(head: bytes, status: int | None, code: str | None):
    async def story(loop: StandingLoop) -> None:
        arrived, over = asyncio.Event(), asyncio.Event()

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"{}")
            writer.write(head)
            arrived.set()
            await over.wait()
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        session = Session(networks=LOOPBACK, allow_http=True)
        sending = asyncio.ensure_future(session.send(Outgoing("POST", url, (), b"{}"), timeout_seconds=1.5))
        await arrived.wait()
        await _turns()
        loop.now += 1.499
        await _turns()
        assert not sending.done()
        loop.now += 0.002
        await _turns()
        assert sending.done()
        assert (sending.result().status, sending.result().error_code) == (status, code)
        await session.close()
        over.set()
        server.close()
        await _turns()

    with asyncio.Runner(loop_factory=StandingLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, StandingLoop)
        runner.run(story(loop))


def test_what_is_not_http_is_a_malformed_reply():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def speak() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(b"220 mail.example ESMTP\r\n\r\n")

        thread = threading.Thread(target=speak)
        thread.start()
        answer = send(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        thread.join(5)
    assert (answer.status, answer.error_code) == (None, "reply_malformed")


def test_a_certificate_nobody_vouches_for_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "crm.example")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "server.pem"
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    made: Any = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.hosts, made.size, made.status = [], 2, 200
    made.handle_error = lambda *_: None
    made.socket = context.wrap_socket(made.socket, server_side=True)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    url = f"https://127.0.0.1:{made.server_port}/"
    try:
        assert send(url).error_code == "tls_failed"
        with pytest.raises(requests.exceptions.SSLError):
            call("GET", url, what="test", networks=LOOPBACK)
        trusting = ssl.create_default_context(cafile=str(pem))
        monkeypatch.setattr(connections.ssl, "create_default_context", lambda: trusting)
        assert send(url).status == 200, "and succeeds when somebody does"
    finally:
        made.shutdown()
        made.server_close()


def test_an_upstream_call_is_pinned_and_bounded(server: Any, monkeypatch: pytest.MonkeyPatch):
    resolving(monkeypatch, ["127.0.0.1"])
    url = f"http://api.example:{server.server_port}/"

    reply = call("POST", url, body=b"{}", what="test", allow_http=True, networks=LOOPBACK)
    assert (reply.status, reply.body, server.hosts) == (200, b"xx", [f"api.example:{server.server_port}"])

    with pytest.raises(EgressRefused, match=r"127\.0\.0\.1"):
        call("GET", url, what="test", allow_http=True)
    with pytest.raises(EgressRefused):
        call("GET", "http://api.example/", what="test", networks=LOOPBACK)
    server.size = 100_001
    with pytest.raises(requests.ConnectionError, match="longer than"):
        call("GET", url, what="test", allow_http=True, networks=LOOPBACK, max_bytes=100_000)
    server.status = 302
    server.size = 0
    assert call("GET", url, what="test", allow_http=True, networks=LOOPBACK).status == 302
    assert len(server.hosts) == 3


def test_every_upstream_call_leaves_a_line_that_says_neither_its_query_nor_its_headers(server: Any):
    url = f"http://127.0.0.1:{server.server_port}/?token=secret"
    with structlog.testing.capture_logs() as logged:
        call("GET", url, what="test.read", headers={"Authorization": "secret"}, allow_http=True, networks=LOOPBACK)
        with pytest.raises(EgressRefused):
            call("GET", url, what="test.read", allow_http=True)
    told = [(line["event"], line["what"], line["status"], line["error_code"]) for line in logged]
    assert told == [
        ("upstream.called", "test.read", 200, None),
        ("upstream.called", "test.read", None, "address_refused"),
    ]
    assert "secret" not in repr(logged)
