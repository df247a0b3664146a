"""An order's edit says what became more and less of which line, and leaves open what the order came to."""

from datetime import UTC, datetime
from typing import Any

import pytest

from shared.errors import PayloadUnexpected
from shared.providers.contract import Change
from tests.shared.providers.shopify.shop import ACT, outcome, stored

TOPIC = "orders/edited"
ORDER = "9110000000000000732"
COMMITTED = datetime(2026, 11, 5, 3, 12, 30, tzinfo=UTC)


def edit(**changed: Any) -> dict[str, Any]:
    body = stored(TOPIC)
    return {"order_edit": body["order_edit"] | changed}


def lines(**changed: Any) -> dict[str, Any]:
    return edit(line_items=stored(TOPIC)["order_edit"]["line_items"] | changed)


def test_an_edit_is_what_to_add_to_the_lines_and_an_order_to_ask_for():
    adjustment, inquiry = outcome(TOPIC, stored(TOPIC)).changes
    assert (adjustment.kind, adjustment.op, adjustment.external_id) == ("order", "adjust", ORDER)
    assert adjustment.version == COMMITTED
    assert adjustment.fields == {
        "key": "edit:9110000000600000732",
        "line_items": [
            {"id": "9110000001000731007", "added": 2, "removed": 0},
            {"id": "9110000001000731001", "added": 0, "removed": 1},
        ],
    }
    assert inquiry == Change("inquiry", "upsert", ORDER, COMMITTED, {"of": "order"})


def test_a_line_with_more_and_less_is_one_line():
    both = [{"id": 5, "delta": 2}]
    adjustment, _ = outcome(TOPIC, lines(additions=both, removals=[*both, {"id": "5", "delta": 1}])).changes
    assert adjustment.fields["line_items"] == [{"id": "5", "added": 2, "removed": 3}]


def test_without_the_instant_of_its_commit_an_order_is_only_asked_for():
    # It began before its commit, and a snapshot of the time between may have it or not.
    [inquiry] = outcome(TOPIC, stored(f"{TOPIC}--2024-04")).changes
    assert (inquiry.kind, inquiry.version) == ("inquiry", ACT.sample().now)


def test_an_edit_of_no_line_leaves_the_order_open_all_the_same():
    [inquiry] = outcome(TOPIC, lines(additions=[], removals=None)).changes
    assert (inquiry.kind, inquiry.external_id) == ("inquiry", ORDER)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"id": 7}, "order_edit is not a JSON object"),
        (edit(order_id=None), "order_id is missing"),
        (edit(id=None), "id is missing"),
        (edit(committed_at="today"), "committed_at is no ISO 8601 time"),
        (edit(line_items=None), "line_items is not a JSON object"),
        (lines(additions=[{"id": 1}]), "delta is no number of pieces"),
        (lines(additions=[{"id": 1, "delta": -1}]), "delta is no number of pieces"),
        (lines(removals=[{"id": 1, "delta": 2**40}]), "delta is no number of pieces"),
        (lines(removals=[{"delta": 1}]), "id is missing"),
        (lines(removals=[{"id": 1, "delta": "1"}]), "delta is no whole number"),
    ],
)
def test_what_is_no_edit_is_unexpected(body: dict[str, Any], problem: str):
    with pytest.raises(PayloadUnexpected, match=problem):
        outcome(TOPIC, body)


def test_a_shop_whose_data_changed_is_asked_for_them():
    body = stored("shop/update")
    [inquiry] = outcome("shop/update", body).changes
    at = datetime(2026, 11, 5, 3, 12, 30, tzinfo=UTC)
    assert inquiry == Change("inquiry", "upsert", ACT.sample().tenant, at, {"of": "shop"})
    with pytest.raises(PayloadUnexpected, match="not the shop of the header"):
        outcome("shop/update", body | {"myshopify_domain": "other.myshopify.com"})
    with pytest.raises(PayloadUnexpected, match="not a shop"):
        outcome("shop/update", {"id": 7, "name": "Kettles"})
