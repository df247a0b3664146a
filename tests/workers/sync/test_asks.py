"""Asks for work that has begun, or that its provider or its failures put off: none is forgotten, none hurries it."""

import json

import pytest
from sqlalchemy import text

from shared.clock import after
from shared.db.engine import transaction
from shared.upstream_work import Kind
from tests.workers.sync.conftest import Rig
from workers.sync import claims
from workers.sync.claims import PROGRESS_SECONDS, Claim
from workers.sync.upstream import Upstream
from workers.sync.work import work


class DiesAt(Upstream):
    """The way out of a worker that dies, or is told to wait, before its first call of a kind."""

    what = "shopify.sync.variants"
    retry_after = ""

    def __init__(self, rig: Rig, *, retry_after: str = "") -> None:
        super().__init__(rig.context.settings, rig.context.client)
        self.rig = rig
        self.retry_after = retry_after

    def exchange(self, what, *args, **more):
        if what == self.what:
            if not self.retry_after:
                raise KeyboardInterrupt
            self.rig.shopify.fail(429, Retry_After=self.retry_after)
        return super().exchange(what, *args, **more)


def titles(rig: Rig) -> list[str]:
    [row] = rig.rows("SELECT body FROM documents WHERE path LIKE '%/shop_products.json'")
    return [product["title"] for product in json.loads(row["body"])["products"]]


def change_a_product(rig: Rig) -> None:
    """It changes, and its webhook asks for a sync as a drain does."""
    rig.shop.products[0] |= {"title": "Renamed", "updatedAt": "2026-11-02T10:00:00Z"}
    rig.ask(Kind.SYNC, in_seconds=30)


def take(rig: Rig) -> Claim:
    with transaction(rig.context.engine) as connection:
        claim = claims.take(connection, kinds=Kind, now=rig.now, lease_seconds=90)
    assert claim is not None
    return claim


def test_what_changes_between_two_slices_is_read_again_once_the_reading_has_ended(rig: Rig) -> None:
    rig.shop.add_products(1)
    rig.ask(Kind.SYNC)
    work(rig.context, clock=lambda: rig.now, upstream=DiesAt(rig, retry_after="120"))
    assert rig.standing(Kind.SYNC)["state"] == "waiting"
    change_a_product(rig)
    rig.forward(seconds=125)
    rig.run()
    assert rig.standing(Kind.SYNC)["state"] == "done"
    rig.forward(seconds=30)
    rig.run()
    assert titles(rig) == ["Renamed"]
    assert rig.standing(Kind.SYNC)["due_at"] > after(rig.now, 80_000)  # and nobody has asked since


def test_what_changes_before_a_crash_is_read_again_once_the_reading_has_ended(rig: Rig) -> None:
    rig.shop.add_products(1)
    rig.ask(Kind.SYNC)
    with pytest.raises(KeyboardInterrupt):
        work(rig.context, clock=lambda: rig.now, upstream=DiesAt(rig))
    change_a_product(rig)
    assert rig.standing(Kind.SYNC)["due_at"] == after(rig.now, 30)
    rig.forward(seconds=91)
    rig.run()
    assert titles(rig) == ["Renamed"]
    assert rig.standing(Kind.SYNC)["due_at"] > after(rig.now, 80_000)


def test_asks_while_it_runs_are_one_and_wait_for_the_last_of_them(rig: Rig) -> None:
    rig.ask(Kind.SYNC)
    claim = take(rig)
    for _ in range(3):
        rig.forward(seconds=20)
        rig.ask(Kind.SYNC, in_seconds=30)
    with transaction(rig.context.engine) as connection:
        claims.finish(connection, claim, {}, now=rig.now, again_at=after(rig.now, 86_400))
    assert rig.standing(Kind.SYNC)["due_at"] == after(rig.now, 30)
    rig.forward(seconds=30)
    again = take(rig)
    with transaction(rig.context.engine) as connection:
        claims.finish(connection, again, {}, now=rig.now, again_at=None)
    assert rig.standing(Kind.SYNC)["due_at"] is None


def test_an_ask_while_it_runs_outlives_that_it_fails_for_good(rig: Rig) -> None:
    rig.ask(Kind.INQUIRY)
    claim = take(rig)
    rig.ask(Kind.INQUIRY, in_seconds=30)
    with transaction(rig.context.engine) as connection:
        assert claims.fail(connection, claim, code="c", message="m", now=rig.now, is_final=True) is not None


