"""One subscription's trouble: circuit, disabling, release, order, and what it does to the others."""

import itertools
import threading
from datetime import timedelta

import pytest
from sqlalchemy import select, text

from shared import lanes
from shared.db import tables
from tests.doubles.crm import Answer, Crm
from tests.workers.delivery.conftest import Clock, Desk
from workers.delivery.books import Books
from workers.delivery.dispatch import dispatch


def alerts(desk: Desk) -> list[tuple[str, str, bool]]:
    rows = desk.all(select(tables.alerts).order_by(tables.alerts.c.id))
    return [(row.kind, row.severity, row.resolved_at is None) for row in rows]


def test_the_circuit_pauses_a_failing_lane_and_probes_it_with_one_request(desk: Desk, crm: Crm, clock: Clock):
    subscription = desk.subscribe(crm.url(), retry_delay_seconds=0.0, retry_attempts=50, disable_after=100)
    desk.owe(subscription, count=30)
    crm.answer(500)

    desk.dispatch()
    tried = len(crm.received)
    assert 5 <= tried < 12, "five failures in a row must stop it, give or take those in flight"
    assert desk.lane(subscription).paused_until == clock() + timedelta(seconds=30)
    assert "leased" not in desk.states(subscription)

    for pause in (30, 60, 120):
        clock.forward(pause - 1)
        desk.dispatch()
        assert len(crm.received) == tried
        clock.forward(1)
        desk.dispatch()
        tried += 1
        assert len(crm.received) == tried, "a half-open circuit lets one request through"

    crm.answer(200)
    clock.forward(240)
    desk.dispatch()
    assert desk.states(subscription) == {"delivered": 30}
    lane = desk.lane(subscription)
    assert (lane.consecutive_failures, lane.pauses, lane.paused_until) == (0, 0, None)


def fail_times(desk: Desk, crm: Crm, clock: Clock, number: int, *, apart: float) -> None:
    """`number` failed attempts, one after the other."""
    crm.answer(500)
    for _ in range(number):
        desk.dispatch()
        clock.forward(apart)


def test_k17_a_subscription_is_disabled_after_so_many_failures_over_so_long(desk: Desk, crm: Crm, clock: Clock):
    subscription = desk.subscribe(
        crm.url(),
        retry_attempts=50,
        retry_delay_seconds=0.01,
        max_in_flight=1,
        ordering="strict",
        disable_after=10,
        disable_after_seconds=15_000.0,
    )
    other = desk.subscribe(crm.url("/other"))
    desk.owe(subscription, count=3, strict=True)

    fail_times(desk, crm, clock, 10, apart=1000.0)
    assert desk.subscription(subscription).active, "ten failures, but over less than the time"
    assert desk.lane(subscription).consecutive_failures == 10
    assert alerts(desk) == [("subscription.failing", "warning", True)]
    assert desk.lane(subscription).warned_percent == 50

    fail_times(desk, crm, clock, 4, apart=1000.0)
    assert desk.lane(subscription).warned_percent == 50
    clock.forward(500)
    fail_times(desk, crm, clock, 1, apart=1000.0)
    assert desk.lane(subscription).warned_percent == 90
    assert desk.subscription(subscription).active
    fail_times(desk, crm, clock, 1, apart=0.0)

    row = desk.subscription(subscription)
    assert (row.active, row.disabled_reason, row.disabled_at) == (False, "failures", clock())
    assert desk.states(subscription) == {"held": 3}
    assert [each.headers["x-webhook-event"] for each in crm.at("/other")] == ["subscription.disabled"]
    assert desk.states(other) == {"delivered": 1}
    assert alerts(desk) == [("subscription.failing", "warning", False), ("subscription.disabled", "error", True)]


