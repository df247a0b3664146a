"""Amazon SNS as others meet it: certificates under a root of its own, topics, subscriptions and signed messages.

Over real HTTP for what is asked of it (a certificate, its issuer's, a confirmation) and for what it posts. It refuses
what the real one refuses: a certificate that is not there, another action, a token it did not give or gave too long
ago. It can be made to fail, and what it posts it tries again as SNS does: where the answer was none, a 429 or a 5xx.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import orjson
import requests
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from cli.sns_stand_in import Authority, authority, issue, key_pem, new_key, pem
from shared.clock import to_json
from shared.egress import calls, networks_of
from shared.providers import sns
from shared.providers.contract import Refusal
from tests.doubles.served import Fault

SINCE, UNTIL = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
REGION = "eu-west-1"
TOPIC = f"arn:aws:sns:{REGION}:000000000000:simulated"
RETRIES = 3
TOKEN_LASTS = timedelta(days=3)
ISSUER_URL = "http://crt.double.amazontrust.com/double.cer"


@cache
def key_of(secret: bytes) -> rsa.RSAPrivateKey:
    """A key a secret, so that what holds for secrets can be tried with keys."""
    del secret
    return new_key()


@cache
def root() -> Authority:
    return authority("Double Root", since=SINCE, until=UNTIL)


@cache
def issuing() -> Authority:
    return authority("Double RSA 2048", under=root(), since=SINCE, until=UNTIL)


@cache
def certificate(secret: bytes) -> x509.Certificate:
    return issue(issuing(), key_of(secret).public_key(), since=SINCE, until=UNTIL, issuer_url=ISSUER_URL)


def private_key(secret: bytes) -> bytes:
    return key_pem(key_of(secret))


def certificates(secrets: tuple[bytes, ...]) -> Callable[[str], bytes | Refusal]:
    """What is published while SNS signs with the keys of these secrets.

    Another key's message is looked at with the first one's certificate: nobody can publish one of their own at SNS.
    """
    known = {
        sns.certificate_url(REGION, key_of(secret).public_key()): pem(certificate(secret))
        for secret in secrets
        if secret
    }
    none = Refusal("certificate_refused", "There is no such certificate.")
    return lambda url: known.get(url) or next(iter(known.values()), none)


@dataclass
class Sns:
    """SNS with one topic."""

    url: str = ""
    secret: bytes = b"the key of SNS"
    pending: dict[str, tuple[str, datetime]] = field(default_factory=dict)  # token -> endpoint, and since when
    confirmed: list[str] = field(default_factory=list)  # endpoints
    asked: list[str] = field(default_factory=list)  # every path that was asked for
    failures: deque[int] = field(default_factory=deque)  # statuses that the next are answered with
    is_down: bool = False
    now: datetime | None = None  # None: no time passes, and no token ends

    def message(self, kind: str, **more: Any) -> bytes:
        """A signed message of the topic."""
        fields = {"Type": kind, "MessageId": str(uuid4()), "TopicArn": TOPIC, "Message": "hello"}
        version = more.pop("version", "2")
        return orjson.dumps(sns.sign(fields | more, private_key(self.secret), version))

    def subscribe(self, endpoint: str, *, at: datetime) -> bytes:
        """The message that asks `endpoint` whether it wants the topic's."""
        token = uuid4().hex * 2
        self.pending[token] = (endpoint, at)
        url = f"https://sns.{REGION}.amazonaws.com/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token={token}"
        return self.message(sns.SUBSCRIPTION, Token=token, SubscribeURL=url, Timestamp=to_json(at))

    def publish(self, body: bytes) -> list[int]:
        """Post a message to everyone who has confirmed; the last status of each, 0 where there was no answer."""
        return [self.post(endpoint, body) for endpoint in self.confirmed]

    def post(self, endpoint: str, body: bytes) -> int:
        """Post a message, again where SNS would; the last status."""
        message = orjson.loads(body)
        headers = {
            "Content-Type": "text/plain; charset=UTF-8",
            "x-amz-sns-message-type": message["Type"],
            "x-amz-sns-message-id": message["MessageId"],
            "x-amz-sns-topic-arn": message["TopicArn"],
        }
        status = 0
        for _ in range(1 + RETRIES):
            try:
                status = requests.post(endpoint, data=body, headers=headers, timeout=5).status_code
            except requests.RequestException:
                status = 0
            if status and status != 429 and status < 500:
                break
        return status

    def answer(self, path: str) -> tuple[int, bytes]:
        """What a GET of `path` brings."""
        self.asked.append(path)
        if self.is_down:
            return 503, b"down"
        if self.failures:
            return self.failures.popleft(), b"not now"
        parts = urlsplit(path)
        own = sns.certificate_url(REGION, key_of(self.secret).public_key())
        if parts.path == urlsplit(own).path:
            return 200, pem(certificate(self.secret))
        if parts.path == urlsplit(ISSUER_URL).path:
            return 200, issuing().certificate.public_bytes(serialization.Encoding.DER)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if query.get("Action") != "ConfirmSubscription":
            return 403, b"<Error><Code>AccessDenied</Code></Error>"
        endpoint, since = self.pending.get(query.get("Token", ""), (None, SINCE))
        is_over = self.now is not None and self.now > since + TOKEN_LASTS
        if endpoint is None or is_over or query.get("TopicArn") != TOPIC:
            return 400, b"<ErrorResponse><Error><Code>InvalidParameter</Code></Error></ErrorResponse>"
        if endpoint not in self.confirmed:
            self.confirmed.append(endpoint)
        arn = f"{TOPIC}:{uuid4()}".encode()
        return (
            200,
            b"<ConfirmSubscriptionResponse><SubscriptionArn>%s</SubscriptionArn></ConfirmSubscriptionResponse>" % arn,
        )

    def get(self, url: str) -> calls.Reply:
        """A GET of one of Amazon's addresses, which leads here."""
        parts = urlsplit(url)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        return calls.call("GET", self.url + path, what="test", allow_http=True, networks=networks_of(["127.0.0.0/8"]))

    def fetch(self, url: str) -> bytes:
        """The body of such a GET, as the ingress asks for it."""
        reply = self.get(url)
        if reply.status != 200:
            raise OSError(f"the reply is a {reply.status}")
        return reply.body


@contextmanager
def serving(double: Sns, faults: deque[Fault] | None = None) -> Iterator[Sns]:
    """The double, over HTTP for as long as the block runs; what is asked of it meets `faults` first, one each."""
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name is http.server's
            fault = faults.popleft() if faults and faults[0].path in self.path else None
            if fault is None or fault.after:
                status, body = double.answer(self.path)
            if fault is not None:
                if fault.slow:
                    ended.wait()
                if fault.slow or fault.silent:
                    return  # and the connection is closed without a word
                status, body = fault.status, b"not now"
            self.send_response(status)
            for name, value in fault.headers.items() if fault else ():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Tests are quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    double.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield double
    finally:
        ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
