"""Processes that die between a claim and its result, results that come too late, and stopping."""

import threading
from random import Random

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from shared.destinations.contract import Answer as Reply
from shared.destinations.contract import Judgement, Verdict
from tests.doubles.crm import Answer, Crm
from tests.workers.delivery.conftest import Clock, Desk
from workers.delivery import outcome
from workers.delivery.books import Books
from workers.delivery.outcome import Result


def test_k7_a_lease_whose_dispatcher_died_is_sent_again_with_the_same_id(desk: Desk, crm: Crm, clock: Clock):
    subscription = desk.subscribe(crm.url())
    ids = desk.owe(subscription, count=3)
    dead = Books(desk.context, rng=Random(1))
    taken = dead.claim({str(subscription): 2}, [], clock()).taken
    assert len(taken) == 2

    desk.dispatch()
    assert desk.states(subscription) == {"leased": 2, "delivered": 1}, "what is leased is not sent by another"
    assert desk.expire() == 0
    clock.forward(90)
    assert desk.expire() == 2
    desk.dispatch()

    assert desk.states(subscription) == {"delivered": 3}
    assert sorted(each.webhook_id for each in crm.received) == sorted(str(desk.delivery(d).event_id) for d in ids)
    assert all(desk.delivery(d).attempts == 1 for d in ids), "nobody knows of the try that was lost"


def test_a_result_whose_claim_is_lost_changes_nothing(desk: Desk, clock: Clock):
    subscription = desk.subscribe("http://127.0.0.1:9999/")
    (delivery,) = desk.owe(subscription)
    slow = Books(desk.context, rng=Random(1))
    (late,) = slow.claim({str(subscription): 1}, [], clock()).taken
    clock.forward(90)
    desk.expire()
    (current,) = slow.claim({str(subscription): 1}, [], clock()).taken

    recorded = slow.record([result_of(late, 500, Verdict.AGAIN, clock)], clock())

    assert dict(recorded.counts) == {"lost": 1}
    assert desk.delivery(delivery).state == "leased"
    assert desk.lane(subscription).failed_count == 0
    assert desk.attempts(delivery) == []
    assert dict(slow.record([result_of(current, 200, Verdict.DELIVERED, clock)], clock()).counts) == {
        "delivered": 1,
        "attempts:delivered": 1,
    }
    assert dict(slow.record([result_of(current, 200, Verdict.DELIVERED, clock)], clock()).counts) == {"lost": 1}
    assert desk.lane(subscription).success_count == 1


def result_of(claimed, status: int, verdict: Verdict, clock: Clock) -> Result:
    return Result(claimed, Reply(status), Judgement(verdict, f"http_{status}"), clock(), clock())


def test_expired_leases_of_closed_subscriptions_rest(desk: Desk, clock: Clock):
    held, gone = desk.subscribe("http://127.0.0.1:1/"), desk.subscribe("http://127.0.0.1:1/")
    desk.owe(held, gone)
    Books(desk.context, rng=Random(1)).claim({str(held): 1, str(gone): 1}, [], clock())
    with desk.engine.begin() as connection:
        connection.execute(text("UPDATE subscriptions SET active = false WHERE id = :id"), {"id": str(held)})
        connection.execute(
            text("UPDATE subscriptions SET deleted_at = :now WHERE id = :id"), {"id": str(gone), "now": clock()}
        )
    clock.forward(90)

    assert desk.expire() == 2

    assert desk.states(held) == {"held": 1}
    assert desk.states(gone) == {"discarded": 1}


@pytest.mark.parametrize("boundary", ["claim", "record"])
def test_a_database_that_fails_in_the_middle_costs_no_delivery(
    desk: Desk, crm: Crm, clock: Clock, monkeypatch: pytest.MonkeyPatch, boundary: str
):
    subscription = desk.subscribe(crm.url())
    desk.owe(subscription, count=20)
    original = getattr(Books, boundary)
    left = [2]

    def failing(self, *args):
        if left[0]:
            left[0] -= 1
            raise OperationalError("SELECT", {}, Exception("the server closed the connection"))
        return original(self, *args)

    monkeypatch.setattr(Books, boundary, failing)
    while desk.dispatch().get("failed"):
        continue

    assert desk.states(subscription) == {"delivered": 20}
    assert len(crm.received) == 20, "results are kept and written down later, not sent again"


def test_a_result_that_the_database_refuses_costs_only_itself(desk: Desk, crm: Crm, monkeypatch: pytest.MonkeyPatch):
    subscription = desk.subscribe(crm.url())
    ids = desk.owe(subscription, count=20)
    poison = str(ids[7])
    original = outcome.record

    def refusing(connection, results, **rest):
        if any(each.claimed.delivery_id == poison for each in results):
            connection.execute(text("SELECT 1 / 0"))
        return original(connection, results, **rest)

    monkeypatch.setattr(outcome, "record", refusing)
    desk.dispatch()

    assert desk.states(subscription) == {"delivered": 19, "leased": 1}


def test_k22_stopping_finishes_what_is_in_flight_and_gives_back_the_rest(desk: Desk, crm: Crm):
    subscription = desk.subscribe(crm.url(), max_in_flight=2)
    desk.owe(subscription, count=400)
    stopping = threading.Event()

    def stop_after_some(_path: str) -> None:
        if len(crm.received) > 50:
            stopping.set()

    crm.on_request = stop_after_some
    desk.dispatch(is_stopping=stopping.is_set)

    states = desk.states(subscription)
    assert states["delivered"] == len(crm.received), "what was sent was written down"
    assert states["pending"] == 400 - len(crm.received), "and what was not is due, not leased"


def test_k22_what_hangs_longer_than_the_grace_is_given_back(desk: Desk, crm: Crm):
    desk.context.settings.__dict__["shutdown_grace_seconds"] = 0.4
    subscription = desk.subscribe(crm.url(), timeout_ms=10_000)
    (delivery,) = desk.owe(subscription)
    crm.answer(Answer(hang=True))
    stopping = threading.Event()
    crm.on_request = lambda _path: stopping.set()

    desk.dispatch(is_stopping=stopping.is_set)

    row = desk.delivery(delivery)
    assert (row.state, row.claim_id, row.tries) == ("pending", None, 0)
