"""Replay jobs on the real tables: what is taken, how fast, by whom, and exactly once."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

from shared import audit, ids, queues, replays
from shared.crypto import KeyRing
from shared.db.engine import transaction
from shared.errors import Conflict, NotFound, Unacceptable
from shared.inbox import Inbox
from shared.replays import Filters, Target
from shared.settings import Settings
from shared.valkey import Client
from tests.workers import rows
from tests.workers.rows import NOW
from workers import replay, replay_batches
from workers.context import Context
from workers.replay import run_slice

LATER = NOW + timedelta(hours=1)


@pytest.fixture
def context(settings: Settings, engine: Engine, queue: Client, ring: KeyRing) -> Context:
    return Context(settings=settings, engine=engine, client=queue, ring=ring, inbox=Inbox(queue, shards=4))


@pytest.fixture
def ask(engine: Engine) -> Callable[..., UUID]:
    def create(target: Target, *, rate: float | None = None, **filters: Any) -> UUID:
        with transaction(engine) as connection:
            job = replays.create(
                connection,
                target=target,
                filters=Filters(**filters),
                rate_per_second=rate,
                asked_by="cli:ada",
                reason="the CRM was down",
                now=LATER,
            )
        return UUID(str(job["id"]))

    return create


def state_of(engine: Engine, job: UUID) -> dict[str, Any]:
    with engine.connect() as connection:
        return replays.get(connection, job, account_id=None)


def sums(job: dict[str, Any]) -> tuple[int, int, int, int]:
    return job["total"], job["done"], job["skipped"], job["failed"]


def run_to_end(context: Context, job: UUID, *, most: int = 50) -> int:
    """Slices it took."""
    for number in range(1, most + 1):
        if run_slice(context, str(job), now=LATER)["state"] == "finished":
            return number
    raise AssertionError(state_of(context.engine, job))


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


def test_a_rate_is_kept_over_any_pattern_of_slices(context, engine, ask):
    account = rows.account(engine)
    crm = rows.subscription(engine, account)
    for _ in range(30):
        rows.delivery(engine, account, crm)
    job = ask("deliveries", rate=5)
    seen = []
    # On time, twice in one second, then a worker that was busy for 30 s: it may catch up on BURST_SECONDS, no more.
    for seconds in (0, 0, 0.5, 1, 1, 2, 32, 33):
        run_slice(context, str(job), now=LATER + timedelta(seconds=seconds))
        seen.append(state_of(engine, job)["done"])
    assert seen == [5, 5, 5, 10, 10, 15, 30, 30]


def test_a_slow_rate_is_one_item_each_so_many_seconds(context, engine, ask):
    account = rows.account(engine)
    crm = rows.subscription(engine, account)
    for _ in range(5):
        rows.delivery(engine, account, crm)
    job = ask("deliveries", rate=0.1)
    seen = []
    for seconds in (0, 5, 10, 19, 20):
        run_slice(context, str(job), now=LATER + timedelta(seconds=seconds))
        seen.append(state_of(engine, job)["done"])
    assert seen == [1, 1, 2, 2, 3]


@pytest.mark.parametrize("rate", [0, -1, 1e-300, float("inf"), float("nan")])
def test_a_rate_of_nothing_or_without_bounds_is_refused(ask, rate):
    with pytest.raises(Unacceptable, match="The rate must be"):
        ask("deliveries", rate=rate)


def test_pause_resume_and_cancel_hold_from_the_next_batch_on_and_are_in_the_audit_log(context, engine, ask):
    account = rows.account(engine)
    crm = rows.subscription(engine, account)
    for _ in range(6):
        rows.delivery(engine, account, crm)
    job = ask("deliveries", rate=2, account_id=account)

    def act(deed, seconds):
        with transaction(engine) as connection:
            now = LATER + timedelta(seconds=seconds)
            return deed(connection, job, account_id=account, asked_by="key:ck_1", now=now)["state"]

    def done_at(seconds):
        run_slice(context, str(job), now=LATER + timedelta(seconds=seconds))
        return state_of(engine, job)["done"]

    assert done_at(0) == 2
    assert act(replays.pause, 1) == act(replays.pause, 1) == "paused"
    assert done_at(5) == 2
    assert act(replays.resume, 6) == "running"
    assert done_at(6) == 4
    assert act(replays.cancel, 7) == "cancelled"
    assert done_at(9) == 4
    with pytest.raises(Conflict):
        act(replays.resume, 10)
    with engine.connect() as connection:
        written = audit.list_entries(connection, account_id=account, subject_id=str(job))
    assert [(row["action"], row["actor"], row["reason"]) for row in reversed(written)] == [
        ("replay.created", "cli:ada", "the CRM was down"),
        ("replay.paused", "key:ck_1", None),
        ("replay.resumed", "key:ck_1", None),
        ("replay.cancelled", "key:ck_1", None),
    ]


def test_one_worker_at_a_time_holds_a_job(context, engine, ask):
    account = rows.account(engine)
    rows.delivery(engine, account, rows.subscription(engine, account))
    job = ask("deliveries")
    with transaction(engine) as connection:
        connection.execute(text("SELECT 1 FROM replay_jobs WHERE id = :id FOR UPDATE"), {"id": job})
        assert run_slice(context, str(job), now=LATER)["state"] == "busy"
    assert run_slice(context, str(job), now=LATER)["state"] == "finished"
    assert run_slice(context, str(job), now=LATER) == {"state": "finished", "done": 0, "skipped": 0, "failed": 0}
    assert run_slice(context, "no id", now=LATER)["state"] == "unknown"


def test_a_job_over_nothing_is_finished_at_once(engine, ask):
    job = state_of(engine, ask("deliveries"))
    assert (job["state"], sums(job), job["finished_at"]) == ("finished", (0, 0, 0, 0), LATER)
    assert replays.describe(job)["filters"] == {}


def test_events_are_fanned_out_anew_to_all_who_want_them_today(context, engine, ask):
    account = rows.account(engine)
    old, new = rows.subscription(engine, account), rows.subscription(engine, account, events=["user.*"])
    off = rows.subscription(engine, account, active=False, events=["order.created"])
    rows.subscription(engine, account, deleted_at=NOW)
    rows.subscription(engine, rows.account(engine, "other"))
    user = rows.event(engine, account)
    order = rows.event(engine, account, type="order.created")
    known = rows.delivery(engine, account, old, event_id=user, state="delivered")
    flying = rows.delivery(engine, account, old, event_id=order, state="leased")
    rows.event(engine, account, type="webhook.test", message_id=None)
    job = ask("events")
    run_to_end(context, job)
    with engine.connect() as connection:
        found = connection.execute(text("SELECT id, event_id, subscription_id, state, tries FROM deliveries")).all()
    assert {(row.event_id, row.subscription_id): row.state for row in found} == {
        (user, old): "pending",
        (user, new): "pending",
        (order, old): "leased",
        (order, off): "held",
    }
    assert {row.id: row.tries for row in found}[known] == 0
    assert rows.row(engine, "deliveries", flying)["tries"] == 4
    assert sums(state_of(engine, job)) == (2, 2, 0, 0)


def test_events_for_one_subscription_are_those_it_wants_and_go_to_it_alone(context, engine, ask):
    account = rows.account(engine)
    crm = rows.subscription(engine, account, events=["order.*", "user.deleted"])
    rows.subscription(engine, account)
    wanted = {rows.event(engine, account, type=kind) for kind in ("order.created", "order.line.added", "user.deleted")}
    rows.event(engine, account, type="user.created")
    job = ask("events", subscription=crm)
    run_to_end(context, job)
    with engine.connect() as connection:
        found = connection.execute(text("SELECT event_id, subscription_id FROM deliveries")).all()
    assert {(row.event_id, row.subscription_id) for row in found} == {(event, crm) for event in wanted}
    assert sums(state_of(engine, job)) == (3, 3, 0, 0)


def test_events_that_nobody_wants_or_all_have_on_the_way_are_skipped_and_said_so(context, engine, ask):
    account = rows.account(engine)
    crm = rows.subscription(engine, account, events=["user.*"])
    rows.event(engine, account, type="order.created")
    rows.delivery(engine, account, crm, state="pending")
    job = ask("events")
    run_to_end(context, job)
    assert state_of(engine, job)["skipped_why"] == {"unwanted": 1, "in_flight": 1}


CUSTOMER = b'{"id": 7064055069303700841, "email": "zo\xc3\xab@lindenhof.example", "updated_at": "2026-03-01T10:00:00Z"}'


def test_failed_messages_go_from_their_raw_bytes_through_todays_transform(context, engine, ask):
    account = rows.account(engine)
    shop = rows.source(engine, account)
    crm = rows.subscription(engine, account)
    headers = {"x-shopify-topic": "customers/create", "x-shopify-shop-domain": "lindenhof.myshopify.com"}
    fixed = rows.message(engine, account, shop, headers=headers, body=CUSTOMER)
    broken = rows.message(engine, account, shop, headers=headers, body=b"{")
    repeat = rows.message(engine, account, shop, headers=headers, body=None, state="duplicate")
    orphan = rows.message(engine, account, ids.new_id(), headers=headers, body=CUSTOMER)
    job = ask("messages", states=("failed", "duplicate"))
    run_to_end(context, job)
    assert rows.states(engine, "messages") == {
        fixed: "processed",
        broken: "failed",
        repeat: "duplicate",
        orphan: "failed",
    }
    assert rows.row(engine, "messages", fixed)["replays"] == 1
    assert sums(state_of(engine, job)) == (4, 1, 2, 1)
    assert state_of(engine, job)["skipped_why"] == {"duplicate": 1, "source_deleted": 1}
    with engine.connect() as connection:
        found = connection.execute(
            text("SELECT e.type, d.subscription_id FROM events e JOIN deliveries d ON d.event_id = e.id")
        ).all()
    assert [(row.type, row.subscription_id) for row in found] == [("user.created", crm)]


def test_large_messages_are_replayed_few_at_once(context, engine, ask, monkeypatch):
    monkeypatch.setattr(replay_batches, "BATCH_BYTES", 2 * len(CUSTOMER))
    account = rows.account(engine)
    shop = rows.source(engine, account)
    headers = {"x-shopify-topic": "customers/create", "x-shopify-shop-domain": "lindenhof.myshopify.com"}
    bodies = [CUSTOMER, CUSTOMER, CUSTOMER + b" " * 3 * len(CUSTOMER), CUSTOMER, b"{"]
    for body in bodies:
        rows.message(engine, account, shop, headers=headers, body=body)
    batches = []
    real = replay_batches.process

    def watching(connection, messages, **more):
        batches.append(len(messages))
        return real(connection, messages, **more)

    monkeypatch.setattr(replay_batches, "process", watching)
    job = ask("messages")
    run_to_end(context, job)
    assert batches == [2, 1, 2]
    assert sums(state_of(engine, job)) == (5, 4, 0, 1)
