"""Properties of the version guard and of what is told, for every kind of record."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from shared.record_changes import RecordChange, RecordKey
from shared.record_kinds import KINDS, ORDER, PRODUCT, REPORT, Form, RecordKind
from tests.workers.inbound.dock import NOW
from workers.inbound.guard import Applied, Effect, Row, apply
from workers.inbound.origin import Origin
from workers.inbound.record_events import drafts

_KEY = RecordKey(uuid4(), "shopify", "", "7")
_VALUES = {
    Form.TEXT: "x",
    Form.ID: "x",
    Form.FLAG: True,
    Form.TEXTS: ["x"],
    Form.ITEMS: [{"a": 1}],
    Form.PART: {"a": 1},
}


def _changes(kind: RecordKind) -> st.SearchStrategy[list[RecordChange]]:
    usable = [field for field in kind.fields if field.form in _VALUES]

    def change(minute: int, op: Any, names: set[int]) -> RecordChange:
        fields = {
            usable[n % len(usable)].name: (usable[n % len(usable)].words or (_VALUES[usable[n % len(usable)].form],))[0]
            for n in names
        }
        return RecordChange(kind, _KEY, op, NOW + timedelta(minutes=minute), fields if op == "upsert" else {})

    ops = st.sampled_from(["upsert", "upsert", "upsert", "delete"])
    return st.lists(st.builds(change, st.integers(0, 5), ops, st.sets(st.integers(0, 9), max_size=3)), max_size=8)


ANY_STORY = st.sampled_from(sorted(KINDS)).flatmap(lambda name: _changes(KINDS[name]))


def _after(changes: list[RecordChange]) -> tuple[Row | None, list[Applied]]:
    row, story = None, []
    for one in changes:
        story.append(apply(row, one, now=NOW))
        row = story[-1].after
    return row, story


@given(ANY_STORY)
def test_of_every_kind_an_older_change_alters_nothing_and_versions_never_fall(changes: list[RecordChange]) -> None:
    for applied, change in zip(_after(changes)[1], changes, strict=True):
        if applied.before is not None and applied.after is not None:
            assert applied.after["version"] >= applied.before["version"]
            if change.version < applied.before["version"]:
                assert applied.effect is Effect.STALE
                assert applied.after is applied.before


@given(ANY_STORY)
def test_of_every_kind_the_same_story_again_changes_and_tells_nothing(changes: list[RecordChange]) -> None:
    distinct = list({one.version: one for one in changes}.values())
    row, _ = _after(distinct)
    origin = Origin(uuid4(), None, None, "shopify", NOW, NOW)
    for one in distinct:
        applied = apply(row, one, now=NOW)
        assert applied.after is row
        assert list(drafts(one.kind, applied, origin)) == []


@given(ANY_STORY)
def test_of_every_kind_nothing_personal_comes_back_after_redaction(changes: list[RecordChange]) -> None:
    if not changes:
        return
    kind = changes[0].kind
    tombstone = {"deleted_at": NOW}
    for extra in ({}, tombstone):
        row: Row = {
            "id": "1",
            **_KEY._asdict(),
            "version": NOW,
            "deleted_at": None,
            **kind.blank,
            "created_at": NOW,
            "updated_at": NOW,
            "redacted_at": NOW,
            **extra,
        }
        for one in changes:
            applied = apply(row, one, now=NOW)
            assert applied.after is not None
            row = applied.after
            assert row["redacted_at"] == NOW
            assert all(row[name] == kind.blank[name] for name in kind.personal)
            if extra:
                assert applied.effect is Effect.STALE


_REST = {"attributes": {"properties": [{"name": "Engraving", "value": "for Anna"}]}}


def test_an_item_that_says_nothing_of_its_attributes_keeps_those_it_had() -> None:
    first = [{"id": "1", "sku": "A", **_REST}, {"id": "2", "sku": "B", **_REST}, {"sku": "C", **_REST}]
    said = [{"id": "2", "sku": "B2"}, {"id": "1", "sku": "A", "attributes": {}}, {"id": "3", "sku": "D"}, {"sku": "C"}]
    told = [RecordChange(PRODUCT, _KEY, "upsert", NOW, {"variants": items}) for items in (first, said)]
    row, _ = _after(told)
    assert row is not None
    assert row["variants"] == [said[0] | _REST, *said[1:]]


def test_what_a_mapping_calls_an_id_may_be_anything() -> None:
    odd = [{"id": ["1"], **_REST}, {"id": {}, **_REST}, {"id": None, **_REST}]
    bare = [{"id": item["id"]} for item in odd]
    row, _ = _after([RecordChange(ORDER, _KEY, "upsert", NOW, {"line_items": items}) for items in (odd, bare)])
    assert row is not None
    assert row["line_items"] == bare


def test_the_words_of_a_person_who_is_forgotten_do_not_come_back_in_a_line() -> None:
    said = RecordChange(ORDER, _KEY, "upsert", NOW, {"line_items": [{"id": "1", "sku": "A", **_REST}], "email": "a@x"})
    live, _ = _after([said])
    assert live is not None
    for row, change in (
        (live | {"redacted_at": NOW, "line_items": []}, said),
        (None, replace(said, is_of_forgotten=True)),
    ):
        applied = apply(row, change, now=NOW)
        assert applied.after is not None
        assert applied.after["line_items"] == [{"id": "1", "sku": "A"}]


_WORDS = st.builds(
    lambda minute, word: RecordChange(ORDER, _KEY, "upsert", NOW + timedelta(minutes=minute), {"status": word}),
    st.integers(0, 5),
    st.sampled_from(["open", "cancelled", "closed", None]),
)


@given(st.lists(_WORDS, max_size=8))
def test_a_transition_is_told_as_often_as_the_state_was_entered(changes: list[RecordChange]) -> None:
    _, story = _after(changes)
    origin = Origin(uuid4(), None, None, "shopify", NOW, NOW)
    told = [draft.type for applied in story for draft in drafts(ORDER, applied, origin)]
    entered, was = 0, None
    for applied in story:
        if applied.effect in (Effect.CREATED, Effect.UPDATED) and applied.after is not None:
            now_cancelled = applied.after["status"] == "cancelled"
            entered += int(now_cancelled and was != "cancelled")
            was = applied.after["status"]
        elif applied.effect is Effect.DELETED:
            was = None
    assert told.count("order.cancelled") == entered


def test_a_report_tells_only_its_own_kind() -> None:
    for report_kind, event_type in (("feed", "feed.finished"), ("report", "report.finished")):
        change = RecordChange(REPORT, _KEY, "upsert", NOW, {"report_kind": report_kind, "status": "done"})
        origin = Origin(uuid4(), None, None, "amazon", NOW, NOW)
        told = [draft.type for draft in drafts(REPORT, apply(None, change, now=NOW), origin)]
        assert told == [event_type]
