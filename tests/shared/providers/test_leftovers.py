"""What a provider says and we have no field for is kept, wherever in the body it stands, and only so much of it."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

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


def test_what_there_is_no_room_for_is_named_and_the_longest_is_left_out():
    told = {"id": 5, "first_id": 2**60, "long": "x" * leftovers.ITEM_BYTES, "small": [1], "longer": "y" * 9_000}
    assert leftovers.of(told, ["id"]) == {"first_id": str(2**60), "small": [1], "left_out": ["long", "longer"]}
    assert leftovers.of({"id": 5}, ["id"]) == {}


@given(
    st.dictionaries(st.text(max_size=90), st.text(st.characters(), max_size=200) | st.integers(0, 9), max_size=40),
    st.integers(2, 5_000),
)
def test_it_never_takes_more_than_its_room_and_keeps_all_that_fits(rest, most):
    kept = leftovers.within(most, dict(rest))
    assert leftovers.size(kept) <= most
    if leftovers.size(rest) <= most:
        assert kept == rest
    elif kept:
        missing = [name for name in rest if name not in kept]
        assert missing
        assert {name[: leftovers.NAME_CHARACTERS] for name in missing} >= set(kept["left_out"])
        shortest = min(leftovers.size({name: rest[name]}) for name in missing)
        assert all(leftovers.size({name: rest[name]}) <= shortest for name in kept if name in rest)


def test_of_equals_the_first_are_kept_in_their_order():
    kept = leftovers.within(100, {f"n{number}": "x" * 20 for number in (3, 1, 2, 4)})
    assert list(kept) == ["n3", "n1", "left_out"]
    assert kept["left_out"] == ["n2", "n4"]


def test_a_line_that_never_ends_is_kept_in_part() -> None:
    act = actor("selloship")
    item = {"id": "1"} | {f"field{n}": "x" * 90 for n in range(50_000)}
    body = {"waybillDetails": {"waybill": "W1", "items": [item]}}
    [change] = act.understand(act.request(act.sample(body=orjson.dumps(body))))[1].changes
    [line] = change.fields["line_items"]
    assert leftovers.size(line["attributes"]) <= leftovers.ITEM_BYTES
    assert len(line["attributes"]["left_out"]) == leftovers.NAMES_MAX
