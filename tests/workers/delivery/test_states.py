"""Wherever the process dies between a claim and its result, the delivery ends in exactly one right place."""

import asyncio
from contextlib import nullcontext
from datetime import UTC, datetime
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from shared.destinations.contract import Answer, Judgement, Verdict
from shared.egress import networks_of
from shared.egress.sessions import Session
from shared.states import DELIVERY_MOVES, DeliveryState
from tests.doubles.crm import Crm
from tests.workers.delivery.conftest import Clock, Desk
from workers.delivery import outcome
from workers.delivery.books import Books
from workers.delivery.claim import Claimed
from workers.delivery.outcome import Result
from workers.delivery.send import attempt

NOW = datetime(2026, 11, 6, 10, 30, tzinfo=UTC)


@given(
    verdict=st.sampled_from(list(Verdict)),
    tries=st.integers(0, 12),
    attempts=st.integers(0, 10),
    schedule=st.sampled_from([None, "standard"]),
    retry_after=st.one_of(st.none(), st.floats(1, 86_400)),
    subscription=st.sampled_from(["active", "inactive", "deleted", "absent"]),
)
def test_every_result_leads_to_one_state_that_may_follow_a_lease(  # noqa: PLR0917
    verdict: Verdict, tries: int, attempts: int, schedule: str | None, retry_after: float | None, subscription: str
):
    claimed = Claimed("d", "a", "s", "e", "user.created", tries, tries, b"{}", "c", NOW)
    row: Any = SimpleNamespace(
        active=subscription == "active",
        deleted_at=NOW if subscription == "deleted" else None,
        retry_attempts=attempts,
        retry_delay_seconds=60.0,
        schedule=schedule,
    )
    result = Result(claimed, Answer(500), Judgement(verdict, "http_500", retry_after), NOW, NOW)

    state, next_at = outcome._state(result, None if subscription == "absent" else row, now=NOW, rng=Random(1))

    assert state in DELIVERY_MOVES[DeliveryState.LEASED]
    assert (state is DeliveryState.DELIVERED) == (verdict is Verdict.DELIVERED)
    if state is DeliveryState.PENDING:
        assert subscription == "active"
        assert next_at is not None
        assert next_at > NOW
    if verdict is Verdict.AGAIN and subscription == "active":
        left = tries < (9 if schedule else attempts)
        assert state is (DeliveryState.PENDING if left else DeliveryState.DEAD)


class Died(BaseException):
    """The process is gone: nothing after this line happened."""


def dying(target: Any, name: str, monkeypatch: pytest.MonkeyPatch, *, after: bool) -> None:
    original = getattr(target, name)

    def die(*args: Any, **rest: Any) -> Any:
        if after:
            original(*args, **rest)
        raise Died

    monkeypatch.setattr(target, name, die)


async def send(desk: Desk, books: Books, claimed: Claimed) -> Result:
    """One attempt over real HTTP, as a flight of the window makes it."""
    settings = desk.context.settings
    session = Session(networks=networks_of(settings.allowed_networks()), allow_http=True)
    try:
        subscriber = books.subscribers.get(claimed.subscription_id)
        return await attempt(claimed, subscriber, session, clock=desk.clock, timeout_max_seconds=10)
    finally:
        await session.close()


BEFORE_THE_REQUEST, BEFORE_THE_RECORD, AFTER_THE_COMMIT = "before the request", "before the record", "after the commit"


@pytest.mark.parametrize(
    ("status", "retries", "verdict", "rests_in"),
    [
        (200, 3, Verdict.DELIVERED, "delivered"),
        (500, 3, Verdict.AGAIN, "pending"),
        (500, 0, Verdict.AGAIN, "dead"),
        (410, 3, Verdict.GONE, "held"),
    ],
)
@pytest.mark.parametrize(
    "crash", [BEFORE_THE_REQUEST, BEFORE_THE_RECORD, "after the settling", "after the lane", AFTER_THE_COMMIT]
)
def test_a_crash_anywhere_ends_in_one_right_state(  # noqa: PLR0917
    desk: Desk, crm: Crm, clock: Clock, crash: str, status: int, retries: int, verdict: Verdict, rests_in: str
):
    subscription = desk.subscribe(crm.url(), retry_attempts=retries)
    (delivery,) = desk.owe(subscription)
    crm.answer(status)
    books = Books(desk.context, rng=Random(1))
    (claimed,) = books.claim({str(subscription): 1}, [], clock()).taken
    if crash != BEFORE_THE_REQUEST:
        result = asyncio.run(send(desk, books, claimed))
        assert (result.judgement.verdict, len(crm.received)) == (verdict, 1)
    with pytest.MonkeyPatch.context() as patch:
        if crash == "after the settling":
            dying(outcome, "_settle", patch, after=True)
        elif crash == "after the lane":
            dying(outcome, "_move_lanes", patch, after=True)
        if crash.startswith("after"):
            with nullcontext() if crash == AFTER_THE_COMMIT else pytest.raises(Died):
                books.record([result], clock())

    committed = crash == AFTER_THE_COMMIT
    assert desk.delivery(delivery).state == (rests_in if committed else "leased")
    clock.forward(90)
    assert desk.expire() == (0 if committed else 1)
    desk.dispatch()

    row = desk.delivery(delivery)
    assert row.state == rests_in
    assert (row.claim_id, row.lease_until) == (None, None)
    # What was sent and not written down is sent once more, under the same id; so is what is due again.
    repeated = rests_in == "pending" if committed else crash != BEFORE_THE_REQUEST
    assert [each.webhook_id for each in crm.received] == [str(row.event_id)] * (2 if repeated else 1)
    assert crm.refused() == []
    made = 2 if committed and rests_in == "pending" else 1
    assert row.attempts == made, "an attempt counts once, or not at all if it was never written down"
    assert [each.number for each in desk.attempts(delivery)] == list(range(1, made + 1))
    assert crm.received[-1].headers["x-webhook-attempt"] == str(made)
    lane = desk.lane(subscription)
    assert lane.success_count + lane.failed_count == made


def test_the_attempts_of_a_delivery_add_up_with_its_lane_after_a_storm(desk: Desk, crm: Crm, clock: Clock):
    subscription = desk.subscribe(crm.url(), retry_attempts=5, retry_delay_seconds=1.0, disable_after=1000)
    desk.owe(subscription, count=60)
    crm.answer(*Random(7).choices([200, 500, 503, 302], k=120), 200)

    for _ in range(40):
        desk.dispatch()
        clock.forward(1000)

    with desk.engine.begin() as connection:
        count = connection.execute(text("SELECT count(*) FROM attempts")).scalar_one()
    lane = desk.lane(subscription)
    assert desk.states(subscription) == {"delivered": 60}
    assert count == len(crm.received) == lane.success_count + lane.failed_count
    assert lane.success_count == 60
