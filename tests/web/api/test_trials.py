"""A source's trial: what a request would be, and nothing of it stored."""

from typing import Any

import orjson
import pytest
from sqlalchemy import text

from shared.providers.contract import Sample
from shared.providers.registry import PROVIDERS
from tests.web.api.conftest import World

SECRET = "whsec_Zm9yIHRlc3RzIG9ubHksIDI0IGJ5dGVz"
SETTINGS: dict[str, Any] = {
    "preset": "standard-webhooks",
    "records": [
        {
            "kind": "order",
            "topics": ["sale.*"],
            "deleteTopics": ["sale.gone"],
            "id": "data.id",
            "version": "data.at",
            "fields": {"currency": "'EUR'", "financialStatus": "data.state"},
            "amounts": {"totalMinor": "data.total"},
            "words": {"financialStatus": {"SETTLED": "paid"}},
        }
    ],
}
BODY = {"type": "sale.made", "data": {"id": 2**62, "at": "2026-11-20T10:00:00Z", "state": "SETTLED", "total": "12.50"}}


def source(world: World, **fields: Any) -> str:
    made = world.source(provider="generic", path="sales", settings=SETTINGS, secrets=[SECRET], **fields)
    return str(made["source"]["id"])


def signed(world: World, body: bytes) -> dict[str, str]:
    sample = Sample("sale.made", body, SECRET.encode(), "", "sale-1", world.clock(), settings=SETTINGS)
    return dict(PROVIDERS["generic"].sign(sample))


def tried(world: World, which: str, **body: Any) -> dict[str, Any]:
    response = world.caller(role="operator").post(f"/api/admin/sources/{which}/try", body)
    assert response.status_code == 200, response.json
    return dict(response.json["trial"])


def test_a_genuine_request_is_told_whole(world: World) -> None:
    body = orjson.dumps(BODY)
    assert tried(world, source(world), body=body.decode(), headers=signed(world, body)) == {
        "genuine": True,
        "refusal": None,
        "state": "processed",
        "reason": None,
        "topic": "sale.made",
        "tenant": "",
        "deliveryId": "sale-1",
        "occurredAt": None,
        "problems": [],
        "changes": [
            {
                "item": None,
                "kind": "order",
                "op": "upsert",
                "externalId": str(2**62),
                "version": "2026-11-20T10:00:00.000Z",
                "part": None,
                "fields": {"currency": "EUR", "financialStatus": "paid", "totalMinor": 1250},
                "eventsIfNew": ["order.created", "order.paid"],
                "eventsIfKnown": ["order.updated", "order.paid"],
            }
        ],
    }


def test_an_unsigned_request_is_told_too_and_why_it_would_be_turned_away(world: World) -> None:
    trial = tried(world, source(world), body=BODY)
    assert trial["genuine"] is False
    assert trial["refusal"]["code"] == "signature_missing"
    assert trial["changes"][0]["fields"]["totalMinor"] == 1250


def test_a_body_called_what_nobody_reads_is_genuine_and_would_be_turned_away(world: World) -> None:
    body = orjson.dumps(BODY)
    headers = signed(world, body) | {"Content-Type": "text/html"}
    which = source(world)
    trial = tried(world, which, body=body.decode(), headers=headers)
    assert (trial["genuine"], trial["refusal"]["code"]) == (True, "content_type_unsupported")
    settings = SETTINGS | {"anyContentType": True}
    lifted = tried(world, which, body=body.decode(), headers=headers, settings=settings)
    assert (lifted["genuine"], lifted["refusal"]) == (True, None)


