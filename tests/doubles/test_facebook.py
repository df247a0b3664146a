"""The double refuses what the Graph API refuses."""

import hashlib
import hmac

import pytest
import requests

from tests.doubles.facebook import Facebook
from tests.doubles.served import Fault


def call(api: Facebook, method: str, *, page: str = "1001", token: str = "", secret: str = "", fields: str = "") -> int:
    token = token or api.token
    proof = hmac.new((secret or api.app_secret).encode(), token.encode(), hashlib.sha256).hexdigest()
    url = api.url(f"/{page}/subscribed_apps?appsecret_proof={proof}")
    form = {"subscribed_fields": fields} if fields else None
    return requests.request(method, url, data=form, headers={"Authorization": f"Bearer {token}"}, timeout=5).status_code


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"fields": "messages,feed"}, 200),
        ({"fields": "messages", "token": "other"}, 401),
        ({"fields": "messages", "secret": "other"}, 400),
        ({"fields": "messages", "page": "1002"}, 404),
        ({"fields": "everything"}, 400),
        ({}, 400),
    ],
)
def test_a_page_subscribes_for_its_token_with_the_apps_proof_and_for_nothing_else(given: dict[str, str], status: int):
    with Facebook() as api:
        assert call(api, "POST", **given) == status
        assert api.subscribed == ({"messages", "feed"} if status == 200 else set())
        assert call(api, "GET") == 200


def test_it_can_be_made_to_fail():
    with Facebook() as api:
        api.faults.append(Fault(500))
        assert [call(api, "GET"), call(api, "GET")] == [500, 200]
