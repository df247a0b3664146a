"""The double of SNS signs what only its certificate fits, refuses what SNS refuses, and tries again as SNS does."""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import orjson
import pytest
import requests
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from shared.clock import to_json
from tests.doubles.served import Fault
from tests.doubles.sns import ISSUER_URL, RETRIES, TOPIC, Sns, serving
from tests.doubles.test_robaws import Receiver

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
FIELDS = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}


@pytest.fixture
def sns() -> Iterator[Sns]:
    with serving(Sns(now=NOW)) as made:
        yield made


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        yield made


def get(sns: Sns, url: str) -> requests.Response:
    parts = urlsplit(url)
    return requests.get(f"{sns.url}{parts.path}?{parts.query}", timeout=5)


def check(sns: Sns, body: bytes, version: str) -> None:
    """Verify a message by the documented recipe: the listed fields, each name and value on a line."""
    message = orjson.loads(body)
    pem = get(sns, message["SigningCertURL"])
    key = x509.load_pem_x509_certificate(pem.content).public_key()
    assert isinstance(key, RSAPublicKey)
    lines = [f"{name}\n{message[name]}\n" for name in FIELDS[message["Type"]] if message.get(name) is not None]
    algorithm = hashes.SHA1() if version == "1" else hashes.SHA256()  # noqa: S303  # SNS's own older one
    signature = base64.b64decode(message["Signature"], validate=True)
    key.verify(signature, "".join(lines).encode(), padding.PKCS1v15(), algorithm)


@pytest.mark.parametrize("version", ["1", "2"])
def test_its_messages_are_signed_as_amazon_documents_it(sns: Sns, version: str):
    body = sns.message("Notification", Subject="Zoë", Timestamp=to_json(NOW), version=version)
    check(sns, body, version)
    with pytest.raises(InvalidSignature):
        check(sns, body.replace(b"hello", b"hullo"), version)


def test_its_certificates_issuer_is_there_and_nothing_else_is(sns: Sns):
    issuer = x509.load_der_x509_certificate(get(sns, ISSUER_URL).content)
    leaf = orjson.loads(sns.message("Notification", Timestamp=to_json(NOW)))["SigningCertURL"]
    certificate = x509.load_pem_x509_certificate(get(sns, leaf).content)
    certificate.verify_directly_issued_by(issuer)
    assert get(sns, leaf.replace("SimpleNotificationService-", "SimpleNotificationService-0")).status_code == 403
    assert get(sns, "https://sns.eu-west-1.amazonaws.com/?Action=DeleteTopic").status_code == 403


def test_a_token_confirms_its_endpoint_while_it_lasts_and_no_other_does(sns: Sns):
    body = sns.subscribe("https://hooks.example.com/a", at=NOW)
    check(sns, body, "2")
    url = orjson.loads(body)["SubscribeURL"]
    token = orjson.loads(body)["Token"]
    assert get(sns, url.replace(token, "0" * 64)).status_code == 400
    assert get(sns, url.replace(TOPIC, f"{TOPIC}-other")).status_code == 400
    assert sns.confirmed == []
    assert [get(sns, url).status_code for _ in range(2)] == [200, 200]
    assert sns.confirmed == ["https://hooks.example.com/a"]
    late = orjson.loads(sns.subscribe("https://hooks.example.com/b", at=NOW))["SubscribeURL"]
    sns.now = NOW + timedelta(days=3, seconds=1)
    assert get(sns, late).status_code == 400


def test_only_who_has_confirmed_is_posted_to(sns: Sns, receiver: Receiver):
    body = sns.message("Notification", Timestamp=to_json(NOW))
    assert sns.publish(body) == []
    sns.confirmed.append(receiver.url("/in"))
    assert sns.publish(body) == [200]
    [posted] = receiver.asked
    assert (posted.body, posted.headers["x-amz-sns-topic-arn"]) == (body, TOPIC)
    assert posted.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    ("faults", "status", "posts"),
    [
        ([Fault(503), Fault(429)], 200, 3),
        ([Fault(401)], 401, 1),  # for good: SNS tries no refusal again
        ([Fault(500)] * 9, 500, 1 + RETRIES),
        ([Fault(silent=True)], 200, 2),
    ],
)
def test_what_failed_is_posted_again_and_what_was_refused_is_not(
    sns: Sns, receiver: Receiver, faults: list[Fault], status: int, posts: int
):
    receiver.faults += faults
    assert sns.post(receiver.url("/in"), sns.message("Notification", Timestamp=to_json(NOW))) == status
    assert len(receiver.asked) == posts


def test_it_can_be_down_or_fail_for_a_while(sns: Sns):
    url = orjson.loads(sns.message("Notification", Timestamp=to_json(NOW)))["SigningCertURL"]
    sns.failures += [500, 429]
    assert [get(sns, url).status_code for _ in range(3)] == [500, 429, 200]
    sns.is_down = True
    assert get(sns, url).status_code == 503
