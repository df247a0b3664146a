"""Deliveries to xwanai, through the same engine as any."""

from collections.abc import Iterator
from uuid import UUID

import pytest
from sqlalchemy import update

from shared.db import tables
from shared.event_types import CATALOGUE
from shared.events import envelope
from tests.doubles.served import Fault
from tests.doubles.xwanai import Xwanai
from tests.workers.delivery.conftest import Desk


@pytest.fixture
def api() -> Iterator[Xwanai]:
    with Xwanai() as double:
        yield double


def subscribed(desk: Desk, api: Xwanai, *, key: str = "", **values: object) -> UUID:
    url = api.url("/api")
    return desk.subscribe(url, destination="xwanai", secrets=[(key or api.key, None)], ordering="strict", **values)


def owe(desk: Desk, subscription: UUID, event_type: str) -> UUID:
    kind = CATALOGUE[event_type]
    body = envelope(event_type=event_type, data=kind.data, source="shopify", action=kind.action, at=desk.clock())
    (delivery,) = desk.owe(subscription, body=body, strict=True)
    with desk.engine.begin() as connection:
        connection.execute(
            update(tables.deliveries).where(tables.deliveries.c.id == delivery).values(event_type=event_type)
        )
    return delivery


def test_a_customer_comes_changes_and_goes_in_that_order(desk: Desk, api: Xwanai):
    subscription = subscribed(desk, api)
    for event_type in ("user.created", "user.updated", "user.deleted"):
        owe(desk, subscription, event_type)
    desk.dispatch()
    assert [(asked.method, asked.status) for asked in api.asked] == [("POST", 201), ("POST", 200), ("DELETE", 204)]
    assert api.customers == {}
    assert desk.states(subscription) == {"delivered": 3}


def test_a_customer_that_is_gone_already_counts_as_deleted(desk: Desk, api: Xwanai):
    subscription = subscribed(desk, api)
    delivery = owe(desk, subscription, "user.deleted")
    desk.dispatch()
    assert (desk.delivery(delivery).state, desk.delivery(delivery).last_status) == ("delivered", 404)
    assert desk.lane(subscription).consecutive_failures == 0


def test_a_failure_is_tried_again_and_the_customer_is_there_once(desk: Desk, api: Xwanai):
    subscription = subscribed(desk, api)
    delivery = owe(desk, subscription, "user.created")
    api.faults += [Fault(502), Fault(after=True, silent=True)]
    for _ in range(3):
        desk.dispatch()
        desk.clock.forward(600)
    assert desk.delivery(delivery).state == "delivered"
    assert [row.verdict for row in desk.attempts(delivery)] == ["again", "again", "delivered"]
    assert list(api.customers) == ["7064055069303700841"]


def test_a_rate_limit_uses_up_no_try_and_is_waited_out(desk: Desk, api: Xwanai):
    subscription = subscribed(desk, api, retry_attempts=0, disable_after=1)
    delivery = owe(desk, subscription, "user.created")
    api.faults += [Fault(429, {"Retry-After": "30"})] * 3
    for tried in range(1, 4):
        desk.dispatch()
        row = desk.delivery(delivery)
        assert (row.state, row.tries, row.attempts, row.last_error) == ("pending", 0, tried, "http_429")
        desk.clock.forward(29)
        desk.dispatch()
        assert len(api.asked) == tried  # nothing before its time
        desk.clock.forward(1)
    desk.dispatch()
    assert desk.delivery(delivery).state == "delivered"
    lane = desk.lane(subscription)
    assert (lane.failed_count, lane.consecutive_failures, lane.success_count) == (0, 0, 1)
    assert [row.verdict for row in desk.attempts(delivery)] == ["later", "later", "later", "delivered"]


def test_a_wrong_key_is_a_failure_that_disables_in_the_end(desk: Desk, api: Xwanai):
    subscription = subscribed(desk, api, key="xw_wrong_wrong", retry_attempts=1, disable_after=2)
    delivery = owe(desk, subscription, "user.created")
    desk.dispatch()
    desk.clock.forward(600)
    desk.dispatch()
    assert [row.status for row in desk.attempts(delivery)] == [401, 401]
    assert desk.subscription(subscription).disabled_reason == "failures"
    assert api.customers == {}


def test_what_it_does_not_carry_is_given_up_without_a_request_or_a_mark_on_the_lane(desk: Desk, api: Xwanai):
    subscription = subscribed(desk, api)
    delivery = owe(desk, subscription, "webhook.test")
    desk.dispatch()
    row = desk.delivery(delivery)
    assert (row.state, row.last_error, row.attempts) == ("dead", "event_unsupported", 0)
    assert api.asked == []
    assert desk.lane(subscription).failed_count == 0
