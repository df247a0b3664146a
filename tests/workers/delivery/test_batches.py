"""Deliveries that are carried together, to HubSpot: one state each, quotas kept, and no lane held up by another."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
import redis
from sqlalchemy import update

from shared.db import tables
from tests.doubles.crm import Crm
from tests.doubles.hubspot import HubSpot
from tests.doubles.served import Fault
from tests.workers.delivery.conftest import Clock, Desk


@pytest.fixture
def api(clock: Clock) -> Iterator[HubSpot]:
    with HubSpot(clock=clock) as double:
        yield double


def subscribed(desk: Desk, api: HubSpot, **values: Any) -> UUID:
    return desk.subscribe(api.url(), destination="hubspot", secrets=[(api.token, None)], **values)


def owe(desk: Desk, subscription: UUID, *emails: str | None, kind: str = "user.created", **user: Any) -> list[UUID]:
    ids = []
    for email in emails:
        changes = user.pop("changes", None)
        body = {"event": kind, "data": {"user": {"email": email, **user}, "changes": changes}}
        ids += desk.owe(subscription, body=json.dumps(body))
    with desk.engine.begin() as connection:
        connection.execute(update(tables.deliveries).where(tables.deliveries.c.id.in_(ids)).values(event_type=kind))
    return ids


def addresses(count: int) -> list[str]:
    return [f"c{number}@lindenhof.example" for number in range(count)]


def test_hundreds_go_in_few_requests_and_each_delivery_has_its_own_attempt(desk: Desk, api: HubSpot):
    subscription = subscribed(desk, api)
    ids = owe(desk, subscription, *addresses(250), firstName="Zoë")
    desk.dispatch()
    assert [len(asked.json["inputs"]) for asked in api.asked] == [100, 100, 50]
    assert len(api.contacts) == 250
    assert desk.states(subscription) == {"delivered": 250}
    assert desk.lane(subscription).success_count == 250
    assert {len(desk.attempts(delivery)) for delivery in ids} == {1}


def test_two_events_of_one_address_are_one_input_as_the_newer_has_it(desk: Desk, api: HubSpot):
    subscription = subscribed(desk, api)
    owe(desk, subscription, "zoe@lindenhof.example", phone="1")
    owe(desk, subscription, " ZOE@lindenhof.example", phone="2")
    desk.dispatch()
    assert [len(asked.json["inputs"]) for asked in api.asked] == [1]
    assert api.contacts["zoe@lindenhof.example"]["phone"] == "2"
    assert desk.states(subscription) == {"delivered": 2}


def test_what_we_do_not_know_stays_as_hubspot_has_it_and_what_was_taken_away_goes(desk: Desk, api: HubSpot):
    api.contacts["zoe@lindenhof.example"] = {"firstname": "Zoë", "phone": "1"}
    subscription = subscribed(desk, api)
    owe(desk, subscription, "zoe@lindenhof.example", kind="user.updated", changes={"phone": {"old": "1", "new": None}})
    desk.dispatch()
    assert api.contacts["zoe@lindenhof.example"] == {
        "email": "zoe@lindenhof.example",
        "firstname": "Zoë",
        "phone": "",
    }


def test_a_user_without_an_address_is_given_up_alone(desk: Desk, api: HubSpot):
    subscription = subscribed(desk, api)
    nameless, good = owe(desk, subscription, None, "a@lindenhof.example")
    desk.dispatch()
    assert (desk.delivery(nameless).state, desk.delivery(nameless).last_error) == ("dead", "email_missing")
    assert (desk.delivery(nameless).attempts, desk.delivery(good).state) == (0, "delivered")


@pytest.mark.parametrize("names_errors", [True, False])
def test_a_207_settles_each_by_itself(desk: Desk, api: HubSpot, names_errors: bool):
    api.names_errors = names_errors
    api.busy = {"busy@lindenhof.example"}
    subscription = subscribed(desk, api)
    good, bad, busy = owe(desk, subscription, "a@lindenhof.example", "no address", "busy@lindenhof.example")
    desk.dispatch()
    assert desk.delivery(good).state == "delivered"
    assert desk.delivery(bad).state == ("dead" if names_errors else "pending")
    assert desk.delivery(busy).state == "pending"
    api.busy = set()
    desk.clock.forward(600)
    desk.dispatch()
    assert desk.delivery(busy).state == "delivered"
    assert len(desk.attempts(good)) == 1


def test_a_batch_that_is_refused_whole_is_halved_until_the_bad_one_stands_alone(desk: Desk, api: HubSpot):
    subscription = subscribed(desk, api, settings={"properties": {"tea": "customFields.tea"}})
    ids = owe(desk, subscription, *addresses(40))
    (bad,) = owe(desk, subscription, "bad@lindenhof.example", customFields={"tea": "Sencha"})  # no such property there
    desk.dispatch()
    assert (desk.delivery(bad).state, desk.delivery(bad).last_error) == ("dead", "http_400")
    assert {desk.delivery(delivery).state for delivery in ids} == {"delivered"}
    assert len(api.asked) <= 2 * 6 + 1  # 41 halved six times
    assert desk.lane(subscription).failed_count == 1


def test_a_batch_that_is_too_large_goes_in_parts_and_only_what_is_too_large_alone_is_dead(desk: Desk, api: HubSpot):
    subscription = subscribed(desk, api)
    ids = owe(desk, subscription, *addresses(100), firstName="Zoë")
    (huge,) = owe(desk, subscription, "huge@lindenhof.example", firstName="Z" * 20_000)
    api.most_bytes = 10_000
    desk.dispatch()
    assert {desk.delivery(delivery).state for delivery in ids} == {"delivered"}
    assert (desk.delivery(huge).state, desk.delivery(huge).last_error) == ("dead", "http_413")
    assert len(api.contacts) == 100


def test_a_429_uses_up_no_try_and_the_day_is_waited_out(desk: Desk, api: HubSpot):
    subscription = subscribed(desk, api, retry_attempts=0)
    api.left = 0
    ids = owe(desk, subscription, *addresses(150))
    desk.dispatch()
    assert [asked.status for asked in api.asked] == [429]
    assert {(row.state, row.tries) for row in map(desk.delivery, ids)} == {("pending", 0)}
    desk.clock.forward(3_599)
    desk.dispatch()
    assert len(api.asked) == 1
    api.left = None
    desk.clock.forward(1)
    desk.dispatch()
    assert desk.states(subscription) == {"delivered": 150}
    assert desk.lane(subscription).failed_count == 0


def test_a_failed_request_is_one_failure_however_many_it_carried(desk: Desk, api: HubSpot):
    subscription = subscribed(desk, api, disable_after=5)
    owe(desk, subscription, *addresses(80))
    api.faults.append(Fault(500))
    desk.dispatch()
    lane = desk.lane(subscription)
    assert (lane.consecutive_failures, lane.failed_count) == (1, 80)
    assert desk.subscription(subscription).active
    desk.clock.forward(600)
    desk.dispatch()
    assert desk.states(subscription) == {"delivered": 80}


def test_the_quota_is_kept_across_subscriptions_of_one_credential_and_uses_up_no_try(desk: Desk, api: HubSpot):
    settings = {"requestsPerTenSeconds": 2}
    first, second = (subscribed(desk, api, settings=settings, retry_attempts=0) for _ in range(2))
    owe(desk, first, *addresses(150))
    owe(desk, second, *addresses(150))
    desk.dispatch()
    assert len(api.asked) == 2
    desk.clock.forward(5)
    desk.dispatch()
    assert len(api.asked) == 2
    desk.clock.forward(6)
    desk.dispatch()
    assert len(api.asked) == 4
    assert desk.states(first) == desk.states(second) == {"delivered": 150}
    attempts = desk.lane(first), desk.lane(second)
    assert {lane.failed_count for lane in attempts} == {0}


def test_without_valkey_the_apis_own_limit_is_what_holds_us_back(
    desk: Desk, api: HubSpot, monkeypatch: pytest.MonkeyPatch
):
    def refuse(*_: object, **__: object) -> None:
        raise redis.ConnectionError

    subscription = subscribed(desk, api)
    owe(desk, subscription, "a@lindenhof.example")
    monkeypatch.setattr("redis.commands.core.Script.__call__", refuse)
    desk.dispatch()
    assert desk.states(subscription) == {"delivered": 1}


def test_a_conversation_that_was_cut_off_is_a_repeat_the_next_time(desk: Desk, api: HubSpot):
    subscription = subscribed(desk, api)
    (delivery,) = owe(desk, subscription, "a@lindenhof.example")
    with desk.engine.begin() as connection:  # a dispatcher that died with it under way
        connection.execute(
            update(tables.deliveries)
            .where(tables.deliveries.c.id == delivery)
            .values(state="leased", claim_id=subscription, lease_until=desk.clock())
        )
    assert desk.expire() == 1
    assert (desk.delivery(delivery).state, desk.delivery(delivery).last_error) == ("pending", "interrupted")
    desk.dispatch()
    assert (desk.delivery(delivery).state, desk.delivery(delivery).last_error) == ("delivered", None)


def test_a_load_that_waits_takes_no_place_from_webhooks(desk: Desk, api: HubSpot, crm: Crm):
    subscription = subscribed(desk, api, settings={"requestsPerTenSeconds": 1})
    owe(desk, subscription, *addresses(300))
    webhook = desk.subscribe(crm.url())
    desk.owe(webhook, count=150)
    desk.dispatch()
    assert desk.states(webhook) == {"delivered": 150}
    assert desk.states(subscription)["delivered"] == 100