@pytest.mark.parametrize(
    ("body", "state", "reason"),
    [
        ('{"type": "walk.in", "type": "walk.in"}', "failed", 'the body names "type" twice'),
        ('{"type": "walk.in", "data": {"\\ud800": 1}}', "failed", "a lone surrogate in the name"),
        ('{"type": "walk.in", "data": ["\\u0000"]}', "failed", "the body holds a NUL character at data[0]"),
        ("{", "failed", "the body is not JSON"),
        ("", "failed", "the body is empty"),
        ("[" * 100_000, "failed", "nested too deeply"),
        ({"type": "sale.made", "data": {}}, "failed", "there is no id at data.id"),
        ({"type": "sale.made", "data": {"id": "7", "total": "1,50"}}, "failed", "totalMinor"),
        ({"type": "walk.in"}, "ignored", "topic walk.in is mapped to nothing"),
        ({"data": 1}, "failed", "no topic"),
    ],
)
def test_what_would_not_go_through_says_why(world: World, body: Any, state: str, reason: str) -> None:
    trial = tried(world, source(world), body=body)
    assert trial["state"] == state
    assert reason in trial["reason"]
    assert trial["changes"] == []


def test_a_consent_that_is_neither_given_nor_not_would_fail_and_says_which(world: World) -> None:
    rule = {"kind": "user", "id": "data.id", "fields": {"optIns": "data.consent"}}
    body = {"type": "contact.made", "data": {"id": "7", "consent": {"email": "subscribed"}}}
    trial = tried(world, source(world), body=body, settings=SETTINGS | {"records": [rule]})
    assert (trial["state"], trial["reason"]) == ("failed", "opt_ins.email is neither true nor false")


def test_settings_are_tried_before_they_are_set_and_their_mistakes_are_named(world: World) -> None:
    which = source(world)
    other = SETTINGS | {"records": [{"kind": "payment", "id": "data.id", "deleteTopics": ["sale.*"]}]}
    [change] = tried(world, which, body=BODY, settings=other)["changes"]
    assert (change["kind"], change["op"], change["eventsIfNew"], change["eventsIfKnown"]) == (
        "payment",
        "delete",
        [],
        [],
    )
    wrong = SETTINGS | {"records": [{"kind": "payment", "id": "data..id"}]}
    for method, path in (("post", f"/api/admin/sources/{which}/try"), ("patch", f"/api/admin/sources/{which}")):
        response = getattr(world.caller(), method)(path, {"settings": wrong})
        assert response.status_code == 422
        assert "records.0.id: no JMESPath at character 6: unexpected '.'" in response.json["error"]["message"]
    assert world.caller().get(f"/api/admin/sources/{which}").json["source"]["settings"] == SETTINGS


def test_a_topic_that_the_source_leaves_out_is_ignored(world: World) -> None:
    trial = tried(world, source(world, allowedTopics=["sale.else"]), body=BODY)
    assert (trial["state"], trial["reason"]) == ("ignored", "the source does not take sale.made")


def test_a_url_that_is_signed_is_that_of_the_source(world: World) -> None:
    settings = {"preset": "twilio"}
    made = world.source(provider="generic", path="phone", settings=settings, secrets=["token"])["source"]
    body = b"MessageStatus=sent&AccountSid=AC1"
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    sample = Sample("", b"", b"token", "", "", world.clock(), url=made["url"] + "?to=7", settings=settings)
    unsigned = tried(world, made["id"], body=body.decode(), headers=headers, beneath="?to=7")
    assert (unsigned["topic"], unsigned["tenant"], unsigned["genuine"]) == ("message.sent", "AC1", False)
    headers |= {"X-Twilio-Signature": dict(PROVIDERS["generic"].sign(sample))["X-Twilio-Signature"]}
    empty = tried(world, made["id"], body="", headers=headers, beneath="?to=7")
    assert empty["genuine"] is True


def test_a_trial_leaves_nothing_and_is_not_for_viewers_or_other_accounts(world: World) -> None:
    which = source(world)
    counted = text(
        "SELECT (SELECT count(*) FROM messages) + (SELECT count(*) FROM orders) + (SELECT count(*) FROM events)"
    )
    tried(world, which, body=BODY)
    with world.engine.connect() as connection:
        assert connection.execute(counted).scalar_one() == 0
    path = f"/api/admin/sources/{which}/try"
    assert world.caller(role="viewer").post(path, {"body": BODY}).status_code == 403
    assert world.caller("other").post(path, {"body": BODY}).status_code == 404
