"""The double of SNS fails as it is told to, once each, before or after it has done what was asked."""

from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import urlsplit

import orjson
import pytest
import requests

from tests.doubles.served import Fault
from tests.doubles.sns import Sns, serving

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
ENDPOINT = "https://hooks.example.com/a"
PATIENCE_SECONDS = 0.3


@pytest.fixture
def faults() -> deque[Fault]:
    return deque()


@pytest.fixture
def sns(faults: deque[Fault]) -> Iterator[Sns]:
    with serving(Sns(), faults) as made:
        yield made


def confirm(sns: Sns) -> requests.Response:
    url = urlsplit(orjson.loads(sns.subscribe(ENDPOINT, at=NOW))["SubscribeURL"])
    return requests.get(f"{sns.url}/?{url.query}", timeout=PATIENCE_SECONDS)


@pytest.mark.parametrize("after", [False, True])
def test_it_can_have_had_enough_whether_or_not_it_did_it(sns: Sns, faults: deque[Fault], after: bool):
    faults.append(Fault(429, headers={"Retry-After": "7"}, after=after))
    refused = confirm(sns)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "7")
    assert sns.confirmed == ([ENDPOINT] if after else [])
    assert confirm(sns).status_code == 200
    assert sns.confirmed == [ENDPOINT]


@pytest.mark.parametrize("after", [False, True])
def test_it_can_hang_up_without_a_word(sns: Sns, faults: deque[Fault], after: bool):
    faults.append(Fault(silent=True, after=after))
    with pytest.raises(requests.ConnectionError):
        confirm(sns)
    assert sns.confirmed == ([ENDPOINT] if after else [])


def test_it_can_keep_somebody_waiting_and_serves_others_meanwhile(sns: Sns, faults: deque[Fault]):
    faults.append(Fault(slow=True))
    with pytest.raises(requests.Timeout):
        confirm(sns)
    assert sns.confirmed == []
    assert confirm(sns).status_code == 200


def test_a_fault_of_one_path_waits_for_it(sns: Sns, faults: deque[Fault]):
    faults.append(Fault(500, path="SimpleNotificationService-"))
    assert confirm(sns).status_code == 200
    assert requests.get(f"{sns.url}/SimpleNotificationService-0.pem", timeout=5).status_code == 500
