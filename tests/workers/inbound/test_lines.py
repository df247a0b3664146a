from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from workers.inbound.lines import MOST, adjusted

LINES: list[dict[str, Any]] = [
    {"id": "1", "sku": "A", "quantity": 3, "currentQuantity": 3, "totalMinor": 300},
    {"id": "2", "sku": "B", "quantity": 2, "currentQuantity": None, "totalMinor": 200},
]


def edit(line_id: str, added: int = 0, removed: int = 0) -> dict[str, Any]:
    return {"id": line_id, "added": added, "removed": removed}


def test_what_is_removed_was_ordered_once_all_the_same():
    assert adjusted(LINES, [edit("1", removed=2)]) == [LINES[0] | {"currentQuantity": 1}, LINES[1]]


def test_of_what_is_added_the_total_is_not_known_until_a_snapshot_tells():
    assert adjusted(LINES, [edit("2", added=1)]) == [
        LINES[0],
        LINES[1] | {"quantity": 3, "currentQuantity": 3, "totalMinor": None},
    ]


def test_of_a_new_line_the_quantity_is_known_and_of_one_that_is_gone_nothing():
    assert adjusted(LINES, [edit("9", added=2, removed=1), edit("8", removed=1)]) == [
        *LINES,
        {"id": "9", "quantity": 2, "currentQuantity": 1},
    ]


EDITS = st.lists(
    st.builds(edit, st.sampled_from(["1", "2", "9"]), st.integers(0, MOST), st.integers(0, MOST)),
    max_size=3,
    unique_by=lambda one: one["id"],
)


@given(EDITS)
def test_no_line_has_less_than_nothing_or_more_than_can_be_told(edits: list[dict[str, Any]]):
    for line in adjusted(LINES, edits):
        current = line["currentQuantity"]
        assert 0 <= line["quantity"] <= MOST
        assert current is None or 0 <= current <= MOST


SMALL = st.lists(st.builds(edit, st.just("1"), st.integers(0, 3), st.just(0)), max_size=4)


@given(SMALL, st.randoms(use_true_random=False))
def test_edits_come_to_the_same_in_any_order(edits: list[dict[str, Any]], random: Any):
    def after(story: list[dict[str, Any]]) -> list[dict[str, Any]]:
        lines = LINES
        for one in story:
            lines = adjusted(lines, [one])
        return lines

    assert after(edits) == after(random.sample(edits, len(edits)))
