"""What a provider says and we have no field for is kept, wherever in the body it stands, and only so much of it."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from shared.providers import leftovers, samples
from shared.providers.samples import Payload
from tests.shared.providers.acting import actor

NEWS = "nobody has heard of it"
# What is about the message and says nothing of a record; of ManyChat's custom fields it is the field's, not theirs.
FRAMES: dict[str, tuple[str, ...]] = {
    "amazon": ("", "NotificationMetadata", "notificationMetadata", "Payload", "payload", "detail"),
    "robaws": ("", "extraFields"),  # whose every name is an extra field's
    "flipkart": (),
    "selloship": (),
    "myntra": (),
    "manychat": ("tags", "custom_fields"),
}


def objects(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    if isinstance(value, dict):
        yield path, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in list(items):
        yield from objects(item, (*path, key))


def is_frame(name: str, path: tuple[Any, ...], whole: dict[str, Any]) -> bool:
    if name == "manychat" and not path:
        return "data" in whole
    last = next((str(step) for step in reversed(path) if isinstance(step, str)), "")
    return last in FRAMES[name]


PAYLOADS = [one for name in FRAMES for one in samples.stored(name) if "Confirmation" not in one.topic]


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda one: f"{one.provider}-{one.topic}-{one.variant}")
def test_a_field_that_nobody_has_heard_of_is_kept_wherever_it_stands(payload: Payload) -> None:
    act = actor(payload.provider)
    whole = orjson.loads(payload.body)
    places = [path for path, _ in objects(whole) if not is_frame(payload.provider, path, whole)]
    assert places
    for path in places:
        body = orjson.loads(payload.body)
        next(one for place, one in objects(body) if place == path)["unheardOf"] = NEWS
        request = act.request(act.sample(topic=payload.topic, body=orjson.dumps(body)))
        identity = act.provider.identify(request, act.source, body)
        changes = act.provider.transform(identity, body, act.source).changes
        assert NEWS in str([dict(change.fields) for change in changes]), path


def test_what_there_is_no_room_for_is_named_and_what_comes_first_is_kept():
    given = {"id": 5, "first_id": 2**60, "long": "x" * leftovers.CHARACTERS_MAX, "small": [1], "longer": "y" * 9_000}
    assert leftovers.of(given, ["id"]) == {"first_id": str(2**60), "small": [1], "left_out": ["long", "longer"]}
    assert leftovers.of({"id": 5}, ["id"]) == {}


def test_a_line_that_never_ends_is_kept_in_part() -> None:
    act = actor("selloship")
    item = {"id": "1"} | {f"field{n}": "x" * 90 for n in range(1_000)}
    body = {"waybillDetails": {"waybill": "W1", "items": [item]}}
    [change] = act.understand(act.request(act.sample(body=orjson.dumps(body))))[1].changes
    [line] = change.fields["line_items"]
    assert len(str(line)) < leftovers.CHARACTERS_MAX + 3_000
    assert len(line["attributes"]["left_out"]) == leftovers.NAMES_MAX
