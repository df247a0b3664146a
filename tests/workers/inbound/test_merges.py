"""Customers who were merged: whoever was kept has their orders, in whatever order we hear of it."""

import itertools
from datetime import datetime, timedelta
from typing import Any

import jsonschema
import pytest
from sqlalchemy import text

from shared.db.engine import transaction
from shared.event_schemas import event_schema
from shared.users import MERGED_INTO
from tests.workers.inbound.dock import NOW, SHOP, Dock, customer
from workers.inbound.drain import drain


def at(minute: int) -> datetime:
    return NOW + timedelta(minutes=minute)


def merge(dock: Dock, gone: int, kept: int, minute: int) -> None:
    body = {
        "admin_graphql_api_customer_kept_id": f"gid://shopify/Customer/{kept}",
        "admin_graphql_api_customer_deleted_id": f"gid://shopify/Customer/{gone}",
        "admin_graphql_api_job_id": None,
        "status": "completed",
        "errors": [],
    }
    dock.post("customers/merge", body, triggered_at=at(minute))


def order(dock: Dock, number: int, of: int | None, minute: int = 0, shop: str = SHOP, **fields: Any) -> None:
    body: dict[str, Any] = {"id": number, "updated_at": at(minute).isoformat(), "customer": of and {"id": of}, **fields}
    dock.post("orders/updated", body, triggered_at=at(minute), shop=shop)


def owners(dock: Dock) -> dict[str, str | None]:
    return {row["external_id"]: row["customer_external_id"] for row in dock.rows("orders")}


def test_the_record_the_event_and_the_orders_say_who_was_kept(dock: Dock) -> None:
    for number in (1, 2):
        dock.post("customers/create", customer(number))
    for number, of in ((901, 1), (902, 1), (903, 2), (904, 3), (905, None)):
        order(dock, number, of)
    order(dock, 906, 1, shop="other.myshopify.com")
    dock.drain()
    before = {row["external_id"]: row for row in dock.rows("orders")}
    merge(dock, 1, 2, minute=5)
    drain(dock.context, dock.shard, clock=lambda: NOW + timedelta(hours=2))
    gone = next(row for row in dock.rows("users") if row["external_id"] == "1")
    assert (gone["attributes"], gone["deleted_at"] is not None) == ({MERGED_INTO: "2"}, True)
    [told, *orders] = dock.envelopes()[-3:]
    assert (told["event"], told["data"]["user"]["mergedInto"]) == ("user.deleted", "2")
    jsonschema.validate(told, event_schema("user.deleted"))
    assert [one["data"]["order"]["externalId"] for one in orders] == ["901", "902"]
    for one in orders:
        assert one["event"] == "order.updated"
        assert one["data"]["changes"] == {"customerExternalId": {"old": "1", "new": "2"}}
        assert one["data"]["order"]["customerExternalId"] == "2"
        jsonschema.validate(one, event_schema("order.updated"))
    assert dock.rows("messages")[-1]["events_count"] == 3
    assert owners(dock) == {"901": "2", "902": "2", "903": "2", "904": "3", "905": None, "906": "1"}
    after = {row["external_id"]: row for row in dock.rows("orders")}
    assert after["901"]["version"] == before["901"]["version"]
    # So that whoever asks the API for what has changed is shown it.
    assert after["901"]["updated_at"] == NOW + timedelta(hours=2) > before["901"]["updated_at"]
    assert after["904"] == before["904"]


def news(dock: Dock, before: int) -> list[tuple[str, Any, Any]]:
    """Of the events after the first ones: the type, what changed of the order, and its owner."""
    told = dock.envelopes()[before:]
    return [
        (one["event"], sorted(one["data"].get("changes", ())), one["data"].get("order", {}).get("customerExternalId"))
        for one in told
    ]


HANDED_OVER = ("order.updated", ["customerExternalId"], "2")
TAGGED = ("order.updated", ["tags"], "2")
AT_ONCE = ("order.updated", ["customerExternalId", "tags"], "2")
GONE = ("user.deleted", [], None)


