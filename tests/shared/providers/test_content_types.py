"""What a body may be called, for every provider: whatever is genuine in real life passes, and all else is told why."""

from dataclasses import replace

import pytest

from shared.providers import content_types
from shared.providers.contract import Headers, Refusal
from shared.providers.registry import PROVIDERS
from tests.shared.providers.acting import CASES, Actor, actor

FORMS = {case for case in CASES if actor(case).provider.reads_forms(actor(case).source)}
FORM = "application/x-www-form-urlencoded"


def judged(act: Actor, *values: str, body: bytes = b"{}") -> Refusal | None:
    request = act.request(act.sample())
    request = replace(request, headers=Headers([("Content-Type", value) for value in values]), body=body)
    return content_types.check(act.provider, request, act.source)


@pytest.fixture(params=list(CASES))
def act(request: pytest.FixtureRequest) -> Actor:
    return actor(request.param)


def test_what_a_provider_sends_itself_passes(act):
    assert content_types.check(act.provider, act.request(act.sample()), act.source) is None


@pytest.mark.parametrize(
    "value",
    [
        "application/json",
        "Application/JSON ; Charset=UTF-8",
        'application/json;charset="utf8"',
        "application/json; charset=us-ascii",
        "application/json; odd; version=2; =",
        "application/vnd.shop.v2+json",
        "application/cloudevents+json; charset=utf-8",
        "text/json",
        "text/plain; charset=UTF-8",  # Amazon SNS
        "application/json, application/json",  # sent twice, and folded
        "",
        " ",
    ],
)
def test_json_passes_under_all_its_names(act, value):
    assert judged(act, value) is None


def test_what_is_called_nothing_passes_and_so_does_what_is_no_body(act):
    assert judged(act) is None
    assert judged(act, "image/png", body=b"") is None


@pytest.mark.parametrize(
    "value",
    [
        "text/html",
        "application/xml",
        "multipart/form-data; boundary=x",
        "application/octet-stream",
        "json",
        "application/jsonp",
        "text/x+json",
        "\xff/\x80",
        "application/json; charset=iso-8859-1",
        "application/json; charset=utf-8; charset=utf-16",
        "application/json; charset=utf-16",
        "application/json, text/html",
        "x" * 100_000,
        "a\x00\ud800\n/b",
    ],
)
def test_anything_else_is_refused_and_told_what_is_taken(act, value):
    refusal = judged(act, value)
    assert refusal is not None
    assert (refusal.code, refusal.status) == ("content_type_unsupported", 415)
    assert "application/json, application/*+json, text/json, text/plain" in refusal.message
    assert len(refusal.message) < 300
    assert refusal.message.isprintable()


def test_two_types_are_refused_when_one_of_them_would_be(act):
    assert judged(act, "application/json", "application/json") is None
    assert judged(act, "application/json", "text/html") is not None


def test_a_form_passes_where_forms_are_read_and_nowhere_else(act):
    refusal = judged(act, f"{FORM}; charset=UTF-8")
    assert (refusal is None) == act.provider.reads_forms(act.source)
    assert refusal is None or FORM not in refusal.message.partition(", but ")[2]
    refused = judged(act, f"{FORM}; charset=latin-1")
    assert refused is not None
    assert f"{FORM}; charset=latin-1" in refused.message


def test_the_presets_that_read_forms_are_those_whose_senders_post_them():
    assert {
        "generic-github",
        "generic-slack",
        "generic-twilio",
        "generic-hmac",
        "generic-sha512",
    } == FORMS
    assert all(act.provider.decode is not None for act in map(actor, FORMS))


@pytest.mark.parametrize("name", ["anyContentType", "any_content_type"])
def test_a_source_can_take_whatever_its_bodies_are_called(act, name):
    settings = {**act.source.settings, name: True}
    assert act.provider.check_settings(settings) == []
    lifted = replace(act, source=replace(act.source, settings=settings))
    assert judged(lifted, "text/html") is None
    assert lifted.verify(lifted.request(lifted.sample())) is None
    back = replace(act, source=replace(act.source, settings={**settings, name: False}))
    assert judged(back, "text/html") is not None


@pytest.mark.parametrize("name", PROVIDERS)
def test_the_setting_is_either_on_or_off(name):
    act = actor(name)
    assert act.provider.check_settings({**act.source.settings, "anyContentType": "sometimes"})
    odd = replace(act.source, settings={"anyContentType": []})  # written past the API
    request = replace(act.request(act.sample()), headers=Headers([("Content-Type", "text/html")]))
    assert content_types.check(act.provider, request, odd) is not None
