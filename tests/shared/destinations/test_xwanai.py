"""The requests that xwanai gets."""

import json
from dataclasses import replace

import pytest

from shared.destinations.contract import Answer, Judgement, Outgoing, Verdict
from shared.destinations.xwanai import XWANAI
from tests.shared.destinations.test_conformance import NOW, parcel


def _built(event_type: str, **changes: object) -> Outgoing:
    made = XWANAI.build(parcel(XWANAI, event_type, **changes), NOW)
    assert isinstance(made, Outgoing)
    return made


@pytest.mark.parametrize("event_type", ["user.created", "user.updated"])
def test_a_user_is_posted_as_a_customer_under_the_providers_id(event_type: str):
    made = _built(event_type, url="https://x.example/api/")
    assert (made.method, made.url) == ("POST", "https://x.example/api/customers/sync")
    customer = json.loads(made.body)
    assert customer["customer_id"] == "7064055069303700841"
    assert (customer["shop"], customer["email"]) == ("lindenhof.myshopify.com", "zoe@lindenhof.example")
    assert (customer["full_name"], customer["tags"]) == ("Zoë Lindqvist", ["vip"])
    assert customer["updated_at"] == "2026-03-14T09:26:53.589Z"


def test_the_key_goes_in_the_header_that_was_chosen():
    assert dict(_built("user.created").headers)["Authorization"] == "Bearer xw_live_0123456789"
    assert dict(_built("user.created", settings={}).headers)["X-API-Key"] == "xw_live_0123456789"


def test_a_deletion_names_the_customer_and_nothing_can_be_smuggled_into_its_path():
    made = _built("user.deleted", url="https://x.example/api")
    assert (made.method, made.url) == ("DELETE", "https://x.example/api/customers/7064055069303700841")
    odd = b'{"data": {"user": {"externalId": "../a?b#c/\\u00e5"}}}'
    assert _built("user.deleted", url="https://x.example/api", body=odd).url == (
        "https://x.example/api/customers/..%2Fa%3Fb%23c%2F%C3%A5"
    )
    assert _built("user.deleted").done_statuses == {404}
    assert _built("user.updated").done_statuses == set()


def test_a_user_without_an_id_at_its_provider_is_given_up_and_nothing_is_sent():
    nameless = replace(parcel(XWANAI, "user.created"), body=b'{"data": {"user": {"externalId": null}}}')
    assert XWANAI.build(nameless, NOW) == Judgement(Verdict.DEAD, "customer_id_missing")


@pytest.mark.parametrize("name", [".", ".."])
def test_a_deletion_that_no_url_can_name_is_given_up_and_nothing_is_sent(name: str):
    body = json.dumps({"data": {"user": {"externalId": name}}}).encode()
    deletion = replace(parcel(XWANAI, "user.deleted"), body=body)
    assert XWANAI.build(deletion, NOW) == Judgement(Verdict.DEAD, "customer_id_malformed")
    assert json.loads(_built("user.updated", body=body).body)["customer_id"] == name
    assert _built("user.deleted", body=b'{"data": {"user": {"externalId": "..."}}}').url.endswith("/customers/...")


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        *((status, Verdict.DEAD) for status in (400, 413, 422)),
        *((status, Verdict.AGAIN) for status in (401, 403, 404, 410, 500, 503, None)),
        (429, Verdict.LATER),
    ],
)
def test_what_can_never_succeed_is_given_up_and_the_rest_is_tried_again(status: int | None, verdict: Verdict):
    assert XWANAI.judge(Answer(status), NOW).verdict is verdict


def test_a_429_without_a_time_waits_a_minute():
    assert XWANAI.judge(Answer(429), NOW).retry_after_seconds == 60
