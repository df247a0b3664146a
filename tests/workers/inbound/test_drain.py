import json
import threading
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from shared import queues
from shared.errors import QueueUnavailable
from tests.waiting import until
from tests.workers import rows
from tests.workers.inbound.dock import NOW, Dock, advisory_locks, customer
from workers.inbound import drain as drain_module
from workers.inbound import process as process_module
from workers.inbound.shard_lock import shard_lock


class Killed(BaseException):
    """What `kill -9` is to the code it hits: nothing catches it."""


def test_a_webhook_becomes_a_message_a_user_an_event_and_a_delivery(dock: Dock) -> None:
    message_id = dock.post("customers/create", customer(), delivery_id="b54557e4")

    assert dock.drain() == {
        "taken": 1,
        "processed": 1,
        "ignored": 0,
        "stale": 0,
        "duplicate": 0,
        "failed": 0,
        "redelivered": 0,
        "events": 1,
        "deliveries": 1,
    }

    message = dock.message(message_id)
    assert (message["state"], message["topic"], message["delivery_key"]) == (
        "processed",
        "customers/create",
        "b54557e4",
    )
    assert json.loads(bytes(message["body"]))["first_name"] == "Zoë"
    assert message["headers"]["x-shopify-topic"] == "customers/create"
    [user] = dock.rows("users")
    assert (user["external_id"], user["first_name"]) == ("7064055069303700841", "Zoë")
    [event] = dock.rows("events")
    assert event["subject_id"] == user["id"]
    [delivery] = dock.rows("deliveries")
    assert delivery["event_id"] == event["id"]
    assert delivery["state"] == "pending"
    assert delivery["accepted_at"] == message["received_at"]
    assert dock.left() == 0


def test_the_dispatcher_is_woken_and_the_counters_rise(dock: Dock) -> None:
    dock.post("customers/create", customer())
    dock.drain()
    assert dock.context.client.exists(queues.DISPATCH_WAKE)
    counters = dock.context.client.hgetall(queues.COUNTERS)
    assert counters == {
        b"accepted": b"1",
        b"messages:processed": b"1",
        b"events": b"1",
        b"deliveries:created": b"1",
    }


def test_nobody_is_woken_when_nothing_is_to_be_delivered(dock: Dock) -> None:
    dock.post("products/update", {"id": 1})
    dock.drain()
    assert not dock.context.client.exists(queues.DISPATCH_WAKE)


def test_more_than_a_batch_is_drained_by_one_order_in_order(dock: Dock) -> None:
    for minute in range(450):
        dock.post("customers/update", customer(minute=minute, note=str(minute)))
    counts = dock.drain()
    assert (counts["taken"], counts["processed"], counts["events"]) == (450, 450, 450)
    notes = [envelope["data"]["user"]["attributes"]["note"] for envelope in dock.envelopes()]
    assert notes == [str(minute) for minute in range(450)]


def test_k2_the_same_webhook_50_times_is_one_event(dock: Dock) -> None:
    ids = [dock.post("customers/create", customer(), delivery_id="same") for _ in range(50)]
    counts = dock.drain()
    assert (counts["processed"], counts["duplicate"], counts["events"]) == (1, 49, 1)
    messages = dock.rows("messages")
    assert [message["state"] for message in messages] == ["processed"] + ["duplicate"] * 49
    assert {message["duplicate_of"] for message in messages[1:]} == {ids[0]}
    assert all(message["body"] is None for message in messages[1:])
    assert bytes(messages[0]["body"])


def test_k2_repeats_in_several_shards_at_once_are_one_event(dock: Dock) -> None:
    # The shop's header is unsigned, so a repeat can be steered to another shard.
    shards = range(dock.context.settings.inbox_shards)
    for shard in [*shards] * 10:
        dock.post("customers/create", customer(), delivery_id="same", shard=shard)
    results: list[dict[str, int]] = []
    threads = [
        threading.Thread(target=lambda shard=shard: results.append(drain_module.drain(dock.context, shard)))
        for shard in shards
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts["taken"] for counts in results) == 40
    assert sum(counts["processed"] for counts in results) == 1
    assert sum(counts["duplicate"] for counts in results) == 39
    assert dock.told() == ["user.created"]


def test_a_repeat_in_a_later_batch_is_a_duplicate_too(dock: Dock) -> None:
    first = dock.post("customers/create", customer(), delivery_id="same")
    dock.drain()
    second = dock.post("customers/create", customer(), delivery_id="same")
    assert dock.drain()["duplicate"] == 1
    assert dock.message(second)["duplicate_of"] == first


def test_another_source_with_the_same_delivery_id_is_no_repeat(dock: Dock) -> None:
    other = rows.source(dock.engine, rows.account(dock.engine, "other"))
    dock.post("customers/create", customer(), delivery_id="same")
    dock.post("customers/create", customer(), delivery_id="same", source_id=other)
    assert dock.drain()["processed"] == 2


