"""What a generic source's settings can say."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from shared.errors import PayloadUnexpected
from shared.providers import schemes
from shared.providers.contract import Headers, Reply, Request, Source
from shared.providers.presets import PLACES
from tests.shared.providers.acting import NOW, SECRET, USER, Actor, actor

ACT = actor("generic")


def acting(settings: dict[str, Any]) -> Actor:
    return replace(ACT, source=Source("source", "generic", (SECRET,), settings))


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"preset": "nobody"}, "preset"),
        ({"scheme": {"algorithm": "md5"}}, "scheme.algorithm"),
        ({"scheme": {"template": "{ts}"}}, "scheme"),
        ({"scheme": {"template": "{ts}.{body}"}}, "scheme"),
        ({"scheme": {"template": "{id}.{body}"}}, "scheme"),
        ({"scheme": {"timestamp": {"header": "X-At"}}}, "scheme"),
        ({"scheme": {"header": ""}}, "scheme.header"),
        ({"scheme": {"colour": "red"}}, "scheme.colour"),
        ({"topic": {"json": "a", "header": "b"}}, "topic"),
        ({"topic": {}}, "topic"),
        ({"user": {"topics": ["a"]}}, "user.id"),
        ({"user": {"id": "a"}}, "user"),
        ({"user": {"id": "a", "topics": ["t"], "deleteTopics": ["t"]}}, "user"),
        ({"user": {"id": "a", "topics": ["t"], "fields": {"shoeSize": "b"}}}, "user.fields"),
        ({"dedupe": "X-Id"}, "dedupe"),
        ({"preset": "stripe", "scheme": {"prefix": "v1="}}, "scheme"),
    ],
)
def test_wrong_settings_are_named(settings, named):
    problems = ACT.provider.check_settings(settings)
    assert any(problem.startswith(named) for problem in problems), problems


def test_settings_gone_wrong_refuse_with_503_so_that_nothing_is_lost():
    refusal = acting({"scheme": {"algorithm": "md5"}}).verify(ACT.request(ACT.sample()))
    assert refusal is not None
    assert (refusal.code, refusal.status) == ("source_misconfigured", 503)


def test_every_preset_has_its_places():
    assert set(schemes.PRESETS) == set(PLACES)


def test_a_preset_can_be_overridden_in_part():
    act = acting({"preset": "slack", "scheme": {"timestamp": {"toleranceSeconds": 5}}})
    request = act.request(act.sample())
    assert act.verify(request) is None
    late = act.verify(request, now=datetime.fromtimestamp(NOW.timestamp() + 6, UTC))
    assert late is not None
    assert late.code == "timestamp_expired"


@pytest.mark.parametrize("mode", ["static_header", "basic"])
def test_a_token_or_password_is_checked(mode):
    act = acting({"scheme": {"mode": mode, "header": "Authorization", "prefix": "Bearer " * (mode != "basic")}})
    assert act.verify(act.request(act.sample(secret=b"user:pass"))) is not None
    assert act.verify(act.request(act.sample(secret=b"user:pass")), secrets=(b"other", b"user:pass")) is None
    assert act.verify(Request("POST", "/", Headers([("Authorization", "Basic ???")]), b"{}")) is not None


def test_a_tokens_header_is_a_secret_however_it_is_spelled():
    act = acting({"scheme": {"mode": "static_header", "header": "X_Api_Key"}})
    for name in ("X_Api_Key", "x-api-key"):  # as it is set, and as WSGI has it
        kept = Headers([(name, SECRET.decode())]).without(act.provider.secret_headers(act.source))
        assert [value for _, value in kept.pairs()] == ["[redacted]"]


def test_an_id_with_a_dot_could_be_cut_in_two_ways_and_is_refused():
    refusal = ACT.verify(ACT.request(ACT.sample(delivery_id="a.b")))
    assert refusal is not None
    assert refusal.code == "signature_malformed"


def test_the_body_is_put_in_once_and_as_bytes():
    request = Request("POST", "/", Headers(), b'{"x":"{ts}\xff{body}"}')
    assert schemes.fill("{ts}.{body}", request, stamp="1", delivery_id="") == b'1.{"x":"{ts}\xff{body}"}'


def test_an_unsigned_delivery_id_counts_together_with_the_body_only():
    act = actor("generic-github")
    request = act.request(act.sample(topic="contact.updated"))
    renamed = act.request(act.sample(topic="contact.updated", delivery_id="forged"))
    one, two = act.understand(request)[0], act.understand(renamed)[0]
    assert one.key != two.key
    assert b"delivery-7" in one.key
    signed = ACT.understand(ACT.request(ACT.sample()))[0]
    assert signed.key == b"delivery-7"


@pytest.mark.parametrize(
    ("body", "topic"),
    [
        (b'{"type":"event_callback","event_id":"Ev1","event":{"type":"app_mention"}}', "app_mention"),
        (b'{"type":"app_rate_limited"}', "app_rate_limited"),
        (b"command=%2Fship&text=x", "command"),
        (b"payload=%7B%7D", "interaction"),
    ],
)
def test_slacks_kinds_of_body_have_topics(body, topic):
    act = acting({"preset": "slack"})
    payload = orjson.loads(body) if body.startswith(b"{") else None
    assert act.provider.identify(Request("POST", "/", Headers(), body), act.source, payload).topic == topic


def test_only_slacks_signed_question_is_answered():
    question = b'{"type":"url_verification","challenge":"abc"}'
    request = Request("POST", "/", Headers(), question)
    assert ACT.provider.reply is not None
    answer = ACT.provider.reply(request, acting({"preset": "slack"}).source, "id")
    assert answer == Reply(200, b"abc", "text/plain; charset=utf-8")
    assert ACT.provider.reply(request, ACT.source, "id") is None
    twice = b'{"type":"url_verification","challenge":"a","challenge":"b"}'
    for body in (b"url_verification", b'["url_verification"]', b'{"type":"url_verification","challenge":1}', twice):
        assert ACT.provider.reply(replace(request, body=body), acting({"preset": "slack"}).source, "id") is None


def mapped(body: dict[str, Any], **mapping: Any) -> Any:
    act = acting({"topic": {"fixed": "t"}, "user": {"topics": ["t"], "id": "$.who.0.id", **mapping}})
    return act.understand(act.request(act.sample(topic="contact.created", body=orjson.dumps(body))))[1].changes[0]


def test_paths_reach_into_lists_and_numbers_become_text():
    found = mapped(
        {"who": [{"id": 2**60, "mail": "a@b.example", "tel": 5, "gone": None}], "at": 1_700_000_000_500},
        version="at",
        fields={"email": "who.0.mail", "phone": "$.who.0.tel", "gender": "who.0.gone", "locale": "who.0.absent"},
    )
    assert found.external_id == str(2**60)
    assert found.fields == {"email": "a@b.example", "phone": "5", "gender": None}
    assert found.version == datetime(2023, 11, 14, 22, 13, 20, 500_000, tzinfo=UTC)


def test_lists_and_objects_are_mapped_as_ours():
    found = mapped(
        {"who": [{"id": "u"}], "tags": "a, b,a", "roles": ["x", "x"], "custom": {"n": 1, "b": True, "none": None}},
        fields={"tags": "tags", "roles": "roles", "customFields": "custom"},
    )
    assert [tag["name"] for tag in found.fields["tags"]] == ["a", "b"]
    assert found.fields["roles"] == ["x"]
    assert found.fields["custom_fields"] == {"n": "1", "b": "true"}


@pytest.mark.parametrize("body", [{"who": []}, {"who": [{"id": None}]}, {"who": [{"id": True}]}, {"who": {"0": 1}}])
def test_without_an_id_it_is_unexpected(body):
    with pytest.raises(PayloadUnexpected, match="no id"):
        mapped(body)


def test_a_topic_that_is_not_mapped_is_ignored_and_a_deletion_deletes():
    act = acting({"topic": {"header": "X-Topic"}, "user": USER})
    for topic, op in (("contact.updated", "upsert"), ("contact.deleted", "delete")):
        request = act.request(act.sample(topic=topic))
        assert act.understand(request)[1].changes[0].op == op
    assert act.provider.transform(replace(act.understand(request)[0], topic="other"), {}, act.source).ignored
