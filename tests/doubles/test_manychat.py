"""The double refuses what ManyChat refuses."""

from datetime import timedelta

import pytest
import requests

from shared.clock import utc_now
from tests.doubles.manychat import TOKEN, ManyChat
from tests.doubles.served import Fault


@pytest.mark.parametrize(
    ("token", "subscriber", "status"),
    [(TOKEN, "1", 200), (TOKEN, "2", 400), ("other", "1", 401)],
)
def test_only_a_subscriber_of_the_page_is_told_of_and_only_with_its_token(token: str, subscriber: str, status: int):
    with ManyChat() as api:
        api.subscribe("1")
        url = api.url(f"/fb/subscriber/getInfo?subscriber_id={subscriber}")
        answer = requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=5)
        assert (answer.status_code, answer.json()["status"]) == (status, "success" if status == 200 else "error")


def test_past_its_limit_it_says_how_long_to_wait():
    with ManyChat() as api:
        api.subscribe("1")
        api.left = 0
        url = api.url("/fb/subscriber/getInfo?subscriber_id=1")
        answer = requests.get(url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=5)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "30")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/fb/subscriber/getInfo?subscriber_id=1"),
        ("GET", "/fb/subscriber/list"),
        ("GET", "/fb/subscriber/getInfo"),
    ],
)
def test_what_it_has_not_is_refused(method: str, path: str):
    with ManyChat() as api:
        api.subscribe("1")
        answer = requests.request(method, api.url(path), headers={"Authorization": f"Bearer {TOKEN}"}, timeout=5)
        assert (answer.status_code >= 400, answer.json()["status"]) == (True, "error")


def test_it_tells_of_a_subscriber_as_he_is_now_and_can_be_made_to_fail():
    with ManyChat() as api:
        api.subscribe("1")
        api.subscribe("1", last_name="Ångström")
        api.faults.append(Fault(500))
        url = api.url("/fb/subscriber/getInfo?subscriber_id=1")
        headers = {"Authorization": f"Bearer {TOKEN}"}
        assert requests.get(url, headers=headers, timeout=5).status_code == 500
        assert requests.get(url, headers=headers, timeout=5).json()["data"]["last_name"] == "Ångström"


def test_a_second_holds_ten_requests_whenever_it_begins():
    now = utc_now()
    with ManyChat(clock=lambda: now) as api:
        api.subscribe("1")

        def asked(times: int) -> list[int]:
            url, headers = api.url("/fb/subscriber/getInfo?subscriber_id=1"), {"Authorization": f"Bearer {TOKEN}"}
            return [requests.get(url, headers=headers, timeout=5).status_code for _ in range(times)]

        assert asked(6) == [200] * 6
        now += timedelta(seconds=0.6)
        assert asked(5) == [200] * 4 + [429]
        now += timedelta(seconds=0.4)
        assert asked(7) == [200] * 6 + [429]