@pytest.mark.parametrize(("seconds", "goes_on"), [(PROGRESS_SECONDS - 1, True), (PROGRESS_SECONDS, False)])
def test_progress_that_is_hours_old_is_given_up(rig: Rig, seconds: float, goes_on: bool) -> None:
    rig.ask(Kind.SYNC)
    dead = take(rig)
    with transaction(rig.context.engine) as connection:
        claims.advance(connection, dead, {"stage": "variants"}, now=rig.now, lease_seconds=90)
    rig.forward(seconds=seconds)
    again = take(rig)
    assert (again.progress is not None) == goes_on
    with transaction(rig.context.engine) as connection:
        started_at = connection.execute(text("SELECT started_at FROM upstream_work")).scalar_one()
    assert (started_at < rig.now) == goes_on


def test_pages_that_are_hours_old_are_read_anew(rig: Rig) -> None:
    rig.shop.add_products(1)
    rig.ask(Kind.SYNC)
    with pytest.raises(KeyboardInterrupt):
        work(rig.context, clock=lambda: rig.now, upstream=DiesAt(rig))
    rig.shop.products[0] |= {"title": "Renamed", "updatedAt": "2026-11-02T10:00:00Z"}
    rig.forward(hours=6)
    rig.run()
    assert titles(rig) == ["Renamed"]


def fail(rig: Rig, *, status: int = 500, times: int = 3, **headers: str) -> None:
    """What is due fails, and no circuit makes it look as if it did."""
    rig.context.client.flushall()
    rig.shopify.faults.clear()
    rig.shopify.fail(status, times=times, **headers)
    rig.run()
    assert not rig.shopify.faults


def due_in(rig: Rig) -> float:
    return float((rig.standing(Kind.SYNC)["due_at"] - rig.now).total_seconds())


def test_a_message_does_not_undercut_what_the_provider_asked_for_and_neither_does_a_person(rig: Rig) -> None:
    rig.ask(Kind.SYNC)
    fail(rig, status=429, times=1, Retry_After="120")
    wait = due_in(rig)
    assert wait >= 120
    rig.ask(Kind.SYNC, in_seconds=30)
    assert due_in(rig) == wait
    rig.ask(Kind.SYNC, by_person=True)
    assert due_in(rig) == wait


def test_a_message_does_not_undercut_the_pause_between_tries_and_a_person_does(rig: Rig) -> None:
    rig.ask(Kind.SYNC)
    fail(rig)
    rig.forward(seconds=60)
    fail(rig)
    rig.ask(Kind.SYNC, in_seconds=30)
    standing = rig.standing(Kind.SYNC)
    assert (due_in(rig), standing["tries"], standing["state"]) == (300, 2, "failed")
    rig.ask(Kind.SYNC, by_person=True)
    standing = rig.standing(Kind.SYNC)
    assert (due_in(rig), standing["tries"], standing["state"]) == (0, 0, "waiting")


def test_an_account_that_is_shut_is_left_alone_for_hours_unless_a_person_has_it_opened(rig: Rig) -> None:
    rig.ask(Kind.SYNC)
    fail(rig, status=402, times=1)
    rig.ask(Kind.SYNC, in_seconds=30)
    assert due_in(rig) == 6 * 3600
    rig.ask(Kind.SYNC, by_person=True)
    assert due_in(rig) == 0


def test_a_failure_with_a_retry_after_is_not_undercut_by_a_person(rig: Rig) -> None:
    rig.ask(Kind.REGISTRATION)
    fail(rig, status=429, times=1, Retry_After="120")
    rig.ask(Kind.REGISTRATION, by_person=True)
    standing = rig.standing(Kind.REGISTRATION)
    assert (standing["due_at"], standing["error_code"]) == (after(rig.now, 120), "too_many_requests")


def test_failures_in_a_row_are_told_however_many_messages_come_between_them(rig: Rig) -> None:
    rig.ask(Kind.SYNC)
    for tries in range(1, 6):
        fail(rig)
        assert rig.standing(Kind.SYNC)["tries"] == tries
        rig.ask(Kind.SYNC, in_seconds=30)
        rig.forward(seconds=due_in(rig))
    assert [row["kind"] for row in rig.rows("SELECT kind FROM alerts")] == ["sync.failing"]


def test_an_ask_while_it_runs_does_not_undercut_that_it_fails(rig: Rig) -> None:
    rig.ask(Kind.SYNC)
    claim = take(rig)
    rig.ask(Kind.SYNC)
    with transaction(rig.context.engine) as connection:
        claims.fail(connection, claim, code="c", message="m", now=rig.now, is_final=False)
    assert rig.standing(Kind.SYNC)["due_at"] == after(rig.now, 60)


def test_what_was_done_since_may_be_asked_for_at_once(rig: Rig) -> None:
    rig.ask(Kind.SYNC)
    fail(rig)
    rig.forward(seconds=60)
    rig.run()
    assert rig.standing(Kind.SYNC)["state"] == "done"
    rig.ask(Kind.SYNC, in_seconds=30)
    assert due_in(rig) == 30
