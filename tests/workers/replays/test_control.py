"""Replay jobs: how fast, by whom, paused, resumed and cancelled."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from shared import audit, replays
from shared.db.engine import transaction
from shared.errors import Conflict, Unacceptable
from tests.workers import rows
from tests.workers.replays.jobs import LATER, state_of, sums
from workers.replay import run_slice


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
