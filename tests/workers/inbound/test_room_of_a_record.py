"""What many messages together bring into a record beside its fields: up to a size, and what is left out is named."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson
from hypothesis import given
from hypothesis import strategies as st

from shared.providers import leftovers, samples
from shared.providers.leftovers import LEFT_OUT, NAME_CHARACTERS, NAMES_MAX, RECORD_BYTES
from shared.record_changes import RecordChange, RecordKey
from shared.record_kinds import KINDS
from tests.workers.inbound.dock import NOW, Dock
from tests.workers.inbound.test_channels import Channel
from tests.workers.inbound.test_shipped_orders import became, created, item, order_of
from tests.workers.inbound.test_shipped_orders import hear as hear_flipkart
from workers.inbound import room, shipped_orders
from workers.inbound.guard import Effect, apply
from workers.inbound.room import TOTAL_BYTES

MARK_BYTES = 2 * NAMES_MAX * NAME_CHARACTERS  # for the names, which are ASCII in these tests


def client(minute: int, **more: Any) -> dict[str, Any]:
    body: dict[str, Any] = orjson.loads(samples.make("robaws", "client.updated", number=3, at=NOW))
    body["id"] = f"00000000-0000-4000-8000-{minute:012}"
    body["data"] |= {"updatedAt": (NOW + timedelta(minutes=minute)).isoformat(), **more}
    return body


def test_six_messages_with_names_of_their_own_do_not_add_up_without_end(dock: Dock) -> None:
    channel = Channel(dock, "robaws")
    for minute in range(6):
        words = {f"news_{minute}_{n}": "x" * 1_000 for n in range(230)}
        channel.send("client.updated", client(minute, memo="kept", **words), minute=minute)
        channel.drain()
    assert {row["state"] for row in dock.rows("messages")} == {"processed"}
    [user] = dock.rows("users")
    attributes = user["attributes"]
    assert leftovers.size(attributes) <= TOTAL_BYTES + MARK_BYTES
    assert {f"news_5_{n}" for n in range(230)} <= attributes.keys()  # what was said last
    assert attributes["memo"] == "kept"
    assert len(attributes[LEFT_OUT]) == NAMES_MAX
    assert not attributes.keys() & set(attributes[LEFT_OUT])
    assert max(len(row["body"]) for row in dock.rows("events")) < 4 * TOTAL_BYTES

    left = attributes[LEFT_OUT][0]
    channel.send("client.updated", client(7, **{left: "again"}), minute=7)
    channel.drain()
    attributes = dock.rows("users")[0]["attributes"]
    assert attributes[left] == "again"
    assert left not in attributes[LEFT_OUT]


def test_custom_fields_have_an_end_as_well_and_their_names_stand_with_the_others(dock: Dock) -> None:
    channel = Channel(dock, "robaws")
    for minute in range(6):
        extra = {f"field_{minute}_{n}": {"stringValue": "x" * 1_000} for n in range(230)}
        channel.send("client.updated", client(minute, extraFields=extra), minute=minute)
    channel.drain()
    [user] = dock.rows("users")
    assert leftovers.size(user["custom_fields"]) <= TOTAL_BYTES
    assert {f"field_5_{n}" for n in range(230)} <= user["custom_fields"].keys()
    assert LEFT_OUT not in user["custom_fields"]
    left = user["attributes"][LEFT_OUT][0]
    assert left.startswith("customFields.field_")
    channel.send("client.updated", client(7, extraFields={left.partition(".")[2]: {"stringValue": "x"}}), minute=7)
    channel.drain()
    assert left not in dock.rows("users")[0]["attributes"][LEFT_OUT]


def test_an_order_is_told_of_through_so_many_shipments_and_no_more(dock: Dock) -> None:
    most = shipped_orders.SHIPMENTS_MAX
    hear_flipkart(dock, *(created(f"S{n:03}", item(f"{n}", 100), minute=n) for n in range(most + 40)))
    order = order_of(dock)
    kept = [name for name in order["attributes"] if name.startswith("shipment:")]
    clocks = [name for name in order["attributes"] if name.endswith("_at")]
    assert (len(kept), len(clocks), len(order["line_items"]), order["total_minor"]) == (most, most, most, most * 10_000)
    assert order["attributes"][LEFT_OUT] == [f"shipment:S{n}" for n in range(most, most + NAMES_MAX)]
    assert len(dock.rows("shipments")) == most + 40  # which have all that is said of each
    events = len(dock.told())

    hear_flipkart(dock, became(f"S{most}", "shipped", minute=400), became("S001", "shipped", minute=400))
    order = order_of(dock)
    assert "shipment_state:S001" in order["attributes"]
    assert f"shipment_state:S{most}" not in order["attributes"]
    assert (order["status"], order["fulfillment_status"]) == ("open", "partial")
    assert dock.told()[events:].count("order.updated") == 1  # and nothing of the one that was left out


def test_shipments_that_say_much_have_an_end_before_there_are_many(dock: Dock) -> None:
    for number in range(6):
        items = [item(f"{number}-{n}", 100, title="x" * 1_000) for n in range(180)]
        hear_flipkart(dock, created(f"S{number}", *items, minute=number))
    order = order_of(dock)
    assert leftovers.size(order["attributes"]) <= TOTAL_BYTES + MARK_BYTES
    assert order["attributes"][LEFT_OUT] == ["shipment:S2", "shipment:S3", "shipment:S4", "shipment:S5"]
    assert len(order["line_items"]) == 2 * 180  # those it had, as they were


KEY = RecordKey(UUID(int=1), "x", "", "7")
NAMES = st.sampled_from([*"abcdefgh", "consent_at", "shipment:1", "orderIds", LEFT_OUT])
VALUES = st.none() | st.integers(1, RECORD_BYTES // 2).map(lambda count: "x" * count)
SAID = st.dictionaries(NAMES, VALUES, min_size=1, max_size=4)


@given(st.sampled_from([*KINDS]).map(KINDS.__getitem__), st.lists(SAID, min_size=1, max_size=6), st.booleans())
def test_whatever_is_said_in_whatever_order_fits_and_the_last_word_stands(kind: Any, story: Any, is_part: bool) -> None:
    row = None
    for minute, said in enumerate(story):
        version = NOW + timedelta(minutes=minute)
        part = "email" if is_part else None
        row = apply(row, RecordChange(kind, KEY, "upsert", version, {"attributes": said}, part=part), now=NOW).after
        assert row is not None
        attributes = row["attributes"]
        assert leftovers.size(attributes) <= TOTAL_BYTES + MARK_BYTES
        mine = {name: value for name, value in said.items() if value is not None and name != LEFT_OUT}
        if is_part:
            mine["email_at"] = attributes["email_at"]
        if leftovers.size(mine) <= RECORD_BYTES:
            assert mine.items() <= attributes.items()
        again = RecordChange(kind, KEY, "upsert", version, {"attributes": said}, part=part)
        assert apply(row, again, now=NOW).effect is Effect.UNCHANGED


def test_what_the_drain_works_with_gives_way_last() -> None:
    known = {f"n{n}": 1 for n in range(50_000)} | {"email_consent_at": "2026-03-02T12:00:00.000Z"}
    said = {"long": "x" * (RECORD_BYTES - 100)}
    before = {**KINDS["user"].blank, "attributes": known}
    change = RecordChange(KINDS["user"], KEY, "upsert", NOW, {"attributes": said})
    found = room.within(before, {"attributes": known | said}, change)["attributes"]
    assert found["long"] == said["long"]
    assert found["email_consent_at"] == known["email_consent_at"]
    assert len(known) > len(found) > 1_000
