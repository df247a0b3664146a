"""The double refuses what ManyChat refuses."""

import pytest
import requests

from tests.doubles.manychat import TOKEN, ManyChat


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
