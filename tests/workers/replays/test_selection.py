"""Replay jobs on the real tables: what of the deliveries is taken, and exactly once."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from shared import ids, queues, replays
from shared.db.engine import transaction
from shared.errors import NotFound, Unacceptable
from shared.replays import Filters
from tests.workers import rows
from tests.workers.replays.jobs import LATER, run_to_end, state_of, sums
from tests.workers.rows import NOW
from workers import replay, replay_batches
from workers.replay import run_slice


def test_dead_deliveries_are_due_again_with_their_event_and_a_fresh_set_of_tries(context, engine, ask):
    account = rows.account(engine)
    crm = rows.subscription(engine, account)
    dead = rows.delivery(engine, account, crm, claim_id=ids.new_id())
    delivered = rows.delivery(engine, account, crm, state="delivered")
    before = rows.row(engine, "deliveries", dead)

    assert run_slice(context, str(ask("deliveries")), now=LATER) == {
        "state": "finished",
        "done": 1,
        "skipped": 0,
        "failed": 0,
    }

    after = rows.row(engine, "deliveries", dead)
    assert after["state"] == "pending"
    assert after["event_id"] == before["event_id"]
    assert (after["tries"], after["attempts"], after["claim_id"], after["finished_at"]) == (0, 4, None, None)
    assert after["next_attempt_at"] == LATER
    assert rows.states(engine)[delivered] == "delivered"
    assert context.client.exists(queues.DISPATCH_WAKE)


def test_a_disabled_subscriptions_deliveries_are_held_and_a_deleted_ones_are_skipped(context, engine, ask):
    account = rows.account(engine)
    off = rows.delivery(engine, account, rows.subscription(engine, account, active=False))
    gone = rows.delivery(engine, account, rows.subscription(engine, account, deleted_at=NOW))
    job = ask("deliveries")
    run_to_end(context, job)
    assert rows.states(engine) == {off: "held", gone: "dead"}
    assert state_of(engine, job)["skipped_why"] == {"subscription_deleted": 1}


def test_named_deliveries_that_are_on_their_way_are_skipped_and_said_so(context, engine, ask):
    account = rows.account(engine)
    crm = rows.subscription(engine, account)
    made = {name: rows.delivery(engine, account, crm, state=name) for name in ("pending", "leased", "dead", "held")}
    job = ask("deliveries", ids=tuple(made.values()))
    run_to_end(context, job)
    assert sums(state_of(engine, job)) == (4, 2, 2, 0)
    assert state_of(engine, job)["skipped_why"] == {"in_flight": 2}
    assert rows.states(engine)[made["leased"]] == "leased"
    assert rows.states(engine)[made["dead"]] == "pending"


def test_k20_a_replay_of_an_expired_event_says_so(context, engine, ask):
    account = rows.account(engine)
    crm = rows.subscription(engine, account)
    kept, lost = rows.delivery(engine, account, crm), rows.delivery(engine, account, crm, event_id=ids.new_id())
    job = ask("deliveries")
    run_to_end(context, job)
    assert rows.states(engine) == {kept: "pending", lost: "dead"}
    assert sums(state_of(engine, job)) == (2, 1, 1, 0)
    assert state_of(engine, job)["skipped_why"] == {"expired": 1}
    with pytest.raises(Unacceptable) as refused, transaction(engine) as connection:
        replays.replay_delivery(connection, lost, account_id=account, asked_by="cli:ada", reason=None, now=LATER)
    assert (refused.value.code, refused.value.status) == ("event_expired", 410)


def test_every_filter_narrows_and_a_dry_run_counts_what_is_then_done(context, engine, ask):
    account, other = rows.account(engine), rows.account(engine, "other")
    shop, crm = rows.source(engine, account), rows.subscription(engine, account)
    early, late = NOW - timedelta(days=3), NOW - timedelta(days=1)

    def made(at, crm=crm, account=account, **values):
        key = UUID(int=ids.floor_id(at).int + next(counter))
        event = rows.event(engine, account, source_id=values.pop("source", None), type=values.get("event_type", "x"))
        return rows.delivery(engine, account, crm, id=key, event_id=event, **values)

    counter = iter(range(1, 100))
    a = made(early, event_type="order.created", source=shop)
    b = made(late, event_type="order.paid")
    c = made(late, crm=rows.subscription(engine, account))
    d = made(late, crm=rows.subscription(engine, other), account=other)
    e = made(late, state="delivered")
    cases: list[tuple[dict[str, Any], set[UUID]]] = [
        ({}, {a, b, c, d}),
        ({"account_id": account}, {a, b, c}),
        ({"subscription": crm}, {a, b}),
        ({"event_type": "order.*"}, {a, b}),
        ({"event_type": "order.paid"}, {b}),
        ({"event_type": "order"}, set()),
        ({"source": shop}, {a}),
        ({"since": late}, {b, c, d}),
        ({"until": late}, {a}),
        ({"states": ("dead", "delivered")}, {a, b, c, d, e}),
        ({"account_id": account, "ids": (b, d, e)}, {b, e}),
        ({"subscription": crm, "event_type": "order.*", "since": late}, {b}),
    ]
    original = rows.states(engine)
    for filters, expected in cases:
        with engine.connect() as connection:
            counted = replays.count(connection, "deliveries", Filters(**filters))
        job = ask("deliveries", **filters)
        if expected:
            run_to_end(context, job)
        moved = {key for key, state in rows.states(engine).items() if state != original[key]}
        assert moved == expected, filters
        assert counted == state_of(engine, job)["done"] == len(expected), filters
        with transaction(engine) as connection:
            for key, state in original.items():
                connection.execute(
                    text("UPDATE deliveries SET state = :state, finished_at = :now WHERE id = :id"),
                    {"state": state, "id": key, "now": NOW},
                )


@pytest.mark.parametrize(
    ("target", "filters", "code"),
    [
        ("deliveries", {"states": ("leased",)}, "state_unknown"),
        ("messages", {"states": ("dead",)}, "state_unknown"),
        ("messages", {"event_type": "user.created"}, "filter_unknown"),
        ("messages", {"subscription": ids.new_id()}, "filter_unknown"),
        ("events", {"states": ("dead",)}, "filter_unknown"),
        ("users", {}, "target_unknown"),
        ("deliveries", {"subscription": ids.new_id()}, "subscription_not_found"),
    ],
)
def test_a_filter_that_makes_no_sense_is_refused_rather_than_ignored(engine, ask, target, filters, code):
    with pytest.raises(Unacceptable) as refused:
        ask(target, **filters)
    assert refused.value.code == code


def test_another_accounts_subscription_job_and_delivery_are_not_there(engine, ask):
    mine, theirs = rows.account(engine), rows.account(engine, "theirs")
    crm = rows.subscription(engine, theirs)
    delivery = rows.delivery(engine, theirs, crm)
    job = ask("deliveries", account_id=theirs)
    with pytest.raises(NotFound):
        ask("deliveries", account_id=mine, subscription=crm)
    with engine.connect() as connection:
        for act in (replays.pause, replays.resume, replays.cancel):
            with pytest.raises(NotFound):
                act(connection, job, account_id=mine, asked_by="cli:eve", now=LATER)
        with pytest.raises(NotFound):
            replays.replay_delivery(connection, delivery, account_id=mine, asked_by="x", reason=None, now=LATER)
        assert replays.list_jobs(connection, account_id=mine) == []
        assert [found["id"] for found in replays.list_jobs(connection, account_id=theirs)] == [job]


def test_a_crash_between_the_work_and_the_commit_repeats_nothing_and_loses_nothing(context, engine, ask, monkeypatch):
    monkeypatch.setitem(replay_batches.BATCH_SIZES, "deliveries", 3)
    account = rows.account(engine)
    crm = rows.subscription(engine, account)
    made = [rows.delivery(engine, account, crm) for _ in range(10)]
    job = ask("deliveries")
    real, calls = replay._after, iter(range(100))

    def dies_in_the_third(*arguments):
        if next(calls) == 2:
            raise SystemExit
        return real(*arguments)

    monkeypatch.setattr(replay, "_after", dies_in_the_third)
    with pytest.raises(SystemExit):
        run_slice(context, str(job), now=LATER)
    assert state_of(engine, job)["done"] == 6
    assert [rows.states(engine)[key] for key in made] == ["pending"] * 6 + ["dead"] * 4
    # Those already replayed have failed again meanwhile; the job has had its turn with them.
    with transaction(engine) as connection:
        connection.execute(text("UPDATE deliveries SET state = 'dead', finished_at = :at"), {"at": LATER})
        connection.execute(text("UPDATE deliveries SET finished_at = :at WHERE id > :id"), {"at": NOW, "id": made[5]})
    run_to_end(context, job)
    assert sums(state_of(engine, job)) == (10, 10, 0, 0)
    assert [rows.states(engine)[key] for key in made] == ["dead"] * 6 + ["pending"] * 4


def test_items_that_changed_before_their_turn_or_came_later_are_not_the_jobs(context, engine, ask):
    account = rows.account(engine)
    crm = rows.subscription(engine, account)
    first, second = rows.delivery(engine, account, crm), rows.delivery(engine, account, crm)
    job = ask("deliveries")
    with transaction(engine) as connection:
        assert replays.replay_delivery(connection, first, account_id=account, asked_by="x", reason=None, now=LATER)
        assert not replays.replay_delivery(connection, first, account_id=account, asked_by="x", reason=None, now=LATER)
    newer = rows.delivery(engine, account, crm)
    run_to_end(context, job)
    assert rows.states(engine) == {first: "pending", second: "pending", newer: "dead"}
    assert sums(state_of(engine, job)) == (2, 1, 1, 0)
    assert state_of(engine, job)["skipped_why"] == {"changed": 1}
