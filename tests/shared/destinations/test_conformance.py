"""What every destination keeps to; the registry enrols them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.destinations.contract import Answer, Destination, Judgement, Landing, Outgoing, Parcel, Verdict
from shared.destinations.registry import DESTINATIONS
from shared.event_types import CATALOGUE
from shared.events import envelope
from tests.shared.destinations.set_up import CREDENTIALS, SETTINGS

NOW = datetime(2026, 11, 6, 10, 30, tzinfo=UTC)
EACH = pytest.mark.parametrize("destination", DESTINATIONS.values(), ids=lambda each: each.name)


def parcel(destination: Destination, event_type: str, **changes: Any) -> Parcel:
    kind = CATALOGUE[event_type]
    body = envelope(event_type=event_type, data=kind.data, source="shopify", action=kind.action, at=NOW)
    values: dict[str, Any] = {
        "event_id": "0195c1a2-7f00-7a11-8b22-c33d44e55f66",
        "event_type": event_type,
        "body": body.encode(),
        "delivery_id": "0195c1a2-7f00-7a11-8b22-c33d44e55f67",
        "attempt_number": 1,
        "url": destination.url or "https://crm.example/hook",
        "secrets": (CREDENTIALS.get(destination.name, "whsec_YWJj"),),
        "settings": SETTINGS.get(destination.name, {}),
    }
    return Parcel(**{**values, **changes})


@EACH
def test_every_destination_is_registered_under_its_name_and_has_a_title(destination: Destination):
    assert DESTINATIONS[destination.name] is destination
    assert destination.title


@EACH
def test_its_own_settings_are_taken_and_unknown_or_mistyped_ones_are_refused_in_words(destination: Destination):
    settings = SETTINGS.get(destination.name, {})
    assert destination.check_settings(settings) == []
    assert destination.check_settings({**settings, "no such": 1})
    for name in settings:
        for wrong in (None, 7.5, [[]], {"a": []}):
            assert destination.check_settings({**settings, name: wrong}), (name, wrong)


@EACH
def test_a_credential_is_looked_at_where_one_is_brought(destination: Destination):
    if destination.check_credential is None:
        assert destination.name not in CREDENTIALS
        return
    assert destination.check_credential(CREDENTIALS[destination.name]) == []
    for wrong in ("", " ", "with\nline", "{}"):
        assert destination.check_credential(wrong)


@EACH
def test_it_names_only_types_of_the_catalogue(destination: Destination):
    assert set(destination.event_types or ()) <= set(CATALOGUE)


def talk(destination: Destination, parcels: Sequence[Parcel], answer: Answer) -> tuple[list[Outgoing], list[Landing]]:
    """What goes out for these if every request gets this answer, and what it comes to."""
    assert destination.batching is not None
    asked, landings = [], None
    conversation = destination.batching.converse(parcels, {}, lambda: NOW)
    try:
        asked.append(next(conversation))
        while True:
            asked.append(conversation.send(answer))
    except StopIteration as end:
        landings = end.value
    assert len(landings) == len(parcels)
    return asked, landings


def ask(destination: Destination, *parcels: Parcel) -> list[Outgoing]:
    """What goes out for these if every request is answered by a plain 200."""
    return talk(destination, parcels, Answer(200, body=b"{}"))[0]


def test_each_has_one_way_of_sending():
    for destination in DESTINATIONS.values():
        assert (destination.build is None) == (destination.judge is None) == (destination.batching is not None)


@EACH
@pytest.mark.parametrize("event_type", CATALOGUE)
def test_every_event_is_sent_or_declined_and_never_raises(destination: Destination, event_type: str):
    one = parcel(destination, event_type)
    if destination.build is None:
        made = ask(destination, one)
        assert bool(made) == destination.takes(event_type)
        assert made == ask(destination, one)
    else:
        only = destination.build(one, NOW)
        assert only == destination.build(one, NOW)  # a repeat says the same
        if not destination.takes(event_type):
            assert only == Judgement(Verdict.DEAD, "event_unsupported")
            return
        assert isinstance(only, Outgoing)
        made = [only]
    for outgoing in made:
        assert outgoing.url.startswith("https://")
        assert one.secrets[0] not in outgoing.url
        assert one.secrets[0].encode() not in outgoing.body
        assert not outgoing.quota or outgoing.quota in destination.quotas(one.settings)


def landing(destination: Destination, answer: Answer) -> Judgement:
    """What the first request's answer, given to every request, comes to."""
    if destination.judge is not None:
        return destination.judge(answer, NOW)
    one = parcel(destination, min(destination.event_types or ["user.created"]))
    _, (landed,) = talk(destination, [one], answer)
    return landed.judgement


@EACH
@pytest.mark.parametrize("status", [None, *range(100, 200, 7), *range(300, 600, 7), 400, 401, 403, 404, 409, 410, 422])
def test_nothing_but_2xx_is_ever_success(destination: Destination, status: int | None):
    judgement = landing(destination, Answer(status, error_code=None if status else "timeout"))
    assert judgement.verdict is not Verdict.DELIVERED
    assert judgement.code


@EACH
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b"\xff", b'{"access_token": 7}', b'{"errors": 3}'])
@pytest.mark.parametrize("status", [200, 207, 400, 429])
def test_an_answer_of_nonsense_is_judged_all_the_same(destination: Destination, status: int, body: bytes):
    assert landing(destination, Answer(status, body=body)).verdict in Verdict


@EACH
def test_a_429_waits_as_long_as_it_asks(destination: Destination):
    judgement = landing(destination, Answer(429, {"retry-after": "17"}))
    assert judgement.retry_after_seconds == 17
    assert judgement.verdict is (Verdict.AGAIN if destination.name == "webhook" else Verdict.LATER)
