"""The ingress as it runs: granian, worker processes, sockets; Valkey of its own, and no database anywhere."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import orjson
import psutil
import pytest

from cli.embedded import Embedded
from cli.tether import tied
from shared import queues, refusals, valkey
from shared.clock import utc_now
from shared.crypto import KeyRing, new_key
from shared.inbox import Inbox
from shared.providers import samples
from shared.providers.contract import Sample
from shared.providers.registry import PROVIDERS
from tests.waiting import until
from tests.web.sources import SECRET, SHOP, Directory

SHARDS = 1
PATH = "/api/webhooks/shopify"


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Served:
    """One running ingress and the Valkey behind it."""

    def __init__(self, data: Path, **more: str) -> None:
        self.more = more
        self.valkey = Embedded(data)
        data.mkdir(exist_ok=True)
        self.valkey.start_valkey()
        until(self.valkey._valkey_answers)
        self.key = new_key()
        self.queue = valkey.connect(self.valkey.redis_url)
        self.directory = Directory(self.queue, KeyRing([b64decode(self.key)]))
        self.directory.put("shopify")
        self.port = free_port()
        self.start()

    def start(self) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CROSSDOCK_")}
        environment |= {
            "REDIS_URL": self.valkey.redis_url,
            "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing",
            "CROSSDOCK_ENCRYPTION_KEYS": self.key,
            "CROSSDOCK_INGRESS_PORT": str(self.port),
            "CROSSDOCK_INGRESS_WORKERS": "1",
            "CROSSDOCK_INBOX_SHARDS": str(SHARDS),
            "CROSSDOCK_MAX_BODY_BYTES": "100000",
            "HTTP_PROXY": "http://user:secret@proxy.example",
        } | self.more
        self.process = tied(subprocess.Popen([sys.executable, "-m", "web.serve", "ingress"], env=environment))
        until(self.is_up)

    def is_up(self) -> bool:
        try:
            return self.get("/healthz") == 200
        except OSError:
            return False

    def get(self, path: str) -> int:
        with closing(self.connect()) as connection:
            connection.request("GET", path)
            return connection.getresponse().status

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)

    def post(self, given: Sample, *, chunked: bool = False) -> tuple[int, dict[str, object], dict[str, str]]:
        with closing(self.connect()) as connection:
            body = iter([given.body[:7], given.body[7:]]) if chunked else given.body
            connection.request("POST", PATH, body, dict(PROVIDERS["shopify"].sign(given)), encode_chunked=chunked)
            answer = connection.getresponse()
            return answer.status, orjson.loads(answer.read()), {k.lower(): v for k, v in answer.getheaders()}

    def raw(self, head: str, body: bytes, *, ends: bool = False) -> bytes:
        """What comes back for these very bytes; `ends`: nothing more will follow them."""
        with closing(socket.create_connection(("127.0.0.1", self.port), timeout=10)) as raw:
            raw.sendall(head.replace("\n", "\r\n").encode("latin-1") + b"\r\n" + body)
            if ends:
                raw.shutdown(socket.SHUT_WR)
            parts = []
            while part := raw.recv(65536):
                parts.append(part)
            return b"".join(parts)

    def ids(self) -> list[str]:
        return [str(entry.message_id) for entry in Inbox(self.queue, shards=SHARDS).take(0, 1000)]

    def processes(self) -> list[psutil.Process]:
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]

    def stop(self) -> None:
        for process in self.processes() if psutil.pid_exists(self.process.pid) else []:
            process.kill()
        self.process.wait()
        self.queue.close()
        self.valkey.stop()


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Served]:
    """One that the test may kill."""
    running = Served(tmp_path / "data")
    yield running
    running.stop()


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    running = Served(tmp_path_factory.mktemp("lasting") / "data")
    yield running
    running.stop()


@pytest.fixture
def served(lasting: Served) -> Served:
    """One that all share, its inbox, log and sources as at the start."""
    lasting.queue.delete(queues.inbox(0), queues.REFUSALS)
    lasting.directory.put("shopify")
    until(lambda: lasting.post(sample(1))[0] == 200)
    lasting.queue.delete(queues.inbox(0), queues.REFUSALS)
    return lasting


def sample(number: int = 3, **more: object) -> Sample:
    now = utc_now()
    given = {
        "topic": "customers/update",
        "body": samples.make("shopify", "customers/update", number=number, at=now),
        "secret": SECRET,
        "tenant": SHOP,
        "delivery_id": f"delivery-{number}",
        "now": now,
    }
    return Sample(**(given | more))  # type: ignore[arg-type]


def test_k1_what_was_answered_200_is_there_after_a_kill_of_everything(mortal):
    told = [mortal.post(sample(number))[1]["id"] for number in range(20)]
    for process in mortal.processes():
        process.kill()
    os.kill(mortal.valkey.pid("valkey"), signal.SIGKILL)
    mortal.valkey._processes["valkey"].wait()
    mortal.process.wait()
    mortal.valkey.start_valkey()
    until(mortal.valkey._valkey_answers)
    assert mortal.ids() == told
    # The directory is in Valkey too: a new ingress needs nothing else.
    mortal.start()
    assert mortal.post(sample(20))[0] == 200


def test_a_killed_worker_comes_back_unaided(mortal):
    _, *children = mortal.processes()
    for worker in children:
        worker.kill()
    psutil.wait_procs(children, timeout=10)
    until(mortal.is_up)
    assert mortal.post(sample())[0] == 200


def test_workers_end_when_their_server_is_killed(mortal):
    parent, *children = mortal.processes()
    parent.kill()
    mortal.process.wait()
    gone, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []
    assert gone


def test_sigterm_finishes_what_was_accepted(mortal):
    given = sample()
    head = "".join(f"{name}: {value}\n" for name, value in PROVIDERS["shopify"].sign(given))
    with closing(socket.create_connection(("127.0.0.1", mortal.port), timeout=10)) as raw:
        start = f"POST {PATH} HTTP/1.1\nHost: x\nConnection: close\nContent-Length: {len(given.body)}\n{head}\n"
        raw.sendall(start.replace("\n", "\r\n").encode() + given.body[:10])
        # Another request is answered while this one waits for its body: so it is being worked on.
        assert mortal.post(sample(4))[0] == 200
        mortal.process.send_signal(signal.SIGTERM)
        raw.sendall(given.body[10:])
        assert raw.recv(65536).startswith(b"HTTP/1.1 200")
    assert mortal.process.wait(10) == 0
    assert len(mortal.ids()) == 2


def test_an_idle_connection_does_not_hold_up_the_end(mortal):
    with closing(mortal.connect()) as connection:
        connection.request("GET", "/healthz")
        connection.getresponse().read()
        mortal.process.send_signal(signal.SIGTERM)
        assert mortal.process.wait(9) == 0


def test_many_idle_connections_keep_nobody_out(served):
    with ExitStack() as idle:
        for _ in range(300):  # more than there are threads by far; as many as proxies may keep
            connection = idle.enter_context(closing(served.connect()))
            connection.request("GET", "/healthz")
            assert connection.getresponse().read()
        assert served.post(sample())[0] == 200


def test_a_chunked_body_is_taken_in_and_capped(served):
    assert served.post(sample(), chunked=True)[0] == 200
    head = f"POST {PATH} HTTP/1.1\nHost: x\nConnection: close\nTransfer-Encoding: chunked\n"
    chunk = b"%x\r\n%s\r\n" % (100_001, b"x" * 100_001)
    assert b" 413 " in served.raw(head, chunk + b"0\r\n\r\n").split(b"\r\n")[0]
    assert len(served.ids()) == 1


def test_a_body_over_the_cap_is_413_before_it_is_sent(served):
    answer = served.raw(
        f"POST {PATH} HTTP/1.1\nHost: x\nConnection: close\nContent-Length: 100001\n", b"only the start"
    )
    assert answer.startswith(b"HTTP/1.1 413")
    assert b'"code":"body_too_large"' in answer


def signed(given: Sample) -> str:
    return "".join(f"{name}: {value}\n" for name, value in PROVIDERS["shopify"].sign(given))


@pytest.mark.parametrize("extra", ["X-Shopify-Hmac-Sha256: AAAA\n", "x-shopify-hmac-sha256: AAAA\n"])
def test_a_repeated_signature_header_is_refused(served, extra):
    given = sample()
    head = (
        f"POST {PATH} HTTP/1.1\nHost: x\nConnection: close\nContent-Length: {len(given.body)}\n{signed(given)}{extra}"
    )
    answer = served.raw(head, given.body)
    assert answer.startswith(b"HTTP/1.1 401")
    assert b"header_duplicated" in answer


def test_headers_are_kept_as_they_were_spelled(served):
    given = sample()
    head = f"POST {PATH} HTTP/1.1\nHost: x\nConnection: close\nContent-Length: {len(given.body)}\n"
    extra = "X_Date: underscores\nX-Two: first\nX-Two: later\nX-Umlaut: \xfc\n"
    assert served.raw(head + signed(given) + extra, given.body).startswith(b"HTTP/1.1 200")
    [entry] = Inbox(served.queue, shards=SHARDS).take(0, 10)
    headers = entry.request.headers
    assert (headers.get("X_Date"), "X-Date" in headers, headers.get("X-Umlaut")) == ("underscores", False, "\ufffd")
    assert headers.all("X-Two") == ("first", "later")
    assert "proxy" not in headers  # the process environment has one


@pytest.mark.parametrize(
    "extra",
    [
        "X_Shopify_Hmac_Sha256: AAAA\n",
        "x_shopify_hmac-sha256: AAAA\n",
        "X_Shopify_Topic: customers/delete\n",
        "X-Anything: a\nX_Anything: b\n",
        "X_Forwarded_For: 10.0.0.1\nX-Forwarded-For: 198.51.100.7\n",
    ],
)
def test_headers_that_differ_only_by_dash_and_underscore_are_refused(served, extra):
    given = sample()
    head = f"POST {PATH} HTTP/1.1\nHost: x\nConnection: close\nContent-Length: {len(given.body)}\n"
    answer = served.raw(head + signed(given) + extra, given.body)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"header_ambiguous" in answer
    assert served.ids() == []
    assert [entry["code"] for entry in refusals.recent(served.queue, 5)] == ["header_ambiguous"]


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("X-Shopify-Hmac-Sha256: abc\xfc\n", b"signature_malformed"),
        ("Content-Type: text/html; x=\xfc\n", b"content_type_unsupported"),
    ],
)
def test_a_header_that_is_not_ascii_is_there_and_not_taken_for_another(served, header, code):
    given = sample()
    name = header.partition(":")[0].lower()
    rest = "".join(line for line in signed(given).splitlines(keepends=True) if not line.lower().startswith(name))
    head = f"POST {PATH} HTTP/1.1\nHost: x\nConnection: close\nContent-Length: {len(given.body)}\n{rest}{header}"
    assert code in served.raw(head, given.body)
    assert served.ids() == []


def test_of_two_signatures_of_which_one_is_not_ascii_the_other_is_judged(served):
    # The server keeps what is not ASCII to itself, so the pair cannot be refused; nobody gets in by it.
    given = sample()
    head = f"POST {PATH} HTTP/1.1\nHost: x\nConnection: close\nContent-Length: {len(given.body)}\n"
    odd = "X-Shopify-Hmac-Sha256: \xfc\n"
    assert served.raw(head + odd + signed(given), given.body).startswith(b"HTTP/1.1 200")
    forged = sample(secret=b"wrong")
    assert served.raw(head + odd + signed(forged), forged.body).startswith(b"HTTP/1.1 401")


def test_senders_that_drip_keep_nobody_out(served):
    given = sample()
    start = f"POST {PATH} HTTP/1.1\nHost: x\nConnection: close\nContent-Length: {len(given.body)}\n{signed(given)}\n"
    with ExitStack() as dripping:
        for _ in range(100):  # more than there are threads by far
            raw = dripping.enter_context(socket.create_connection(("127.0.0.1", served.port), timeout=10))
            raw.sendall(start.replace("\n", "\r\n").encode() + given.body[:5])
        assert served.post(sample(4))[0] == 200
        raw.sendall(given.body[5:])
        assert raw.recv(65536).startswith(b"HTTP/1.1 200")


def test_a_body_that_does_not_come_is_408(tmp_path):
    impatient = Served(tmp_path / "data", CROSSDOCK_BODY_TIMEOUT_SECONDS="0.2")
    try:
        head = f"POST {PATH} HTTP/1.1\nHost: x\nConnection: close\n"
        for rest, body in (
            ("Content-Length: 10\n", b"12345"),
            ("Content-Length: 90000\n", b"x" * 70_000),
            ("Transfer-Encoding: chunked\n", b"5\r\n12345\r\n"),
        ):
            answer = impatient.raw(head + rest, body)
            assert answer.startswith(b"HTTP/1.1 408")
            assert b"body_slow" in answer
        assert impatient.post(sample())[0] == 200
    finally:
        impatient.stop()


@pytest.mark.parametrize(
    ("rest", "body"),
    [
        ("Content-Length: 10\n", b"12345"),
        ("Content-Length: 90000\n", b"x" * 70_000),
        ("Transfer-Encoding: chunked\n", b"5\r\n12345\r\n"),
        ("Transfer-Encoding: chunked\n", b"5\r\n12345\r\nnonsense"),
    ],
)
def test_a_body_that_ends_early_is_never_taken_in(served, rest, body):
    served.raw(f"POST {PATH} HTTP/1.1\nHost: x\nConnection: close\n{rest}", body, ends=True)
    assert served.post(sample(9))[0] == 200
    assert len(served.ids()) == 1


def test_a_large_body_is_taken_in(served):
    now = utc_now()
    body = orjson.dumps({"id": 1, "updated_at": now.isoformat(), "note": "x" * 80_000})
    assert served.post(sample(body=body))[0] == 200
    [entry] = Inbox(served.queue, shards=SHARDS).take(0, 10)
    assert entry.request.body == body


@pytest.mark.parametrize(
    "line",
    [
        "POST /api/webhooks/%00 HTTP/1.1",
        "POST /api/webhooks/%ff%fe HTTP/1.1",
        "POST /api/webhooks/../../etc/passwd HTTP/1.1",
        "POST //api//webhooks//shopify HTTP/1.1",
        f"POST {PATH}?%ff=%00&&=;a HTTP/1.1",
        f"BREW {PATH} HTTP/1.1",
        f"POST {PATH}{'x' * 4000} HTTP/1.1",
    ],
)
def test_nonsense_is_refused_and_never_500(served, line):
    answer = served.raw(f"{line}\nHost: x\nConnection: close\nContent-Length: 2\n", b"{}")
    assert answer.split(b" ")[1] in (b"400", b"401", b"404", b"405")


def test_k3_a_new_secret_works_within_a_second(served):
    new = b"the new secret"
    assert served.post(sample(secret=new))[0] == 401
    served.directory.put("shopify", secrets=((new, None), (SECRET, None)))
    until(lambda: served.post(sample(secret=new))[0] == 200, seconds=1.0)
    assert served.post(sample())[0] == 200


def test_with_valkey_down_it_is_503_within_two_seconds_and_200_when_it_is_back(mortal):
    assert mortal.post(sample(1))[0] == 200
    pid = mortal.valkey.pid("valkey")
    os.kill(pid, signal.SIGKILL)
    mortal.valkey._processes["valkey"].wait()
    began = time.monotonic()
    status, body, headers = mortal.post(sample(2))
    assert time.monotonic() - began < 2.0
    assert (status, body["error"]["code"], headers["retry-after"]) == (503, "queue_unavailable", "5")  # type: ignore[index]
    assert mortal.get("/healthz") == 503
    mortal.valkey.start_valkey()
    until(lambda: mortal.post(sample(3))[0] == 200)
    assert len(mortal.ids()) == 2


def test_with_valkey_hanging_it_is_503_after_the_timeout(mortal):
    assert mortal.post(sample(1))[0] == 200
    pid = mortal.valkey.pid("valkey")
    os.kill(pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        status, _, headers = mortal.post(sample(2))
        assert time.monotonic() - began < 4.0
        assert (status, headers["retry-after"]) == (503, "5")
    finally:
        os.kill(pid, signal.SIGCONT)
    until(lambda: mortal.post(sample(3))[0] == 200)


def test_refusals_are_logged_by_the_running_ingress(served):
    assert served.post(sample(secret=b"wrong"))[0] == 401
    [entry] = refusals.recent(served.queue, 5)
    assert (entry["code"], entry["remoteAddr"], entry["provider"]) == ("signature_mismatch", "127.0.0.1", "shopify")


@pytest.mark.parametrize("dash", ["_", "-"])
def test_flipkarts_headers_are_read_with_underscores_and_with_dashes(served, dash):
    url = "https://hooks.example/api/webhooks/flipkart"
    served.directory.put("flipkart", "flipkart", settings={"url": url})
    given = Sample("shipment_packed", b"{}", SECRET, "", "", utc_now(), url=url)
    pairs = [(name.replace("_", dash), value) for name, value in PROVIDERS["flipkart"].sign(given)]
    head = "".join(f"{name}: {value}\n" for name, value in pairs)
    asked = f"POST /api/webhooks/flipkart HTTP/1.1\nHost: x\nConnection: close\nContent-Length: 2\n{head}"
    until(lambda: b" 404 " not in served.raw(asked, b"{}").partition(b"\r\n")[0])  # within a poll of the directory
    assert served.raw(asked, b"{}").startswith(b"HTTP/1.1 200")
    assert served.raw(asked.replace("FKLOGIN ", "FKLOGIN ."), b"{}").startswith(b"HTTP/1.1 401")


def test_a_put_beneath_a_sources_path_is_taken_in(served):
    served.directory.put("myntra", "myntra")
    token = f"access_token: {SECRET.decode()}\n"
    asked = "PUT /api/webhooks/myntra/storefront/v4/order/1/accept HTTP/1.1\nHost: x\nConnection: close\n"
    asked += f"Content-Length: 2\n{token}"
    until(lambda: b" 404 " not in served.raw(asked, b"{}").partition(b"\r\n")[0])
    answer = served.raw(asked, b"{}")
    assert answer.startswith(b"HTTP/1.1 200")
    assert b'"statusCode":1000' in answer
    served.queue.delete(queues.inbox(0))
    assert served.raw(asked.replace("order/1/", "order/%C3%9C1/"), b"{}").startswith(b"HTTP/1.1 200")
    [entry] = Inbox(served.queue, shards=SHARDS).take(0, 10)
    assert entry.request.path == "/api/webhooks/myntra/storefront/v4/order/Ü1/accept"