# Every step of the drain that a process can die after.
STEPS = ["take", "identify", "keys", "users", "messages", "emit", "commit", "acknowledge", "wake", "count"]


@pytest.mark.parametrize("step", STEPS)
def test_a_drain_killed_after_any_step_leaves_everything_to_the_next_exactly_once(
    dock: Dock, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dock.post("customers/create", customer(), delivery_id="same")
    dock.post("customers/create", customer(), delivery_id="same")
    dock.post("customers/update", customer(minute=1, phone="+4670"))
    dock.post("customers/update", b"not json")
    _kill_after(step, dock, monkeypatch)
    with pytest.raises(Killed):
        dock.drain()
    monkeypatch.undo()
    # PostgreSQL lets go of a dead drain's lock when it sees that its connection is gone, which may take it a moment.
    until(lambda: advisory_locks(dock.engine) == 0, what="the lock to be free")

    counts = dock.drain()

    assert dock.left() == 0
    assert [row["state"] for row in dock.rows("messages")] == ["processed", "duplicate", "processed", "failed"]
    assert dock.told() == ["user.created", "user.updated"]
    assert len(dock.rows("deliveries")) == 2
    redelivered = step == "commit"
    assert counts["redelivered"] == (4 if redelivered else 0)


def _kill_after(step: str, dock: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    targets: dict[str, tuple[Any, str]] = {
        "take": (dock.context.inbox.__class__, "take"),
        "identify": (process_module, "identify"),
        "keys": (process_module.dedupe, "mark_repeats"),
        "users": (process_module, "apply_changes"),
        "messages": (process_module.messages, "insert"),
        "emit": (process_module, "emit"),
        "commit": (dock.context.inbox.__class__, "acknowledge"),  # dies instead of acknowledging
        "acknowledge": (dock.context.inbox.__class__, "acknowledge"),
        "wake": (drain_module.orders, "wake_dispatch"),
        "count": (drain_module._Run, "_count"),
    }
    owner, name = targets[step]
    real = getattr(owner, name)

    def dying(*args: Any, **kwargs: Any) -> Any:
        if step != "commit":
            real(*args, **kwargs)
        raise Killed

    monkeypatch.setattr(owner, name, dying)


def test_a_killed_drain_gives_its_lock_back(dock: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    dock.post("customers/create", customer())
    _kill_after("emit", dock, monkeypatch)
    with pytest.raises(Killed):
        dock.drain()
    with shard_lock(dock.engine, dock.shard) as connection:
        assert connection is not None


def test_a_second_drain_of_the_shard_returns_at_once(dock: Dock) -> None:
    dock.post("customers/create", customer())
    with shard_lock(dock.engine, dock.shard) as connection:
        assert connection is not None
        assert dock.drain()["taken"] == 0
    assert dock.left() == 1
    assert dock.drain()["taken"] == 1


def test_the_lock_of_one_shard_does_not_stop_another(dock: Dock) -> None:
    dock.post("customers/create", customer())
    with shard_lock(dock.engine, dock.shard + 1):
        assert dock.drain()["taken"] == 1


def test_a_drain_that_lost_its_lock_cannot_commit(dock: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    dock.post("customers/create", customer())
    real = process_module.emit

    def fenced(connection: Any, *args: Any, **kwargs: Any) -> Any:
        told = real(connection, *args, **kwargs)
        with dock.engine.connect() as other:
            # Whoever holds the shard's lock is ended, as when its connection breaks.
            other.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = :shard"
                    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
                ),
                {"shard": dock.shard},
            ).all()
        return told

    monkeypatch.setattr(process_module, "emit", fenced)
    counts = dock.drain()
    monkeypatch.undo()
    assert counts["processed"] == 0
    assert dock.rows("messages") == []
    assert dock.drain()["processed"] == 1


def test_a_message_that_comes_after_the_last_look_is_drained_by_the_same_order(
    dock: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    dock.post("customers/create", customer(1))
    real = drain_module.shard_lock
    late = iter([2])

    def unlocking(engine: Any, shard: int) -> Any:
        lock = real(engine, shard)
        leave = lock.__exit__

        def leaving(*problem: Any) -> Any:
            done = leave(*problem)
            for number in late:
                dock.post("customers/create", customer(number))
            return done

        monkeypatch.setattr(lock, "__exit__", leaving, raising=False)
        return _Wrapped(lock.__enter__, leaving)

    monkeypatch.setattr(drain_module, "shard_lock", unlocking)
    assert dock.drain()["taken"] == 2
    assert dock.left() == 0


class _Wrapped:
    def __init__(self, enter: Any, leave: Any) -> None:
        self._enter, self._leave = enter, leave

    def __enter__(self) -> Any:
        return self._enter()

    def __exit__(self, *problem: object) -> Any:
        return self._leave(*problem)


def test_the_flag_is_lowered_before_the_first_look(dock: Dock) -> None:
    dock.post("customers/create", customer())
    assert dock.context.client.exists(queues.drain_wake(dock.shard))
    dock.drain()
    assert not dock.context.client.exists(queues.drain_wake(dock.shard))


def test_an_order_whose_time_is_over_sends_the_next(dock: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(250):
        dock.post("customers/create", customer(number + 1))
    sent: list[tuple[Any, ...]] = []
    monkeypatch.setattr(drain_module.orders, "send", lambda _, *order: sent.append(order))
    monkeypatch.setattr(drain_module._Run, "is_over", property(lambda run: run.taken >= 200))
    assert dock.drain()["taken"] == 200
    assert sent.count((queues.DRAIN, dock.shard)) == 1


def test_k22_a_worker_that_is_being_stopped_finishes_its_batch_and_leaves_the_rest(
    dock: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(250):
        dock.post("customers/create", customer(number + 1))
    real = dock.context.inbox.__class__.acknowledge
    stopped: list[bool] = []

    def acknowledge(*args: Any) -> None:
        real(*args)
        stopped.append(True)

    monkeypatch.setattr(dock.context.inbox.__class__, "acknowledge", acknowledge)
    monkeypatch.setattr(drain_module.stopping, "is_stopping", lambda: bool(stopped))
    assert dock.drain()["processed"] == 200
    assert dock.left() == 50
    monkeypatch.undo()
    assert dock.drain()["processed"] == 50


def test_k8_with_postgresql_gone_the_entries_stay_and_the_next_drain_has_them(
    dock: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    dock.post("customers/create", customer())
    with dock.engine.connect() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
                "AND pid <> pg_backend_pid()"
            )
        ).all()
    real = process_module.apply_changes

    def cut(connection: Any, *args: Any, **kwargs: Any) -> Any:
        connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        return real(connection, *args, **kwargs)

    monkeypatch.setattr(process_module, "apply_changes", cut)
    assert dock.drain()["taken"] == 0
    assert dock.left() == 1
    monkeypatch.undo()
    assert dock.drain()["processed"] == 1


def test_with_valkey_gone_before_the_acknowledgement_nothing_is_applied_twice(
    dock: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    dock.post("customers/create", customer())

    def gone(*_: Any) -> None:
        raise QueueUnavailable("connection refused")

    monkeypatch.setattr(dock.context.inbox.__class__, "acknowledge", gone)
    assert dock.drain()["processed"] == 1
    monkeypatch.undo()
    assert dock.drain() == {**dict.fromkeys(dock.drain(), 0), "taken": 1, "redelivered": 1}
    assert dock.told() == ["user.created"]


def test_entries_removed_under_the_drain_do_not_stop_the_shard(dock: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    dock.post("customers/create", customer(1))
    _kill_after("take", dock, monkeypatch)
    with pytest.raises(Killed):
        dock.drain()
    monkeypatch.undo()
    stream = queues.inbox(dock.shard)
    [(entry_id, _)] = dock.context.client.xrange(stream)
    dock.context.client.xdel(stream, entry_id)
    second = dock.post("customers/create", customer(2))
    assert dock.drain()["processed"] == 1
    assert dock.message(second)["state"] == "processed"
    assert dock.left() == 0


def test_a_switched_off_source_still_has_what_was_accepted_processed(dock: Dock) -> None:
    dock.post("customers/create", customer())
    with dock.engine.begin() as connection:
        connection.execute(text("UPDATE sources SET active = false"))
    assert dock.drain()["processed"] == 1


def test_a_message_whose_source_is_gone_is_kept_where_a_superuser_sees_it(dock: Dock) -> None:
    message_id = dock.post("customers/create", customer())
    with dock.engine.begin() as connection:
        connection.execute(text("DELETE FROM sources"))
    assert dock.drain()["failed"] == 1
    message = dock.message(message_id)
    assert (message["account_id"], message["reason_code"]) == (UUID(int=0), "source_unknown")
    assert json.loads(bytes(message["body"])) == customer()


def test_a_source_made_while_a_drain_runs_is_known_to_it(dock: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    dock.post("customers/create", customer(1))
    real = dock.context.inbox.__class__.acknowledge
    made: list[UUID] = []

    def acknowledge(*args: Any) -> None:
        real(*args)
        if not made:
            made.append(rows.source(dock.engine, dock.account_id))
            dock.post("customers/create", customer(2), source_id=made[0])

    monkeypatch.setattr(dock.context.inbox.__class__, "acknowledge", acknowledge)
    assert dock.drain()["processed"] == 2


def test_received_at_orders_nothing_but_the_latency(dock: Dock) -> None:
    late = dock.post("customers/update", customer(minute=5, note="late"), triggered_at=NOW + timedelta(minutes=5))
    early = dock.post("customers/update", customer(minute=1, note="early"), triggered_at=NOW + timedelta(minutes=1))
    counts = dock.drain()
    assert (counts["processed"], counts["stale"]) == (1, 1)
    assert dock.message(late)["state"] == "processed"
    assert (dock.message(early)["state"], dock.message(early)["reason_code"]) == ("stale", "older_than_known")
    assert [user["attributes"]["note"] for user in dock.rows("users")] == ["late"]
