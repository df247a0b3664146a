"""The double refuses what HubSpot refuses."""

from datetime import timedelta
from typing import Any

import pytest
import requests

from shared.clock import utc_now
from tests.doubles.hubspot import PATH, HubSpot
from tests.doubles.served import Fault


def upsert(api: HubSpot, *inputs: dict[str, Any], token: str = "") -> requests.Response:
    headers = {"Authorization": f"Bearer {token or api.token}"}
    return requests.post(api.url(PATH), json={"inputs": list(inputs)}, headers=headers, timeout=5)


def contact(email: str, **properties: str) -> dict[str, Any]:
    whole = {"email": email, **properties}
    return {"id": email, "idProperty": "email", "properties": whole, "objectWriteTraceId": email}


def test_contacts_are_kept_by_their_address():
    with HubSpot() as api:
        assert upsert(api, contact("a@b.example", phone="1")).status_code == 200
        assert upsert(api, contact("A@b.example", phone="2")).status_code == 200
        assert api.contacts["a@b.example"]["phone"] == "2"


@pytest.mark.parametrize(
    "inputs",
    [
        [],
        [contact(f"{n}@b.example") for n in range(101)],
        [contact("a@b.example"), contact("A@b.example")],
        [contact("a@b.example"), contact("c@b.example", surprise="1")],
    ],
)
def test_a_batch_that_is_too_long_names_one_twice_or_has_an_unknown_property_is_refused_whole(inputs: Any):
    with HubSpot() as api:
        assert upsert(api, *inputs).status_code == 400
        assert api.contacts == {}


def test_a_request_that_is_too_large_is_refused_whole():
    with HubSpot() as api:
        api.most_bytes = 300
        assert upsert(api, contact("a@b.example")).status_code == 200
        assert upsert(api, contact("c@b.example", phone="1" * 300)).status_code == 413
        assert list(api.contacts) == ["a@b.example"]


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b'{"inputs": [{}]}', "application/json", 400),
        (
            b'{"inputs": [{"id": "a@b.example", "idProperty": "phone", "properties": {"phone": "1"}}]}',
            "application/json",
            400,
        ),
        (b'{"inputs": []}', "text/plain", 415),
    ],
)
def test_what_is_no_batch_is_refused(body: bytes, content_type: str, status: int):
    with HubSpot() as api:
        headers = {"Authorization": f"Bearer {api.token}", "Content-Type": content_type}
        assert requests.post(api.url(PATH), body, headers=headers, timeout=5).status_code == status
        assert api.contacts == {}


def test_it_can_fail_before_and_after_the_deed():
    with HubSpot() as api:
        api.faults += [Fault(503), Fault(502, after=True)]
        assert upsert(api, contact("a@b.example")).status_code == 503
        assert api.contacts == {}
        assert upsert(api, contact("a@b.example")).status_code == 502
        assert list(api.contacts) == ["a@b.example"]


def test_a_bad_contact_among_good_ones_is_named_in_a_207():
    with HubSpot() as api:
        answer = upsert(api, contact("a@b.example"), contact("no address"))
        assert answer.status_code == 207
        assert [error["context"]["ids"] for error in answer.json()["errors"]] == [["no address"]]
        assert list(api.contacts) == ["a@b.example"]


def test_a_wrong_token_and_a_day_that_is_used_up_are_refused():
    with HubSpot() as api:
        assert upsert(api, contact("a@b.example"), token="other").status_code == 401
        api.left = 0
        assert upsert(api, contact("a@b.example")).json()["policyName"] == "DAILY"


def test_ten_seconds_hold_a_hundred_requests_whenever_they_begin():
    now = utc_now()
    with HubSpot(clock=lambda: now) as api:
        assert {upsert(api, contact("a@b.example")).status_code for _ in range(60)} == {200}
        now += timedelta(seconds=6)
        assert {upsert(api, contact("a@b.example")).status_code for _ in range(40)} == {200}
        now += timedelta(seconds=3.999)
        refused = upsert(api, contact("c@b.example"))
        assert (refused.status_code, refused.json()["policyName"]) == (429, "TEN_SECONDLY_ROLLING")
        assert "c@b.example" not in api.contacts
        now += timedelta(seconds=0.001)
        assert [upsert(api, contact("a@b.example")).status_code for _ in range(61)] == [200] * 60 + [429]
