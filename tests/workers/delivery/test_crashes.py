"""Processes that die between a claim and its result, results that come too late, and stopping."""

import threading
from dataclasses import replace
from random import Random

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from shared.destinations.contract import Answer as Reply
from shared.destinations.contract import Judgement, Verdict
from shared.destinations.registry import DESTINATIONS
from tests.doubles.crm import Answer, Crm
from tests.workers.delivery.conftest import Clock, Desk
from workers.delivery import outcome
from workers.delivery.books import Books
from workers.delivery.outcome import Result
from workers.delivery.window import Window


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


LOST = OperationalError("SELECT", {}, Exception("the server closed the connection"))


@pytest.mark.parametrize(
    ("boundary", "error"), [("claim", LOST), ("record", LOST), ("record", RuntimeError("nobody expected it"))]
)
def test_a_database_that_fails_in_the_middle_costs_no_delivery(  # noqa: PLR0917
    desk: Desk, crm: Crm, clock: Clock, monkeypatch: pytest.MonkeyPatch, boundary: str, error: Exception
):
    subscription = desk.subscribe(crm.url())
    desk.owe(subscription, count=20)
    original = getattr(Books, boundary)
    left = [2]

    def failing(self, *args):
        if left[0]:
            left[0] -= 1
            raise error
        return original(self, *args)

    monkeypatch.setattr(Books, boundary, failing)
    while desk.dispatch().get("failed"):
        continue

    assert desk.states(subscription) == {"delivered": 20}
    assert len(crm.received) == 20, "results are kept and written down later, not sent again"


def refusing(poison: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that takes nothing of the delivery `poison`, whatever it is."""
    original = outcome.record

    def record(connection, results, **rest):
        if any(each.claimed.delivery_id == poison for each in results):
            connection.execute(text("SELECT 1 / 0"))
        return original(connection, results, **rest)

    monkeypatch.setattr(outcome, "record", record)


@pytest.mark.parametrize(("status", "state", "tries"), [(200, "delivered", 1), (500, "dead", 1), (410, "dead", 1)])
def test_a_result_that_the_database_refuses_costs_only_itself_and_is_never_sent_again(  # noqa: PLR0917
    desk: Desk, crm: Crm, clock: Clock, monkeypatch: pytest.MonkeyPatch, status: int, state: str, tries: int
):
    subscription, other = desk.subscribe(crm.url("/poison")), desk.subscribe(crm.url())
    (poison,) = desk.owe(subscription)
    desk.owe(other, count=19)
    crm.answer(status, path="/poison")
    refusing(str(poison), monkeypatch)

    desk.dispatch()
    clock.forward(91)
    assert desk.expire() == 0
    desk.dispatch()

    assert desk.states(other) == {"delivered": 19}
    row = desk.delivery(poison)
    assert (row.state, row.tries, row.last_error, row.claim_id) == (state, tries, "unrecordable", None)
    assert len(crm.at("/poison")) == 1


@pytest.mark.parametrize("excerpt", ["a NUL: \x00", "half a character: \ud800"])
@pytest.mark.parametrize(
    ("status", "verdict", "state", "code"),
    [(200, Verdict.DELIVERED, "delivered", None), (500, Verdict.AGAIN, "pending", "unrecordable")],
)
def test_a_reply_that_the_database_refuses_is_recorded_without_its_text(  # noqa: PLR0917
    desk: Desk, clock: Clock, excerpt: str, status: int, verdict: Verdict, state: str, code: str | None
):
    subscription = desk.subscribe("http://127.0.0.1:9999/")
    ids = desk.owe(subscription, count=9)
    books = Books(desk.context, rng=Random(1))
    claims = books.claim({str(subscription): 9}, [], clock()).taken
    odd = next(claimed for claimed in claims if claimed.delivery_id == str(ids[4]))
    results = [result_of(claimed, 200, Verdict.DELIVERED, clock) for claimed in claims if claimed is not odd]
    answer = Reply(status, excerpt=excerpt, error=excerpt, duration_ms=7)
    results.insert(3, Result(odd, answer, Judgement(verdict, excerpt if code else None), clock(), clock()))

    recorded = books.record(results, clock())

    assert recorded.counts["unrecordable"] == 1
    assert desk.states(subscription) == ({"delivered": 9} if state == "delivered" else {"delivered": 8, "pending": 1})
    row = desk.delivery(ids[4])
    assert (row.state, row.tries, row.attempts, row.last_status, row.last_error) == (state, 1, 1, status, code)
    (made,) = desk.attempts(ids[4])
    assert (made.status, made.error_code, made.response_excerpt, made.duration_ms) == (status, code, None, 7)
    assert desk.lane(subscription).failed_count == (code is not None)


@pytest.mark.parametrize("name", ["_settle", "_forget"])
def test_a_writer_that_fails_as_nobody_expected_goes_on_writing(
    desk: Desk, crm: Crm, monkeypatch: pytest.MonkeyPatch, name: str
):
    subscription = desk.subscribe(crm.url())
    desk.owe(subscription)
    with monkeypatch.context() as patch:
        original = getattr(Window, name)
        left = [1]

        def failing(self, *args):
            if left[0]:
                left[0] -= 1
                raise RuntimeError("a bug")
            return original(self, *args)

        patch.setattr(Window, name, failing)
        desk.dispatch()
    assert left == [0]
    other = desk.subscribe(crm.url())
    desk.owe(other, count=3)
    desk.dispatch()
    assert desk.states(subscription) == {"delivered": 1}
    assert desk.states(other) == {"delivered": 3}


def test_a_reply_that_nobody_can_judge_is_a_try_like_any_other(
    desk: Desk, crm: Crm, clock: Clock, monkeypatch: pytest.MonkeyPatch
):
    def judge(*_: object) -> Judgement:
        raise ZeroDivisionError

    monkeypatch.setitem(DESTINATIONS, "webhook", replace(DESTINATIONS["webhook"], judge=judge))
    subscription = desk.subscribe(crm.url(), retry_attempts=1)
    (delivery,) = desk.owe(subscription)
    for _ in range(3):
        desk.dispatch()
        clock.forward(91)
        assert desk.expire() == 0
    row = desk.delivery(delivery)
    assert (row.state, row.tries, row.last_error) == ("dead", 2, "flight_failed")
    assert len(crm.received) == 2


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
