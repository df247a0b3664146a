from datetime import timedelta
from typing import Any, Literal
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from shared.record_changes import RecordChange, RecordKey
from shared.record_kinds import USER
from tests.workers.inbound.dock import NOW
from workers.inbound.guard import Applied, Effect, Row, apply

KEY = RecordKey(UUID(int=1), "shopify", "", "7")


def change(minute: int, op: Literal["upsert", "delete"] = "upsert", **fields: Any) -> RecordChange:
    return RecordChange(USER, KEY, op, NOW + timedelta(minutes=minute), fields)


def after(*changes: RecordChange) -> tuple[Row | None, list[Applied]]:
    row, story = None, []
    for one in changes:
        story.append(apply(row, one, now=NOW))
        row = story[-1].after
    return row, story


def effects(*changes: RecordChange) -> list[Effect]:
    return [applied.effect for applied in after(*changes)[1]]


CHANGES = st.lists(
    st.builds(
        lambda minute, op, email: change(minute, op, **({"email": email} if op == "upsert" else {})),
        st.integers(0, 5),
        st.sampled_from(["upsert", "upsert", "delete"]),
        st.sampled_from(["a@x", "b@x", None]),
    ),
    max_size=8,
)


@given(CHANGES)
def test_the_version_never_falls_and_an_older_change_alters_nothing(changes: list[RecordChange]) -> None:
    row = None
    for one in changes:
        applied = apply(row, one, now=NOW)
        if row is not None:
            assert applied.after is not None
            assert applied.after["version"] >= row["version"]
            if one.version < row["version"]:
                assert applied.effect is Effect.STALE
                assert applied.after is row
        row = applied.after


@given(CHANGES)
def test_only_the_newest_version_decides_whether_the_user_is_there(changes: list[RecordChange]) -> None:
    row, _ = after(*changes)
    if row is None:
        return
    newest = [one for one in changes if one.version == row["version"]]
    assert row["version"] == max(one.version for one in changes)
    # At one instant a deletion outweighs whatever else is said of it.
    assert (row["deleted_at"] is not None) == any(one.op == "delete" for one in newest)


@given(CHANGES)
def test_telling_the_same_story_twice_changes_nothing_more_once_versions_differ(changes: list[RecordChange]) -> None:
    distinct = list({one.version: one for one in changes}.values())
    row, _ = after(*distinct)
    for one in distinct:
        applied = apply(row, one, now=NOW)
        assert applied.after is row
        assert applied.effect in (Effect.STALE, Effect.UNCHANGED)


@given(CHANGES, st.randoms(use_true_random=False))
def test_full_snapshots_in_any_order_end_the_same(changes: list[RecordChange], random: Any) -> None:
    distinct = list({one.version: one for one in changes}.values())
    shuffled = random.sample(distinct, len(distinct))
    row, other = after(*distinct)[0], after(*shuffled)[0]
    told = ("version", "email")
    assert (row and [row[name] for name in told]) == (other and [other[name] for name in told])
    assert (row and row["deleted_at"] is None) == (other and other["deleted_at"] is None)


@given(CHANGES)
def test_rows_are_never_mutated(changes: list[RecordChange]) -> None:
    seen: list[tuple[Row, Row]] = []
    row = None
    for one in changes:
        row = apply(row, one, now=NOW).after
        if row is not None:
            seen.append((row, dict(row)))
    assert all(row == copy for row, copy in seen)


def test_the_first_word_creates_and_the_next_update() -> None:
    assert effects(change(0, email="a@x"), change(1, email="b@x")) == [Effect.CREATED, Effect.UPDATED]


def test_an_equal_version_counts_when_it_says_something_new() -> None:
    assert effects(change(0, email="a@x"), change(0, phone="1"), change(0, phone="1")) == [
        Effect.CREATED,
        Effect.UPDATED,
        Effect.UNCHANGED,
    ]


def test_a_newer_change_without_news_still_makes_what_is_older_stale() -> None:
    story = effects(change(0, email="a@x"), change(5, email="a@x"), change(3, email="b@x"))
    assert story == [Effect.CREATED, Effect.UNCHANGED, Effect.STALE]


def test_a_tombstone_forgets_the_person_and_cannot_be_revived_by_what_is_older() -> None:
    row, story = after(change(0, email="a@x", custom_fields={"tea": "x"}), change(5, "delete"), change(4, email="b@x"))
    assert [applied.effect for applied in story] == [Effect.CREATED, Effect.DELETED, Effect.STALE]
    assert row is not None
    assert (row["email"], row["custom_fields"], row["deleted_at"], row["external_id"]) == (None, {}, NOW, "7")


