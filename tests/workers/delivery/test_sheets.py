"""Deliveries to Google Sheets: a row each, once, whatever becomes of the requests."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update

from shared.db import tables
from tests.doubles.served import Fault
from tests.doubles.sheets import SPREADSHEET, Sheets
from tests.workers.delivery.conftest import Clock, Desk

SETTINGS = {"spreadsheetId": SPREADSHEET, "sheet": "Users", "columns": ["event", "data.user.email"]}


@pytest.fixture
def api(clock: Clock) -> Iterator[Sheets]:
    with Sheets(clock=clock) as double:
        yield double


def subscribed(desk: Desk, api: Sheets, *, settings: dict[str, Any] | None = None, **values: Any) -> UUID:
    settings = {**SETTINGS, **(settings or {})}
    return desk.subscribe(
        api.url(), destination="sheets", secrets=[(api.credential(), None)], settings=settings, **values
    )


def owe(desk: Desk, subscription: UUID, *emails: Any) -> list[UUID]:
    bodies = [json.dumps({"event": "user.created", "data": {"user": {"email": email}}}) for email in emails]
    return [desk.owe(subscription, body=body)[0] for body in bodies]


def rows(api: Sheets) -> list[list[Any]]:
    return sorted(api.sheets["Users"][1:])


def kinds(api: Sheets) -> list[str]:
    """What was asked for, in order."""
    return [
        "token" if asked.path == "/token" else "append" if ":append" in asked.path else "look" for asked in api.asked
    ]


def test_events_become_rows_in_one_append_with_their_deliveries_ids(desk: Desk, api: Sheets):
    subscription = subscribed(desk, api)
    ids = owe(desk, subscription, *(f"c{n}@lindenhof.example" for n in range(30)))
    desk.dispatch()
    assert kinds(api) == ["token", "append"]
    assert rows(api) == sorted([str(id_), "user.created", f"c{n}@lindenhof.example"] for n, id_ in enumerate(ids))
    assert desk.states(subscription) == {"delivered": 30}


def test_the_token_is_used_for_its_hour_and_then_another_is_had(desk: Desk, api: Sheets):
    subscription = subscribed(desk, api)
    for _ in range(2):
        owe(desk, subscription, "a@lindenhof.example")
        desk.dispatch()
        desk.clock.forward(1_800)
    assert kinds(api) == ["token", "append", "append"]
    owe(desk, subscription, "a@lindenhof.example")
    desk.dispatch()
    assert kinds(api)[3:] == ["token", "append"]
    assert len(rows(api)) == 3


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=HYPERLINK(1)", "=HYPERLINK(1)"),
        (None, ""),
        (7, 7),
        (2**60, str(2**60)),
        (1.5, 1.5),
        (True, True),
        ([{"name": "vip"}, {"name": "tea"}], "vip, tea"),
        ({"line1": "Storgatan 1"}, '{"line1":"Storgatan 1"}'),
    ],
)
def test_every_value_becomes_a_cell_and_none_a_formula(desk: Desk, api: Sheets, value: Any, cell: Any):
    owe(desk, subscribed(desk, api), value)
    desk.dispatch()
    assert rows(api)[0][2] == cell


def test_an_append_that_happened_but_was_not_answered_is_not_repeated(desk: Desk, api: Sheets):
    subscription = subscribed(desk, api)
    owe(desk, subscription, "a@lindenhof.example", "b@lindenhof.example")
    api.faults.append(Fault(silent=True, after=True, path=":append"))
    desk.dispatch()
    assert desk.states(subscription) == {"pending": 2}
    fresh = owe(desk, subscription, "c@lindenhof.example")
    desk.clock.forward(600)
    desk.dispatch()
    assert kinds(api) == ["token", "append", "look", "append"]
    assert len(api.asked[-1].json["values"]) == len(fresh)
    assert sorted(row[2] for row in rows(api)) == ["a@lindenhof.example", "b@lindenhof.example", "c@lindenhof.example"]
    assert desk.states(subscription) == {"delivered": 3}


def test_an_append_that_did_not_happen_is_repeated(desk: Desk, api: Sheets):
    subscription = subscribed(desk, api)
    owe(desk, subscription, "a@lindenhof.example")
    api.faults.append(Fault(503, path=":append"))
    desk.dispatch()
    desk.clock.forward(600)
    desk.dispatch()
    assert kinds(api) == ["token", "append", "look", "append"]
    assert len(rows(api)) == 1


def test_a_dispatcher_that_died_after_appending_leaves_no_second_row(desk: Desk, api: Sheets):
    subscription = subscribed(desk, api)
    (delivery,) = owe(desk, subscription, "a@lindenhof.example")
    api.sheets["Users"].append([str(delivery), "user.created", "a@lindenhof.example"])
    with desk.engine.begin() as connection:
        connection.execute(
            update(tables.deliveries)
            .where(tables.deliveries.c.id == delivery)
            .values(state="leased", claim_id=subscription, lease_until=desk.clock())
        )
    assert desk.expire() == 1
    desk.dispatch()
    assert kinds(api) == ["token", "look"]
    assert desk.delivery(delivery).state == "delivered"
    assert len(rows(api)) == 1


def test_a_token_that_was_withdrawn_is_replaced(desk: Desk, api: Sheets):
    subscription = subscribed(desk, api)
    owe(desk, subscription, "a@lindenhof.example")
    desk.dispatch()
    api.tokens.clear()
    owe(desk, subscription, "b@lindenhof.example")
    desk.dispatch()
    desk.clock.forward(600)
    desk.dispatch()
    assert kinds(api)[2:] == ["append", "token", "look", "append"]
    assert len(rows(api)) == 2


def test_a_sheet_that_is_not_there_is_tried_again_and_found_once_it_is(desk: Desk, api: Sheets):
    subscription = subscribed(desk, api, settings={"sheet": "Zoë's list"})
    (delivery,) = owe(desk, subscription, "a@lindenhof.example")
    desk.dispatch()
    assert (desk.delivery(delivery).state, desk.delivery(delivery).last_error) == ("pending", "http_400")
    api.sheets["Zoë's list"] = []
    desk.clock.forward(600)
    desk.dispatch()
    assert [row[2] for row in api.sheets["Zoë's list"]] == ["a@lindenhof.example"]


def test_an_account_that_google_does_not_know_fails_by_that_name(desk: Desk, api: Sheets):
    subscription = subscribed(desk, api)
    (delivery,) = owe(desk, subscription, "a@lindenhof.example")
    api.email = "somebody@else.example"
    desk.dispatch()
    assert (desk.delivery(delivery).state, desk.delivery(delivery).last_error) == ("pending", "token_refused")


def test_a_429_and_our_own_count_both_wait_a_minute_and_use_up_no_try(desk: Desk, api: Sheets):
    subscription = subscribed(desk, api, settings={"requestsPerMinute": 1}, retry_attempts=0)
    ids = owe(desk, subscription, "a@lindenhof.example")
    api.per_minute = 0
    desk.dispatch()
    assert desk.delivery(ids[0]).last_error == "http_429"
    api.per_minute = 60
    desk.clock.forward(60)
    ids += owe(desk, subscription, "b@lindenhof.example")
    desk.dispatch()
    assert desk.states(subscription) == {"delivered": 2}
    ids += owe(desk, subscription, "c@lindenhof.example")
    desk.dispatch()
    assert desk.delivery(ids[2]).last_error == "quota_used_up"
    desk.clock.forward(61)
    desk.dispatch()
    assert desk.states(subscription) == {"delivered": 3}
    assert {desk.delivery(delivery).tries for delivery in ids} == {1}
    assert len(rows(api)) == 3


def test_a_cell_that_is_too_long_is_given_up_alone_and_a_load_that_is_too_large_is_split(desk: Desk, api: Sheets):
    subscription = subscribed(desk, api)
    too_long, *fitting = owe(desk, subscription, "x" * 50_001, *("y" * 49_000 for _ in range(50)))
    desk.dispatch()
    assert (desk.delivery(too_long).state, desk.delivery(too_long).last_error) == ("dead", "cell_too_long")
    assert {desk.delivery(delivery).state for delivery in fitting} == {"delivered"}
    assert kinds(api) == ["token", "append", "append", "append"]
    assert max(len(asked.body) for asked in api.asked) < 2**20
    assert len(rows(api)) == 50