@pytest.mark.parametrize("merge_first", [True, False])
def test_an_order_that_changes_in_the_batch_of_the_merge_is_told_of_in_the_order_of_the_messages(
    dock: Dock, merge_first: bool
) -> None:
    dock.post("customers/create", customer(1))
    order(dock, 901, 1)
    dock.drain()
    if merge_first:
        merge(dock, 1, 2, minute=5)
    order(dock, 901, 1, minute=6, tags="gift")
    if not merge_first:
        merge(dock, 1, 2, minute=5)
    dock.drain()
    # Whose it is by the end of the batch the order says at once; what it was told of last is what it is.
    told = [GONE, HANDED_OVER, TAGGED] if merge_first else [AT_ONCE, GONE]
    assert news(dock, 2) == told
    last = [one for one in dock.envelopes() if one["event"] == "order.updated"][-1]["data"]["order"]
    assert (last["tags"], last["customerExternalId"]) == (["gift"], "2")
    assert owners(dock) == {"901": "2"}


def test_an_order_that_is_somebody_elses_by_then_stays_theirs(dock: Dock) -> None:
    dock.post("customers/create", customer(1))
    order(dock, 901, 1)
    dock.drain()
    order(dock, 901, 3, minute=4)
    merge(dock, 1, 2, minute=5)
    dock.drain()
    assert owners(dock) == {"901": "3"}
    assert news(dock, 2) == [("order.updated", ["customerExternalId"], "3"), GONE]


def test_a_merge_that_is_told_again_tells_of_no_order_again(dock: Dock) -> None:
    order(dock, 901, 1)
    dock.drain()
    for minute in (5, 5, 6):
        merge(dock, 1, 2, minute=minute)
        dock.drain()
    assert news(dock, 1) == [HANDED_OVER]  # of a customer whom we never had it is not told that they are gone


def test_whoever_is_deleted_without_a_merge_is_merged_into_nobody(dock: Dock) -> None:
    dock.post("customers/create", customer(1))
    dock.post("customers/delete", {"id": 1}, triggered_at=at(5))
    order(dock, 901, 1, minute=6)
    dock.drain()
    assert dock.envelopes()[1]["data"]["user"]["mergedInto"] is None
    assert owners(dock) == {"901": "1"}


STORY = (
    lambda dock: order(dock, 901, 1),
    lambda dock: order(dock, 902, 2),
    lambda dock: merge(dock, 1, 2, minute=5),
    lambda dock: merge(dock, 2, 3, minute=6),
)


@pytest.mark.parametrize("drains", [True, False], ids=["one by one", "one batch"])
def test_orders_and_merges_in_any_order_end_with_who_was_kept_last(dock: Dock, drains: bool) -> None:
    for telling in itertools.permutations(STORY):
        for tell in telling:
            tell(dock)
            if drains:
                dock.drain()
        dock.drain()
        assert owners(dock) == {"901": "3", "902": "3"}
        with transaction(dock.engine) as connection:
            connection.execute(text("TRUNCATE orders, users"))


def test_merges_in_a_circle_end(dock: Dock) -> None:
    order(dock, 902, 1)
    order(dock, 903, 2)
    dock.drain()
    merge(dock, 1, 2, minute=5)
    merge(dock, 2, 1, minute=6)
    order(dock, 901, 1)
    dock.drain()
    assert set(owners(dock).values()) <= {"1", "2"}
    for one in dock.envelopes():
        for change in one["data"].get("changes", {}).values():
            assert change["old"] != change["new"]


def test_a_merge_that_is_heard_after_the_deletion_is_told_all_the_same(dock: Dock) -> None:
    dock.post("customers/create", customer(1))
    dock.post("customers/delete", {"id": 1}, triggered_at=at(6))
    merge(dock, 1, 2, minute=5)
    order(dock, 901, 1)
    dock.drain()
    assert dock.told()[:3] == ["user.created", "user.deleted", "user.deleted"]
    assert [one["data"]["user"]["mergedInto"] for one in dock.envelopes()[1:3]] == [None, "2"]
    assert owners(dock) == {"901": "2"}