def test_a_newer_change_revives_a_tombstone_as_a_new_user_of_the_same_id() -> None:
    row, story = after(change(0, email="a@x", phone="1"), change(5, "delete"), change(6, email="b@x"))
    assert [applied.effect for applied in story] == [Effect.CREATED, Effect.DELETED, Effect.CREATED]
    assert row is not None
    assert (row["email"], row["phone"], row["deleted_at"]) == ("b@x", None, None)
    first = story[0].after
    assert first is not None
    assert row["id"] == first["id"]


def merged(minute: int, into: str) -> RecordChange:
    return change(minute, "delete", attributes={"merged_into": into})


def test_a_tombstone_knows_whom_it_was_merged_into_whatever_else_told_of_its_end_and_when() -> None:
    for ends in ([merged(5, "9")], [merged(5, "9"), change(6, "delete")], [change(6, "delete"), merged(5, "9")]):
        for first in ([], [change(0, email="a@x", attributes={"note": "n"})]):
            row, story = after(*first, *ends, merged(5, "9"))
            assert row is not None
            assert (row["attributes"], row["email"], row["deleted_at"]) == ({"merged_into": "9"}, None, NOW)
            assert row["version"] == max(end.version for end in ends)
            assert story[-1].effect in (Effect.UNCHANGED, Effect.STALE)
            if first:  # told when it is news, and once
                told = [one.after for one in story if one.effect is Effect.DELETED]
                assert [row["attributes"] for row in told if row and row["attributes"]] == [{"merged_into": "9"}]


def test_who_comes_back_after_a_merge_is_nobody_elses() -> None:
    row, story = after(change(0, email="a@x"), merged(5, "9"), change(6, email="a@x"))
    assert story[-1].effect is Effect.CREATED
    assert row is not None
    assert row["attributes"] == {}
    # A merge that is older than what we know of a live user is stale.
    assert effects(change(6, email="a@x"), merged(5, "9"))[-1] is Effect.STALE


def test_the_end_of_a_user_we_never_had_is_remembered_but_not_told() -> None:
    assert effects(change(5, "delete"), change(4, email="a@x"), change(5, "delete")) == [
        Effect.UNCHANGED,
        Effect.STALE,
        Effect.UNCHANGED,
    ]


def test_what_is_absent_is_left_and_none_empties() -> None:
    row, _ = after(
        change(0, email="a@x", phone="1", attributes={"note": "n", "state": "s"}, tags=[{"name": "vip"}]),
        change(1, phone=None, attributes={"note": None, "more": 1}),
    )
    assert row is not None
    assert (row["email"], row["phone"], row["attributes"]) == ("a@x", None, {"state": "s", "more": 1})
    assert [tag["name"] for tag in row["tags"]] == ["vip"]


def test_when_a_user_came_to_be_is_the_providers_to_say_and_no_news_whenever_it_is_said() -> None:
    born = NOW - timedelta(days=400)
    first, _ = after(change(0, email="a@x", created_at=born))
    assert first is not None
    assert first["created_at"] == born
    # First heard of without it, by its consent for instance.
    row, story = after(
        change(0, email="a@x"), change(0, created_at=born), change(1, email="a@x"), change(2, created_at=None)
    )
    assert [applied.effect for applied in story] == [Effect.CREATED, *[Effect.UNCHANGED] * 3]
    assert row is not None
    assert (row["created_at"], row["version"]) == (born, NOW + timedelta(minutes=2))
    _, story = after(change(0, created_at=born, email="a@x"), change(1, created_at=born, email="b@x"))
    assert story[1].changed == {"email"}


def test_a_tag_keeps_its_id_and_when_it_was_applied() -> None:
    row, story = after(
        change(0, tags=[{"name": "vip"}]),
        change(1, tags=[{"name": "vip"}, {"name": "new", "id": "t9"}]),
        change(2, tags=[]),
    )
    first, second = story[0].after, story[1].after
    assert first is not None
    assert second is not None
    assert second["tags"][0] == first["tags"][0]
    assert first["tags"][0]["appliedAt"] == "2026-03-02T12:00:00.000Z"
    assert second["tags"][1] == {"id": "t9", "name": "new", "appliedAt": "2026-03-02T12:01:00.000Z"}
    assert row is not None
    assert row["tags"] == []
