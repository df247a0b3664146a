"""Which certificates the ingress believes, and how little a made-up address costs; SNS is its double, over HTTP."""

from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import orjson
import pytest
from flask.testing import FlaskClient

from cli.sns_stand_in import authority, furnish, issue, new_key, pem
from shared import queues, refusals, valkey
from shared.clock import to_json
from shared.crypto import KeyRing
from shared.egress import calls, networks_of
from shared.inbox import Inbox
from shared.providers import samples, sns
from shared.providers.contract import Refusal, Sample
from shared.providers.registry import PROVIDERS
from shared.settings import Settings
from tests.doubles import sns as doubles
from tests.doubles.served import Fault
from tests.web.sources import Directory
from web.certificates import FETCHES_A_MINUTE, KEPT, Certificates, amazon_roots
from web.ingress import make_app

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
AMAZON = PROVIDERS["amazon"]


@pytest.fixture
def faults() -> deque[Fault]:
    return deque()


@pytest.fixture
def double(faults: deque[Fault]) -> Iterator[doubles.Sns]:
    with doubles.serving(doubles.Sns(), faults) as made:
        yield made


@pytest.fixture
def certificates(double: doubles.Sns, monkeypatch: pytest.MonkeyPatch) -> Certificates:
    monkeypatch.setattr("web.certificates.amazon_roots", lambda: [doubles.root().certificate])
    return Certificates(Settings(), fetch=double.fetch)


def url_of(double: doubles.Sns) -> str:
    return sns.certificate_url(doubles.REGION, doubles.key_of(double.secret).public_key())


def made_up(number: int) -> str:
    return f"https://sns.{doubles.REGION}.amazonaws.com/SimpleNotificationService-{number:032x}.pem"


def code(found: bytes | Refusal) -> str:
    assert isinstance(found, Refusal)
    return found.code


def test_a_certificate_is_fetched_with_its_issuer_once_and_kept(certificates, double):
    first = certificates.get(url_of(double), now=NOW)
    assert first == pem(doubles.certificate(double.secret))
    assert len(double.asked) == 2
    double.is_down = True
    assert certificates.get(url_of(double), now=NOW + timedelta(days=30)) == first
    assert len(double.asked) == 2


def test_past_its_end_it_is_looked_at_again_and_refused(certificates, double):
    assert isinstance(certificates.get(url_of(double), now=NOW), bytes)
    assert code(certificates.get(url_of(double), now=doubles.UNTIL + timedelta(seconds=1))) == "certificate_refused"


def test_a_certificate_that_does_not_lead_to_amazons_roots_is_refused(double):
    assert code(Certificates(Settings(), fetch=double.fetch).get(url_of(double), now=NOW)) == "certificate_refused"


def test_a_self_signed_certificate_is_refused_and_so_is_what_is_none(certificates, double):
    alone = authority("sns.amazonaws.com", since=doubles.SINCE, until=doubles.UNTIL)
    for number, content in enumerate((pem(alone.certificate), b"", b"-----BEGIN CERTIFICATE-----\nAAAA")):
        certificates._fetch = lambda _, content=content: content
        assert code(certificates.get(made_up(number), now=NOW)) == "certificate_refused"


def test_a_certificate_whose_issuer_is_published_elsewhere_is_refused(certificates, double):
    elsewhere = issue(
        doubles.issuing(),
        new_key().public_key(),
        since=doubles.SINCE,
        until=doubles.UNTIL,
        issuer_url="http://169.254.169.254/double.cer",
    )
    certificates._fetch = lambda _: pem(elsewhere)
    assert code(certificates.get(made_up(1), now=NOW)) == "certificate_refused"


def test_while_sns_is_down_the_sender_is_told_to_come_again_and_then_it_works(certificates, double):
    double.is_down = True
    refused = certificates.get(url_of(double), now=NOW)
    assert isinstance(refused, Refusal)
    assert (refused.code, refused.status) == ("certificate_unavailable", 503)
    double.is_down = False
    assert isinstance(certificates.get(url_of(double), now=NOW + timedelta(seconds=6)), bytes)


@pytest.mark.parametrize("fault", [Fault(429), Fault(500), Fault(silent=True), Fault(slow=True)])
def test_a_fetch_that_fails_in_any_way_is_made_again_when_the_sender_comes_again(certificates, double, faults, fault):
    def hasty(url: str) -> bytes:
        path = urlsplit(url).path
        reply = calls.call(
            "GET",
            double.url + path,
            what="test",
            timeout_seconds=0.3,
            allow_http=True,
            networks=networks_of(["127.0.0.0/8"]),
        )
        if reply.status != 200:
            raise OSError(f"the reply is a {reply.status}")
        return reply.body

    certificates._fetch = hasty
    faults.append(fault)
    assert code(certificates.get(url_of(double), now=NOW)) == "certificate_unavailable"
    assert isinstance(certificates.get(url_of(double), now=NOW + timedelta(seconds=6)), bytes)


def test_made_up_addresses_are_asked_for_within_bounds_and_crowd_out_nothing(certificates, double):
    kept = certificates.get(url_of(double), now=NOW)
    for number in range(KEPT * 2):
        assert code(certificates.get(made_up(number), now=NOW)) == "certificate_unavailable"
    assert len(double.asked) <= FETCHES_A_MINUTE + 1
    double.is_down = True
    assert certificates.get(url_of(double), now=NOW) == kept