def test_k17_a_success_on_the_last_try_does_not_disable(desk: Desk, crm: Crm, clock: Clock):
    subscription = desk.subscribe(
        crm.url(), retry_attempts=50, retry_delay_seconds=1.0, disable_after=4, disable_after_seconds=0.0
    )
    desk.owe(subscription)

    fail_times(desk, crm, clock, 3, apart=1000.0)
    assert alerts(desk) == [("subscription.failing", "warning", True)]
    crm.answer(200)
    desk.dispatch()

    assert desk.subscription(subscription).active
    assert desk.lane(subscription).consecutive_failures == 0
    assert alerts(desk) == [("subscription.failing", "warning", False)], "the warning is taken back"

    desk.owe(subscription)
    fail_times(desk, crm, clock, 3, apart=1000.0)
    assert desk.subscription(subscription).active, "the run began anew"
    fail_times(desk, crm, clock, 1, apart=0.0)
    assert not desk.subscription(subscription).active


@pytest.mark.parametrize(
    ("held", "newest", "expected"),
    [
        ("deliver", None, {"delivered": 6}),
        ("deliver", 2, {"delivered": 2, "discarded": 4}),
        ("discard", None, {"discarded": 6}),
    ],
)
def test_k18_enabling_delivers_or_discards_what_was_held(  # noqa: PLR0917
    desk: Desk, crm: Crm, clock: Clock, held: str, newest: int | None, expected: dict[str, int]
):
    subscription = desk.subscribe(crm.url())
    ids = desk.owe(subscription, count=6)
    with desk.engine.begin() as connection:
        assert lanes.hold(connection, subscription, reason="by_hand", now=clock()) == 6
    desk.dispatch()
    assert desk.states(subscription) == {"held": 6}
    assert crm.received == []

    clock.forward(60)
    with desk.engine.begin() as connection:
        lanes.release(connection, subscription, now=clock(), held=held, newest=newest)
    desk.dispatch()

    assert desk.states(subscription) == expected
    row = desk.subscription(subscription)
    assert (row.active, row.disabled_reason, row.disabled_at) == (True, None, None)
    if newest:
        sent = {each.webhook_id for each in crm.received}
        assert sent == {str(desk.delivery(delivery).event_id) for delivery in ids[-newest:]}


def test_a_delivery_that_fails_while_its_subscription_is_disabled_is_held(desk: Desk, crm: Crm, clock: Clock):
    subscription = desk.subscribe(crm.url())
    (delivery,) = desk.owe(subscription)
    crm.answer(500)

    def disable(_path: str) -> None:
        with desk.engine.begin() as connection:
            lanes.hold(connection, subscription, reason="by_hand", now=clock())

    crm.on_request = disable
    desk.dispatch()

    assert desk.delivery(delivery).state == "held"
    assert desk.subscription(subscription).disabled_reason == "by_hand"


def test_a_delivery_that_fails_while_its_subscription_is_deleted_is_discarded(desk: Desk, crm: Crm, clock: Clock):
    subscription = desk.subscribe(crm.url())
    (delivery,) = desk.owe(subscription)
    crm.answer(500)

    def delete(_path: str) -> None:
        with desk.engine.begin() as connection:
            connection.execute(
                text("UPDATE subscriptions SET deleted_at = :now, active = false WHERE id = :id"),
                {"now": clock(), "id": str(subscription)},
            )

    crm.on_request = delete
    desk.dispatch()

    assert desk.delivery(delivery).state == "discarded"


def test_pending_strays_of_a_closed_lane_are_held(desk: Desk, crm: Crm, clock: Clock):
    subscription = desk.subscribe(crm.url(), active=False)
    gone = desk.subscribe(crm.url(), active=False, deleted_at=clock())
    desk.owe(subscription, gone, count=2)

    desk.dispatch()

    assert desk.states(subscription) == {"held": 2}
    assert desk.states(gone) == {"discarded": 2}
    assert crm.received == []


def test_strict_deliveries_go_one_at_a_time_in_event_order_and_wait_for_a_retry(desk: Desk, crm: Crm, clock: Clock):
    subscription = desk.subscribe(crm.url(), ordering="strict", retry_delay_seconds=60.0)
    ids = desk.owe(subscription, count=12, strict=True)
    order = [str(desk.delivery(delivery).event_id) for delivery in ids]
    crm.answer(200, 200, 500, 200)

    desk.dispatch()
    assert [each.webhook_id for each in crm.received] == order[:3], "the one behind a failure waits"

    clock.forward(100)
    desk.dispatch()
    assert [each.webhook_id for each in crm.received] == order[:3] + order[2:]
    assert crm.most_in_flight["/hook"] == 1


