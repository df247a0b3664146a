"""A body that brings several things together: each is read for itself, and one that cannot be takes nothing away."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from shared.errors import PayloadUnexpected
from shared.providers.contract import Headers, Identity, Outcome, Request, Source
from shared.providers.generic import check_settings
from shared.providers.registry import PROVIDERS
from tests.shared.providers.acting import SECRET

HUBSPOT: dict[str, Any] = {
    "preset": "hubspot",
    "records": [
        {
            "kind": "user",
            "topics": ["contact.creation"],
            "id": "objectId",
            "fields": {"attributes": "{source: changeSource}"},
        },
        {
            "kind": "user",
            "topics": ["contact.propertyChange"],
            "when": "propertyName == 'email'",
            "id": "objectId",
            "part": "propertyName",
            "fields": {"email": "propertyValue"},
        },
        {"kind": "user", "deleteTopics": ["contact.deletion"], "id": "objectId"},
    ],
}


def event(number: int, topic: str, *, portal: int = 620, **more: Any) -> dict[str, Any]:
    return {
        "eventId": number,
        "subscriptionId": 4,
        "portalId": portal,
        "subscriptionType": topic,
        "occurredAt": 1_764_064_800_000 + number,
        "attemptNumber": 0,
        "objectId": 9_000 + number,
        "changeSource": "CRM",
        **more,
    }


def at(number: int) -> datetime:
    return datetime(2025, 11, 25, 10, 0, 0, number * 1000, tzinfo=UTC)


def understood(body: Any, settings: dict[str, Any] = HUBSPOT, **headers: str) -> tuple[Identity, Outcome]:
    source = Source("source", "generic", (SECRET,), settings)
    request = Request(
        "POST", "/", Headers((name.replace("_", "-"), value) for name, value in headers.items()), orjson.dumps(body)
    )
    identity = PROVIDERS["generic"].identify(request, source, body)
    return identity, PROVIDERS["generic"].transform(identity, body, source)


CREATED = event(1, "contact.creation")
CHANGED = event(2, "contact.propertyChange", propertyName="email", propertyValue="zoë@lindenhof.example")
DELETED = event(3, "contact.deletion")


def test_every_event_of_a_batch_is_judged_by_its_own_kind_and_time():
    identity, outcome = understood([CREATED, CHANGED, DELETED])
    assert (identity.topic, identity.tenant, identity.occurred_at) == ("mixed", "620", at(3))
    assert identity.topics == ("contact.creation", "contact.propertyChange", "contact.deletion")
    assert [(one.op, one.external_id, one.version, one.part) for one in outcome.changes] == [
        ("upsert", "9001", at(1), None),
        ("upsert", "9002", at(2), "email"),
        ("delete", "9003", at(3), None),
    ]
    assert [one.item and (one.item.index, one.item.topic, one.item.tenant) for one in outcome.changes] == [
        (0, "contact.creation", "620"),
        (1, "contact.propertyChange", "620"),
        (2, "contact.deletion", "620"),
    ]


def test_a_batch_of_one_kind_has_its_topic_and_what_is_not_meant_is_passed_over():
    other = CHANGED | {"propertyName": "phone"}
    identity, outcome = understood([other, CHANGED])
    assert identity.topic == "contact.propertyChange"
    assert [one.external_id for one in outcome.changes] == ["9002"]
    assert outcome.problems == ()
    assert understood([other])[1].ignored == "no item of this contact.propertyChange is mapped to anything"
    assert understood([event(1, "deal.creation")])[1].ignored == "topic deal.creation is mapped to nothing"
    unmapped = [event(1, "deal.creation"), event(2, "deal.deletion")]
    assert understood(unmapped)[1].ignored == "no item of this mixed is mapped to anything"


def test_events_of_several_accounts_are_each_of_its_own():
    identity, outcome = understood([CREATED, event(2, "contact.creation", portal=621)])
    assert identity.tenant == ""
    assert [one.item and one.item.tenant for one in outcome.changes] == ["620", "621"]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (CREATED | {"objectId": None}, "there is no id at objectId"),
        (CREATED | {"subscriptionType": None}, "there is no topic where the settings say"),
        ("nonsense", "there is no topic where the settings say"),
        (None, "there is no topic where the settings say"),
        (CHANGED | {"propertyValue": {"a": 1}}, "email is neither a text nor a number"),
        (CHANGED | {"propertyName": "email", "objectId": [1]}, "there is no id at objectId"),
    ],
)
def test_an_event_that_cannot_be_read_takes_nothing_from_the_others(bad: Any, said: str):
    identity, outcome = understood([CREATED, bad, DELETED])
    assert [one.external_id for one in outcome.changes] == ["9001", "9003"]
    assert [(one.index, one.reason) for one in outcome.problems] == [(1, said)]
    assert identity.topic == "mixed"


def test_when_none_can_be_read_all_are_named():
    with pytest.raises(
        PayloadUnexpected, match=r"2 items cannot be read: \[0\]: there is no id at objectId; \[1\]: there"
    ):
        understood([CREATED | {"objectId": None}] * 2)
    with pytest.raises(PayloadUnexpected, match="there is no topic"):
        understood(["a", "b"])


def test_a_bad_event_beside_ignored_ones_is_not_ignored_with_them():
    _, outcome = understood([event(1, "deal.creation"), CREATED | {"objectId": None}])
    assert (outcome.changes, outcome.ignored) == ((), None)
    assert [one.index for one in outcome.problems] == [1]


@pytest.mark.parametrize("body", [[], None, [CREATED] * 1_001])
def test_nothing_and_too_much_are_no_batch(body: Any):
    with pytest.raises(PayloadUnexpected, match="items at @"):
        understood(body)


def test_a_body_that_is_no_list_is_the_one_thing_itself():
    identity, outcome = understood(CREATED)
    [change] = outcome.changes
    assert (identity.topic, change.external_id, change.version, change.item) == (
        "contact.creation",
        "9001",
        at(1),
        None,
    )
    with pytest.raises(PayloadUnexpected, match=r"^there is no id at objectId"):
        understood(CREATED | {"objectId": None})


def test_items_may_stand_anywhere_and_topic_and_tenant_in_headers():
    settings = {
        "topic": {"header": "X-Topic"},
        "tenant": {"header": "X-Shop"},
        "occurredAt": {"json": "at"},
        "items": "data.rows[]",
        "records": [{"kind": "article", "id": "no", "fields": {"stock": "left"}}],
    }
    assert check_settings(settings) == []
    body = {"data": {"rows": [{"no": 1, "left": 2, "at": "2026-01-01T00:00:00Z"}, {"no": 2, "left": "x"}]}}
    identity, outcome = understood(body, settings, X_Topic="stock", X_Shop="north")
    assert (identity.topic, identity.tenant) == ("stock", "north")
    assert outcome.changes[0].version == datetime(2026, 1, 1, tzinfo=UTC)
    assert [str(one) for one in outcome.problems] == ["[1]: stock is no number"]


def test_the_short_way_of_a_user_is_taken_for_each_item():
    settings = {
        "topic": {"json": "type"},
        "items": "events",
        "user": {"topics": ["joined"], "deleteTopics": ["left"], "id": "who", "fields": {"email": "mail"}},
    }
    body = {"events": [{"type": "joined", "who": "a", "mail": "a@x"}, {"type": "left", "who": "b"}, {"type": "slept"}]}
    outcome = understood(body, settings)[1]
    assert [(one.op, one.external_id) for one in outcome.changes] == [("upsert", "a"), ("delete", "b")]


def test_a_rule_written_for_the_whole_body_holds_for_the_item():
    # As it was written before bodies had items: each of the body, which is a list.
    rule = HUBSPOT["records"][0] | {"each": "@"}
    assert len(understood([CREATED, CREATED], HUBSPOT | {"records": [rule]})[1].changes) == 2


def test_a_preset_can_be_told_that_a_body_is_one_thing():
    settings = HUBSPOT | {"items": None, "topic": {"jmespath": "[0].subscriptionType"}}
    whole = settings | {"records": [HUBSPOT["records"][0] | {"each": "@"}]}
    identity, outcome = understood([CREATED, CREATED], whole)
    assert (identity.topic, len(outcome.changes), outcome.changes[0].item) == ("contact.creation", 2, None)


def test_a_wrong_expression_is_named_when_it_is_set():
    assert check_settings(HUBSPOT | {"items": "a..b"}) == ["items: no JMESPath at character 3: unexpected '.'"]


def test_attempts_of_a_batch_are_repeats_whatever_is_in_it():
    first = understood([CREATED, CHANGED])[0]
    again = understood([one | {"attemptNumber": 3} for one in (CREATED, CHANGED)])[0]
    assert replace(first, topics=()).key == again.key