def test_amazons_roots_are_among_those_that_everybody_trusts():
    assert len(amazon_roots()) >= 5


# Through the ingress.


@pytest.fixture
def stand_in(tmp_path: Path) -> Path:
    return tmp_path / "sns"


@pytest.fixture
def client(redis_url: str, queue: valkey.Client, ring: KeyRing, stand_in: Path) -> Iterator[FlaskClient]:
    Directory(queue, ring).put("amazon", "amazon", settings=samples.SETTINGS["amazon"])
    settings = Settings(database_url="postgresql://nowhere", redis_url=redis_url, inbox_shards=1, sns_stand_in=stand_in)
    app = make_app(settings, ring, clock=lambda: NOW)
    yield app.test_client(use_cookies=False)
    app.extensions["ingress"].stop()


def sample(stand_in: Path, **more: object) -> Sample:
    body = samples.make("amazon", "ORDER_CHANGE", number=3, at=NOW)
    given = {
        "topic": "ORDER_CHANGE",
        "body": body,
        "secret": furnish(stand_in, now=NOW),
        "tenant": "",
        "delivery_id": "message-1",
        "now": NOW,
        "settings": samples.SETTINGS["amazon"],
    }
    return Sample(**(given | more))


def test_a_message_of_the_stand_in_is_taken_in_where_the_setting_names_it(client, queue, stand_in):
    headers, body = AMAZON.post(sample(stand_in))
    assert client.post("/api/webhooks/amazon", data=body, headers=headers).status_code == 200
    [entry] = Inbox(queue, shards=1).take(0, 10)
    assert entry.request.body == body
    assert queue.hget(queues.COUNTERS, "accepted") == b"1"
    assert furnish(stand_in, now=NOW) == furnish(stand_in, now=NOW + timedelta(days=1))


@pytest.mark.parametrize(
    ("refusal", "more"),
    [
        ("tenant_unknown", {"settings": {"topicArns": ["arn:aws:sns:eu-west-1:999999999999:elsewhere"]}}),
        ("timestamp_expired", {"now": NOW - timedelta(hours=2)}),
        ("timestamp_in_future", {"now": NOW + timedelta(minutes=6)}),
    ],
)
def test_a_genuine_message_of_another_topic_or_time_is_refused(client, stand_in, refusal, more):
    headers, body = AMAZON.post(sample(stand_in, **more))
    answer = client.post("/api/webhooks/amazon", data=body, headers=headers)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (401, refusal)


def notified(double: doubles.Sns, **more: str) -> bytes:
    """A message as SNS would post it, changed by `more` where SNS's signature does not reach."""
    body = samples.make("amazon", "ORDER_CHANGE", number=3, at=NOW).decode()
    message = double.message(sns.NOTIFICATION, Message=body, Timestamp=to_json(NOW))
    return orjson.dumps(orjson.loads(message) | more)


@pytest.fixture
def genuine(client: FlaskClient, double: doubles.Sns, certificates: Certificates) -> FlaskClient:
    """The ingress where Amazon's own root is the double's, and where its certificates are fetched from the double."""
    client.application.extensions["ingress"].certificates = certificates
    return client


def test_a_message_whose_certificate_is_amazons_is_taken_in(genuine, double, queue):
    assert genuine.post("/api/webhooks/amazon", data=notified(double)).status_code == 200
    assert len(double.asked) == 2  # the certificate and its issuer's
    assert Inbox(queue, shards=1).length(0) == 1


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem",
        "https://sns.eu-west-1.amazonaws.com.evil.example/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem",
        "https://evil.s3.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem",
        "http://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem",
        "http://169.254.169.254/latest/meta-data/",
        "file:///etc/passwd",
    ],
)
def test_k4_a_forged_certificate_url_is_401_logged_and_never_fetched(genuine, double, queue, url):
    answer = genuine.post("/api/webhooks/amazon", data=notified(double, SigningCertURL=url))
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (401, "certificate_refused")
    [logged] = refusals.recent(queue, 10)
    assert (logged["code"], logged["status"], logged["provider"]) == ("certificate_refused", 401, "amazon")
    assert Inbox(queue, shards=1).length(0) == 0
    assert queue.hget(queues.COUNTERS, "accepted") is None
    assert double.asked == []


def test_raw_delivery_is_refused_and_the_answer_says_what_to_do(client, stand_in):
    headers, _ = AMAZON.post(sample(stand_in))
    raw = sample(stand_in).body
    answer = client.post("/api/webhooks/amazon", data=raw, headers=[*headers, ("x-amz-sns-rawdelivery", "true")])
    assert answer.status_code == 401
    assert "switch it off" in answer.get_json()["error"]["message"]


def test_what_the_double_signs_is_refused_by_an_ingress_without_it():
    message = doubles.Sns().message(sns.NOTIFICATION, Timestamp=to_json(NOW))
    refused = Certificates(
        Settings(), fetch=lambda _: pem(doubles.certificate(b"the key of SNS"), doubles.issuing().certificate)
    )
    assert code(refused.get(sns.read(message).fields["SigningCertURL"], now=NOW)) == "certificate_refused"


def test_an_empty_setting_is_no_stand_in(monkeypatch):
    monkeypatch.setenv("CROSSDOCK_SNS_STAND_IN", "")
    assert Settings().sns_stand_in is None