def test_a_lane_that_becomes_strict_still_ships_what_was_fanned_out_before(desk: Desk, crm: Crm):
    subscription = desk.subscribe(crm.url(), ordering="strict")
    desk.owe(subscription, count=3, strict=False)
    desk.owe(subscription, count=3, strict=True)

    desk.dispatch()

    assert desk.states(subscription) == {"delivered": 6}


def test_no_more_than_the_cap_is_in_flight_to_one_subscription(desk: Desk, crm: Crm):
    subscription = desk.subscribe(crm.url(), max_in_flight=3)
    desk.owe(subscription, count=120)

    desk.dispatch()

    assert desk.states(subscription) == {"delivered": 120}
    assert crm.most_in_flight["/hook"] <= 3


def test_the_cap_holds_across_dispatchers(desk: Desk, crm: Crm, clock: Clock):
    subscription = desk.subscribe(crm.url(), max_in_flight=4)
    desk.owe(subscription, count=20)
    books = [Books(desk.context, rng=None), Books(desk.context, rng=None)]  # type: ignore[arg-type]

    first = books[0].claim({str(subscription): 3}, [], clock())
    second = books[1].claim({str(subscription): 3}, [], clock())
    third = books[0].claim({str(subscription): 3}, [first.claim_id], clock())

    assert [len(each.taken) for each in (first, second, third)] == [3, 1, 0]


def test_k9_a_hanging_subscriber_does_not_hold_up_the_others(desk: Desk, crm: Crm):
    desk.context.settings.__dict__["shutdown_grace_seconds"] = 0.2
    hanging = [desk.subscribe(crm.url(f"/hang{n}"), timeout_ms=25_000) for n in range(12)]
    healthy = desk.subscribe(crm.url("/well"))
    for n in range(12):
        crm.answer(Answer(hang=True), path=f"/hang{n}")
    desk.owe(*hanging, count=20)
    desk.owe(healthy, count=100)
    late: list[object] = []

    def owe_more(path: str) -> None:
        if path == "/well" and len(crm.at("/well")) == 50:
            late.extend(desk.owe(healthy, count=10))

    crm.on_request = owe_more
    desk.dispatch(is_stopping=lambda: len(crm.at("/well")) >= 110)

    assert desk.states(healthy) == {"delivered": 110}, "served whole, and what came later too, while the others hang"
    assert all(desk.states(each) == {"pending": 20} for each in hanging)
    assert all(crm.most_in_flight[f"/hang{n}"] <= 2 for n in range(12)), "a lane that hangs is not widened"


def test_two_orders_at_once_in_one_process_do_not_run_twice(desk: Desk, crm: Crm, clock: Clock):
    subscription = desk.subscribe(crm.url(), timeout_ms=2000)
    desk.owe(subscription)
    answers: list[dict[str, int]] = []
    started = threading.Event()

    def again(_path: str) -> None:
        answers.append(dispatch(desk.context, clock=clock))
        started.set()

    crm.on_request = again
    desk.dispatch()

    assert started.is_set()
    assert answers == [{"busy": 1}]
    assert len(crm.received) == 1


def test_every_lane_has_its_turn_when_there_is_more_than_one_claim_holds(desk: Desk, crm: Crm, clock: Clock):
    subscriptions = [desk.subscribe(crm.url(f"/{n}")) for n in range(40)]
    desk.owe(*subscriptions, count=4)

    desk.dispatch()

    assert all(desk.states(each) == {"delivered": 4} for each in subscriptions)
    first_places = {path for path, _ in itertools.groupby(each.path for each in crm.received[:60])}
    assert len(first_places) >= 25, "the first requests went to many lanes, not to a few"


def test_a_lane_without_its_row_gets_one(desk: Desk, crm: Crm):
    subscription = desk.subscribe(crm.url())
    with desk.engine.begin() as connection:
        connection.execute(text("DELETE FROM lanes"))
    desk.owe(subscription)

    desk.dispatch()

    assert desk.lane(subscription).success_count == 1
