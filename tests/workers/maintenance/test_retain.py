"""Retention drops what is past its time and nothing else."""

from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from shared import ids, queues, replays
from shared.clock import utc_now
from shared.db.engine import transaction
from shared.db.migrate import ensure_partitions, week_of
from shared.replays import Filters, Target
from tests.workers import rows
from workers.maintenance import retain as module
from workers.maintenance.retain import retain
from workers.replay import run_slice

NOW = rows.NOW
DAY = timedelta(days=1)


def id_at(at: datetime, number: int = 1) -> UUID:
    return UUID(int=ids.floor_id(at).int + number)


def partitions(engine, table: str) -> list[str]:
    with engine.connect() as connection:
        names = connection.execute(
            text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = CAST(:table AS regclass)"),
            {"table": table},
        ).scalars()
        return sorted(name for name in names if name != f"{table}_default")


def count(engine, table: str) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


@pytest.fixture
def old_weeks(engine):
    """Partitions for ten weeks before NOW, as if it had run all along."""
    with transaction(engine) as connection:
        for weeks in (10, 5):
            ensure_partitions(connection, now=NOW - timedelta(weeks=weeks))


def test_the_coming_weeks_have_partitions_and_a_second_run_makes_none(context, engine):
    at = utc_now() + timedelta(weeks=20)
    assert retain(context, now=at)["partitions_made"] == 15
    assert retain(context, now=at)["partitions_made"] == 0
    assert f"events_{week_of(at + timedelta(weeks=4)):%Y%m%d}" in partitions(engine, "events")


def test_a_partition_goes_when_its_last_day_is_past_the_time_of_keeping(context, engine, old_weeks):
    account = rows.account(engine)
    kept_days = context.settings.keep_events_days
    edge = week_of(NOW - kept_days * DAY)  # the week that this begins is still partly to be kept
    gone, kept = id_at(edge - DAY), id_at(edge)
    for key in (gone, kept):
        rows.event(engine, account, id=key)
    assert retain(context, now=NOW)["partitions_dropped"] > 0
    with engine.connect() as connection:
        assert list(connection.execute(text("SELECT id FROM events")).scalars()) == [kept]
    assert f"events_{edge:%Y%m%d}" in partitions(engine, "events")
    assert f"events_{edge - 7 * DAY:%Y%m%d}" not in partitions(engine, "events")
    oldest = week_of(NOW - context.settings.keep_messages_days * DAY)
    assert partitions(engine, "messages")[0] == f"messages_{oldest:%Y%m%d}"


def test_what_was_owed_when_its_event_went_is_dead_and_says_why(context, engine, old_weeks):
    account = rows.account(engine)
    crm = rows.subscription(engine, account, active=False)
    old = rows.event(engine, account, id=id_at(NOW - 60 * DAY))
    young = rows.event(engine, account, id=id_at(NOW - DAY))
    owed = {
        state: rows.delivery(engine, account, rows.subscription(engine, account), event_id=old, state=state)
        for state in ("pending", "held", "leased", "delivered")
    }
    waits = rows.delivery(engine, account, crm, event_id=young, state="held")
    assert retain(context, now=NOW)["deliveries_expired"] == 2
    assert rows.states(engine) == {
        owed["pending"]: "dead",
        owed["held"]: "dead",
        owed["leased"]: "leased",
        owed["delivered"]: "delivered",
        waits: "held",
    }
    assert rows.row(engine, "deliveries", owed["held"])["last_error"] == "event_expired"


def test_k20_a_replay_over_a_dropped_partition_skips_and_says_expired(context, engine, old_weeks):
    account = rows.account(engine)
    crm = rows.subscription(engine, account)
    source = rows.source(engine, account)
    old, young = (rows.event(engine, account, id=id_at(at)) for at in (NOW - 60 * DAY, NOW - DAY))
    lost, fine = (rows.delivery(engine, account, crm, event_id=event) for event in (old, young))
    message = rows.message(engine, account, source, id=id_at(NOW - 60 * DAY))
    asked: list[tuple[Target, Filters]] = [
        ("deliveries", Filters()),
        ("events", Filters(event_type="*")),
        ("events", Filters(ids=(old,))),
        ("messages", Filters(ids=(message,))),
    ]

    def ask(target, filters):
        with transaction(engine) as connection:
            return replays.create(
                connection,
                target=target,
                filters=filters,
                rate_per_second=None,
                asked_by="cli:ada",
                reason=None,
                now=NOW,
            )["id"]

    def outcome(job):
        run_slice(context, str(job), now=NOW)
        with engine.connect() as connection:
            row = replays.get(connection, job, account_id=None)
        return row["state"], row["total"], row["done"], row["skipped"], row["skipped_why"]

    before = [ask(*one) for one in asked[:2]]
    retain(context, now=NOW)
    assert [outcome(job) for job in before] == [
        ("finished", 2, 1, 1, {"expired": 1}),
        ("finished", 2, 0, 2, {"in_flight": 1, "gone": 1}),
    ]
    assert [outcome(ask(*one)) for one in asked[2:]] == [("finished", 1, 0, 1, {"gone": 1})] * 2
    assert rows.states(engine) == {lost: "dead", fine: "pending"}


