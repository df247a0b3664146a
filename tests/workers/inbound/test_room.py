"""What one message brings into a record beside its fields: up to a size, and what is left out is named."""

from typing import Any
from uuid import uuid4

import pytest

from shared.providers.contract import Change
from shared.providers.leftovers import RECORD_BYTES
from shared.record_changes import record_change
from shared.record_kinds import KINDS
from tests.workers.inbound.dock import NOW, Dock
from tests.workers.inbound.test_records import hear, order


def checked(kind: str, name: str, told: Any) -> Any:
    """The field of a record of this kind, as a message that tells it so may change it."""
    change = Change(kind, "upsert", "1", NOW, {name: told})
    return record_change(change, account_id=uuid4(), provider="x", tenant="", version=NOW).fields[name]


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_message_says_of_a_record_beside_its_fields_has_an_end(kind: str) -> None:
    much = "x" * (RECORD_BYTES // 2)
    said = {"first": much, "second": 1}
    assert checked(kind, "attributes", said) == said
    assert checked(kind, "attributes", said | {"third": much + "x"}) == said | {"third": None, "left_out": ["third"]}


LISTS = [(kind.name, name) for kind in KINDS.values() for name in sorted(kind.lists)]


@pytest.mark.parametrize(("kind", "name"), LISTS)
def test_what_the_items_of_a_list_say_beside_their_fields_has_an_end_together(kind: str, name: str) -> None:
    items = [{"id": f"{n}", "attributes": {"note": "x" * 1_000, "colour": "red"}} for n in range(240)]
    assert checked(kind, name, items) == items
    more = [*items, *items, {"id": "x"}, {"id": "y", "attributes": {}}]
    short = {"colour": "red", "left_out": ["note"]}
    assert checked(kind, name, more) == [{**item, "attributes": short} for item in more[:-2]] + more[-2:]


@pytest.mark.parametrize(("kind", "name"), [("user", "address"), ("order", "billing_address")])
def test_what_an_address_says_beside_its_fields_has_an_end(kind: str, name: str) -> None:
    given = {"city": "Gent", "attributes": {"floor": "2", "note": "x" * RECORD_BYTES}}
    assert checked(kind, name, given) == {"city": "Gent", "attributes": {"floor": "2", "left_out": ["note"]}}
    assert checked(kind, name, None) is None


def test_what_is_left_out_is_named_until_it_is_told_again_and_nothing_old_stands_in_its_place(dock: Dock) -> None:
    much, name = "x" * RECORD_BYTES, "n" * 200
    for minute, told, kept in (
        (0, {"note": "old", "taste": "mild"}, {"note": "old", "taste": "mild"}),
        (1, {"note": much, name: much}, {"taste": "mild", "left_out": [name[:64], "note"]}),
        (2, {"taste": "hot"}, {"taste": "hot", "left_out": [name[:64], "note"]}),
        (3, {"note": "new"}, {"taste": "hot", "note": "new", "left_out": [name[:64]]}),
        (4, {name: 1}, {"taste": "hot", "note": "new", name: 1}),
        (5, {"left_out": [["theirs"]]}, {"taste": "hot", "note": "new", name: 1, "left_out": [["theirs"]]}),
        (6, {"note": "last"}, {"taste": "hot", "note": "last", name: 1, "left_out": [["theirs"]]}),
        (7, {"left_out": "gone"}, {"taste": "hot", "note": "last", name: 1, "left_out": "gone"}),
        (8, {"note": "last"}, {"taste": "hot", "note": "last", name: 1, "left_out": "gone"}),
    ):
        hear(dock, order(minute, attributes=told))
        assert dock.rows("orders")[0]["attributes"] == kept
    assert len(dock.told()) == 8  # the last had no news
