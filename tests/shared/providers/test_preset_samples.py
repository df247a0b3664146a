"""What a source of each preset is sent in a simulation: in the form of the senders that the preset is of."""

import base64
import hmac
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

import orjson
import pytest

from shared.providers import preset_samples, samples
from shared.providers.contract import Identity, Outcome, Request, Source
from shared.providers.presets import SCHEMES
from shared.providers.registry import PROVIDERS
from tests.shared.providers.acting import NOW, OTHER, SECRET, Actor

GENERIC = PROVIDERS["generic"]
EVERY = [(preset, topic) for preset in SCHEMES for topic in samples.topics("generic", {"preset": preset})]


def acting(settings: Mapping[str, Any]) -> Actor:
    return Actor(GENERIC, Source("source", "generic", (SECRET,), settings))


def request(act: Actor, topic: str, *, number: int = 7, second: int = 0, **more: Any) -> Request:
    at = NOW + timedelta(seconds=second)
    posted = samples.posted("generic", topic, number=number, at=at, settings=act.source.settings)
    sample = act.sample(topic=topic, body=posted.body, content_type=posted.content_type, number=number, now=at, **more)
    return act.request(sample)


def understood(act: Actor, made: Request) -> tuple[Identity, Outcome]:
    assert GENERIC.decode is not None
    try:
        payload = orjson.loads(made.body)
    except orjson.JSONDecodeError:
        payload = GENERIC.decode(made, act.source)
    identity = GENERIC.identify(made, act.source, payload)
    return identity, GENERIC.transform(identity, payload, act.source)


def test_every_preset_has_samples_and_settings_that_are_in_order():
    assert set(preset_samples.MAKERS) == set(preset_samples.SETTINGS) == set(SCHEMES)
    for preset, settings in preset_samples.SETTINGS.items():
        assert settings["preset"] == preset
        assert GENERIC.check_settings(settings) == []


@pytest.mark.parametrize(("preset", "topic"), EVERY)
def test_it_is_genuine_and_means_something_where_it_is_mapped(preset, topic):
    act = acting(preset_samples.SETTINGS[preset])
    for number in range(1, 13):
        made = request(act, topic, number=number)
        assert act.verify(made) is None
        assert act.verify(made, secrets=(OTHER,)) is not None
        identity, outcome = understood(act, made)
        assert identity.topic == topic
        assert outcome.changes
        assert outcome.problems == ()
        assert understood(acting({"preset": preset, "topic": {"fixed": topic}}), made)[1].ignored


@pytest.mark.parametrize(("preset", "topic"), EVERY)
def test_it_is_the_same_each_time_and_another_message_for_another_number_and_second(preset, topic):
    act = acting(preset_samples.SETTINGS[preset])
    made = request(act, topic)
    assert request(act, topic).body == made.body
    keys = {
        understood(act, one)[0].key
        for one in (made, request(act, topic, number=8), request(act, topic, second=1, delivery_id="delivery-9"))
    }
    assert len(keys) == 3


def test_github_names_its_event_in_headers_wherever_the_source_reads_it():
    for settings in ({"preset": "github"}, {"preset": "github", "topic": {"json": "action"}, "dedupe": {"fixed": "x"}}):
        headers = request(acting(settings), "issues").headers
        assert headers.get("X-GitHub-Event") == "issues"
        assert headers.get("X-GitHub-Delivery") == "delivery-7"
        assert (headers.get("X-Hub-Signature-256") or "").startswith("sha256=")


def test_hubspot_posts_an_array_of_events():
    act = acting(preset_samples.SETTINGS["hubspot"])
    assert [event["subscriptionType"] for event in orjson.loads(request(act, "contact.creation").body)] == [
        "contact.creation"
    ]
    mixed = orjson.loads(request(act, "mixed").body)
    assert {event["subscriptionType"] for event in mixed} == {
        "contact.creation",
        "contact.propertyChange",
        "contact.deletion",
    }


def test_twilio_posts_a_form_and_signs_its_url_and_the_sorted_fields():
    made = request(acting({"preset": "twilio"}), "message.received")
    assert made.headers.get("Content-Type") == "application/x-www-form-urlencoded"
    fields = dict(parse_qsl(made.body.decode(), keep_blank_values=True, strict_parsing=True))
    assert fields["SmsStatus"] == "received"
    assert "?" not in made.url
    content = made.url + "".join(name + fields[name] for name in sorted(fields))
    digest = base64.b64encode(hmac.digest(SECRET, content.encode(), "sha1")).decode()
    assert made.headers.get("X-Twilio-Signature") == digest


def test_slack_posts_events_as_json_and_commands_and_buttons_as_forms():
    act = acting({"preset": "slack"})
    kinds = {
        topic: request(act, topic).headers.get("Content-Type")
        for topic in samples.topics("generic", {"preset": "slack"})
    }
    forms = {topic for topic, kind in kinds.items() if kind == "application/x-www-form-urlencoded"}
    assert forms == {"command", "block_actions"}
    assert {kinds[topic] for topic in kinds.keys() - forms} == {"application/json"}


def test_slacks_workspace_is_known_whatever_it_posts():
    act = acting({"preset": "slack"})
    for topic in samples.topics("generic", {"preset": "slack"}):
        identity = understood(act, request(act, topic))[0]
        assert (identity.topic, identity.tenant) == (topic, "T0NORTHQUAY")
