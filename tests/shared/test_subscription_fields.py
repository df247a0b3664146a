"""What a subscription may be set to, and what it may not."""

from typing import Any

import pytest

from shared.errors import Unacceptable
from shared.event_types import CATALOGUE, patterns_of
from shared.settings import Settings
from shared.subscription_fields import check
from tests.shared.destinations import set_up

SETTINGS = Settings(request_timeout_seconds=30)
GOOD: dict[str, Any] = {"name": "CRM", "url": "https://1.1.1.1/hook", "events": ["user.created"]}


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"events": []}, "events_malformed"),
        ({"events": ["user.created"] * 101}, "events_malformed"),
        ({"events": ["user.create"]}, "event_type_unknown"),
        ({"events": ["*.created"]}, "event_type_unknown"),
        ({"events": ["user*"]}, "event_type_unknown"),
        ({"events": [""]}, "event_type_unknown"),
        ({"events": ["ordr.*"]}, "event_type_unknown"),
        ({"events": ["user.*", "usr.*"]}, "event_type_unknown"),
        ({"events": ["order.item.*"]}, "event_type_unknown"),
        ({"url": "http://1.1.1.1/"}, "scheme_refused"),
        ({"url": "ftp://1.1.1.1/"}, "scheme_refused"),
        ({"url": ""}, "scheme_refused"),
        ({"url": "https://169.254.169.254/latest/meta-data"}, "address_refused"),
        ({"url": "https://127.0.0.1/"}, "address_refused"),
        ({"url": "https://[::ffff:10.0.0.1]/"}, "address_refused"),
        ({"url": "https://user:pass@1.1.1.1/"}, "url_malformed"),
        ({"url": "https://1.1.1.1/" + "a" * 2000}, "url_malformed"),
        ({"name": "  "}, "name_malformed"),
        ({"name": "n" * 201}, "name_malformed"),
        ({"description": "d" * 2001}, "description_malformed"),
        ({"timeout_ms": 30_001}, "timeout_ms_out_of_range"),
        ({"timeout_ms": 99}, "timeout_ms_out_of_range"),
        ({"retry_attempts": -1}, "retry_attempts_out_of_range"),
        ({"retry_delay_seconds": 86_401.0}, "retry_delay_out_of_range"),
        ({"retry_delay_seconds": float("nan")}, "retry_delay_out_of_range"),
        ({"disable_after": 0}, "disable_after_out_of_range"),
        ({"disable_after_seconds": -0.1}, "disable_after_seconds_out_of_range"),
        ({"max_in_flight": 0}, "max_in_flight_out_of_range"),
        ({"schedule": "hourly"}, "schedule_unknown"),
        ({"ordering": "loose"}, "ordering_unknown"),
        ({"destination": "pigeon"}, "destination_unknown"),
    ],
)
def test_one_bad_field_among_good_ones_is_refused_by_its_code(fields: dict[str, Any], code: str) -> None:
    assert check(SETTINGS, GOOD).values["events"] == ["user.created"]
    with pytest.raises(Unacceptable) as refused:
        check(SETTINGS, {**GOOD, **fields})
    assert refused.value.code == code


@pytest.mark.parametrize("pattern", ["*", "user.*", "order.*", "booking.*", "subscription.disabled"])
def test_patterns_and_types_are_kept_once_each(pattern: str) -> None:
    assert check(SETTINGS, {"events": [pattern, "user.created", pattern]}, destination="webhook").values["events"] == [
        pattern,
        "user.created",
    ]


@pytest.mark.parametrize(
    ("written", "meant"), [("user.craeted", r"user\.created"), ("ordr.*", r"order\.\*"), ("usr.*", r"user\.\*")]
)
def test_a_misspelt_type_is_answered_with_what_was_meant(written: str, meant: str) -> None:
    with pytest.raises(Unacceptable, match=meant):
        check(SETTINGS, {"events": [written]}, destination="webhook")


@pytest.mark.parametrize("event_type", sorted(CATALOGUE))
def test_whatever_matches_a_type_is_accepted_and_nothing_else_is(event_type: str) -> None:
    patterns = patterns_of(event_type)
    assert check(SETTINGS, {"events": patterns}, destination="webhook").values["events"] == patterns
    with pytest.raises(Unacceptable):
        check(SETTINGS, {"events": [f"{event_type}.*"]}, destination="webhook")


def test_private_networks_can_be_allowed() -> None:
    settings = Settings(allowed_destination_cidrs="10.1.0.0/16", allow_http_destinations=True)
    assert check(settings, {"url": "http://10.1.2.3/hook"}).warnings == ()
    with pytest.raises(Unacceptable):
        check(settings, {"url": "http://10.2.0.1/hook"})


def test_only_what_is_given_is_checked_and_given_back() -> None:
    assert check(SETTINGS, {}, destination="webhook").values == {}
    assert check(SETTINGS, {"name": " CRM "}, destination="webhook").values == {"name": "CRM"}


@pytest.mark.parametrize(
    ("destination", "given", "becomes"),
    [
        ("webhook", None, None),
        ("sheets", None, None),
        ("hubspot", None, "record"),
        ("xwanai", None, "record"),
        ("hubspot", "none", "none"),
        ("xwanai", "strict", "strict"),
        ("webhook", "record", "record"),
    ],
)
def test_a_destination_that_keeps_state_is_ordered_by_record_unless_told_otherwise(
    destination: str, given: str | None, becomes: str | None
) -> None:
    fields = {**GOOD, "destination": destination, "settings": set_up.SETTINGS.get(destination, {})}
    if destination in set_up.CREDENTIALS:
        fields["credential"] = set_up.CREDENTIALS[destination]
    if given is not None:
        fields["ordering"] = given
    assert check(SETTINGS, fields).values.get("ordering") == becomes