def test_rows_past_their_time_are_deleted_and_all_others_kept(context, engine):
    account = rows.account(engine)
    crm = rows.subscription(engine, account)
    keep = context.settings.keep_deliveries_days * DAY
    old, young = NOW - keep - DAY, NOW - keep + DAY
    event = rows.event(engine, account)

    def made(at, state, finished, number):
        values = {"id": id_at(at, number), "state": state, "finished_at": finished, "event_id": ids.new_id()}
        return rows.delivery(engine, account, crm, **values)

    for number, state in enumerate(("delivered", "dead", "discarded"), 1):
        made(old, state, old, number)
    kept = {
        made(old, "held", None, 4),
        made(old, "pending", None, 5),
        made(old, "delivered", young, 6),
        made(young, "delivered", young, 7),
    }
    with transaction(engine) as connection:
        for at in (NOW - 15 * DAY, NOW - 13 * DAY):
            connection.execute(
                text("INSERT INTO message_keys VALUES (:source, :key, :message, :at)"),
                {"source": account, "key": event.bytes + bytes([at.day]), "message": event, "at": at},
            )
        for at, ended in ((NOW - 400 * DAY, True), (NOW - 400 * DAY, False), (NOW - 300 * DAY, True)):
            values = {"id": id_at(at, ids.new_id().int % 2**32), "at": at, "ended": at if ended else None}
            values |= {"state": "finished" if ended else "paused"}
            connection.execute(
                text("""
                    INSERT INTO alerts (id, kind, severity, message, created_at, resolved_at)
                    VALUES (:id, 'x', 'warning', 'x', :at, :ended)
                """),
                values,
            )
            connection.execute(
                text("""
                    INSERT INTO replay_jobs (id, target, state, total, bound, next_slice_at, asked_by, created_at,
                                             finished_at)
                    VALUES (:id, 'events', :state, 0, :id, :at, 'x', :at, :ended)
                """),
                values,
            )
            connection.execute(
                text("""
                    INSERT INTO audit_log (id, actor, action, subject_kind, subject_id, at)
                    VALUES (:id, 'x', 'x', 'x', 'x', :at)
                """),
                values,
            )
    answer = retain(context, now=NOW)
    assert {name: answer[name] for name in ("deliveries", "message_keys", "alerts", "replay_jobs", "audit_log")} == {
        "deliveries": 3,
        "message_keys": 1,
        "alerts": 1,
        "replay_jobs": 1,
        "audit_log": 2,
    }
    assert set(rows.states(engine)) == kept
    assert (count(engine, "message_keys"), count(engine, "alerts"), count(engine, "audit_log")) == (1, 2, 1)
    assert answer["unfinished"] == 0


def test_rows_without_a_partition_of_their_own_go_too(context, engine):
    account = rows.account(engine)
    stray = rows.event(engine, account, id=id_at(NOW - 60 * DAY))
    late = rows.event(engine, account, id=id_at(NOW - DAY))
    assert retain(context, now=NOW)["events_default"] == 1
    with engine.connect() as connection:
        assert list(connection.execute(text("SELECT id FROM events")).scalars()) == [late]
    assert stray != late


def test_rows_that_came_before_their_partition_move_into_it(context, engine):
    account = rows.account(engine)
    early = rows.event(engine, account, id=id_at(NOW))
    assert count(engine, "events_default") == 1
    assert retain(context, now=NOW)["partitions_made"] > 0
    assert count(engine, "events_default") == 0
    assert count(engine, f"events_{week_of(NOW):%Y%m%d}") == 1
    assert rows.row(engine, "events", early)["id"] == early
    with engine.connect() as connection:
        plain = "SELECT indexdef FROM pg_indexes WHERE tablename = :name"
        names = (f"events_{week_of(NOW):%Y%m%d}", "events_default")
        one, other = (len(connection.execute(text(plain), {"name": name}).all()) for name in names)
    assert one == other == 4


def test_a_run_out_of_time_stops_between_batches_and_orders_the_next(context, engine, orders_sent, monkeypatch):
    monkeypatch.setattr(module, "BATCH_ROWS", 2)
    monkeypatch.setattr(module, "WORK_SECONDS", -1.0)
    with transaction(engine) as connection:
        connection.execute(
            text("""
                INSERT INTO message_keys
                SELECT uuidv7(), decode(lpad(n::text, 4, '0'), 'hex'), uuidv7(), :at FROM generate_series(1, 5) n
            """),
            {"at": NOW - 30 * DAY},
        )
    seen = []
    for _ in range(3):
        answer = retain(context, now=NOW)
        seen.append((answer["message_keys"], answer["unfinished"], orders_sent()))
    assert seen == [(2, 1, [(queues.RETAIN, [])]), (2, 1, [(queues.RETAIN, [])]), (1, 0, [])]


def test_a_partition_that_somebody_reads_is_left_for_the_next_run(context, engine, old_weeks):
    before = partitions(engine, "messages")
    with transaction(engine) as reader:
        reader.execute(text("SELECT count(*) FROM messages")).scalar()
        retain(context, now=NOW)
        assert set(before) <= set(partitions(engine, "messages"))
    retain(context, now=NOW)
    assert not set(before) <= set(partitions(engine, "messages"))
