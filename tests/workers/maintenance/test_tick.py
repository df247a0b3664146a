"""The tick wakes exactly what is due, and stays cheap whatever the backlog."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from shared import ids, queues, replays
from shared.db.engine import make_engine, transaction
from shared.errors import QueueUnavailable
from shared.providers.contract import Headers, Request
from shared.replays import Filters
from shared.valkey import connect
from tests.workers import rows
from tests.workers.inbound.dock import Dock, customer
from tests.workers.rows import NOW
from workers.inbound.drain import drain
from workers.maintenance import tick as module
from workers.maintenance.tick import is_anything_due, tick

SOON = NOW + timedelta(seconds=1)


def accept(context, source: str = "a") -> int:
    """Append one message as the ingress does; its shard."""
    context.inbox.append(
        message_id=ids.new_id(),
        source_id=str(UUID(int=ord(source))),
        tenant="",
        request=Request("POST", "/x", Headers(), b"{}"),
        received_at=NOW,
        max_length=100,
        rate_per_second=0,
    )
    return next(shard for shard in range(4) if context.inbox.length(shard))


def test_a_quiet_stack_gets_no_orders_but_a_beat(context, orders_sent):
    assert tick(context, now=NOW) == {"drains": 0, "dispatches": 0, "replays": 0, "expired": 0}
    assert orders_sent() == []
    assert int(context.client.get(queues.BEAT)) == int(NOW.timestamp())


def test_a_shard_is_drained_when_no_order_for_it_is_on_its_way(context, orders_sent):
    shard = accept(context)
    assert tick(context, now=NOW)["drains"] == 0  # the ingress raised the flag and sends the order itself
    context.client.delete(queues.drain_wake(shard))  # its flag fell: the order was lost
    assert tick(context, now=NOW)["drains"] == 1
    assert orders_sent() == [(queues.DRAIN, [shard])]
    assert tick(context, now=NOW)["drains"] == 0
    assert 0 < context.client.ttl(queues.drain_wake(shard)) <= queues.WAKE_SECONDS


def test_what_waits_in_a_shard_beyond_a_lowered_setting_is_drained_all_the_same(  # noqa: PLR0917  # all are fixtures
    context, engine, queue, ring, settings, orders_sent
):
    dock = Dock(engine, settings.model_copy(update={"inbox_shards": 256}), queue, ring)
    before = dock.post("customers/create", customer(), shard=255)
    queue.delete(queues.drain_wake(255))  # its order went to a worker that was stopped for the change
    assert context.settings.inbox_shards == context.inbox.shards == 4
    assert tick(context, now=NOW)["drains"] == 1
    assert orders_sent() == [(queues.DRAIN, [255])]
    assert drain(context, 255, clock=lambda: NOW)["processed"] == 1
    assert dock.message(before)["state"] == "processed"
    assert context.inbox.length(255) == 0
    queue.delete(queues.drain_wake(255))
    assert tick(context, now=NOW)["drains"] == 0


LANES: list[tuple[str, dict[str, Any], dict[str, Any], bool]] = [
    ("due", {}, {}, True),
    ("due this instant", {"next_attempt_at": NOW}, {}, True),
    ("due later", {"next_attempt_at": SOON}, {}, False),
    ("dead", {"state": "dead"}, {}, False),
    ("leased", {"state": "leased"}, {}, False),
    ("disabled", {}, {"active": False}, False),
    ("deleted", {}, {"deleted_at": NOW}, False),
    ("paused", {}, {"lane": {"paused_until": SOON}}, False),
    ("pause over", {}, {"lane": {"paused_until": NOW}}, True),
]


@pytest.mark.parametrize(("name", "delivery", "subscription", "is_due"), LANES, ids=[case[0] for case in LANES])
def test_a_dispatch_is_ordered_exactly_when_something_may_be_sent(  # noqa: PLR0917  # a table and its fixtures
    context, engine, orders_sent, name, delivery, subscription, is_due
):
    account = rows.account(engine)
    crm = rows.subscription(engine, account, **subscription)
    rows.delivery(engine, account, crm, **{"state": "pending", **delivery})
    assert tick(context, now=NOW)["dispatches"] == int(is_due)
    assert orders_sent() == ([(queues.DISPATCH, [])] if is_due else [])
    assert tick(context, now=NOW)["dispatches"] == 0  # an order is on its way


def test_k6_after_a_flushall_pending_retries_are_dispatched_on_schedule(context, engine, orders_sent):
    account = rows.account(engine)
    crm = rows.subscription(engine, account)
    rows.delivery(engine, account, crm, state="pending", next_attempt_at=SOON)
    context.client.set(queues.DISPATCH_WAKE, "1")
    context.client.flushall()
    assert tick(context, now=NOW)["dispatches"] == 0
    assert tick(context, now=SOON)["dispatches"] == 1
    assert orders_sent() == [(queues.DISPATCH, [])]


def test_a_replay_is_woken_when_its_next_slice_is_due(context, engine, orders_sent):
    account = rows.account(engine)
    rows.delivery(engine, account, rows.subscription(engine, account))
    with transaction(engine) as connection:
        job = replays.create(
            connection,
            target="deliveries",
            filters=Filters(),
            rate_per_second=None,
            asked_by="cli:ada",
            reason=None,
            now=SOON,
        )
    assert tick(context, now=NOW)["replays"] == 0
    assert tick(context, now=SOON)["replays"] == 1
    assert tick(context, now=SOON)["replays"] == 0
    assert orders_sent() == [(queues.REPLAY_RUN, [str(job["id"])])]
    context.client.delete(queues.replay_wake(job["id"]))
    with transaction(engine) as connection:
        replays.pause(connection, job["id"], account_id=None, asked_by="cli:ada", now=SOON)
    assert tick(context, now=SOON)["replays"] == 0


def test_an_expired_lease_comes_back_with_the_next_sweep_and_is_dispatched(context, engine, orders_sent):
    account = rows.account(engine)
    crm = rows.subscription(engine, account)
    lost = rows.delivery(engine, account, crm, state="leased", claim_id=ids.new_id(), lease_until=NOW)
    assert tick(context, now=NOW - timedelta(seconds=1))["expired"] == 0
    assert tick(context, now=NOW)["expired"] == 0  # looked a moment ago
    assert 0 < context.client.ttl(queues.SWEEP) <= module.SWEEP_SECONDS
    context.client.delete(queues.SWEEP)
    assert tick(context, now=NOW) == {"drains": 0, "dispatches": 1, "replays": 0, "expired": 1}
    assert rows.states(engine)[lost] == "pending"


def test_with_postgres_down_the_drains_are_woken_all_the_same(context, orders_sent):
    shard = accept(context)
    context.client.delete(queues.drain_wake(shard))
    nowhere = make_engine("postgresql://nobody@/nothing?host=/nonexistent")
    answer = tick(replace(context, engine=nowhere), now=NOW)
    assert (answer["drains"], answer["database_down"]) == (1, 1)
    assert orders_sent() == [(queues.DRAIN, [shard])]


def test_with_valkey_down_it_says_so(context, tmp_path):
    nowhere = connect(f"unix://{tmp_path}/nothing.sock?db=0")
    with pytest.raises(QueueUnavailable):
        tick(replace(context, client=nowhere), now=NOW)


def test_looking_for_what_is_due_reads_a_row_a_lane_and_not_the_backlog(engine):
    account = rows.account(engine)
    crm = rows.subscription(engine, account)
    later = rows.subscription(engine, account)
    with transaction(engine) as connection:
        for subscription, due in ((crm, NOW), (later, SOON)):
            connection.execute(
                text("""
                    INSERT INTO deliveries (id, account_id, event_id, subscription_id, event_type, state,
                                            next_attempt_at, created_at)
                    SELECT uuidv7(), :account, uuidv7(), :subscription, 'x', 'pending', :due, :due
                    FROM generate_series(1, 10000)
                """),
                {"account": account, "subscription": subscription, "due": due},
            )
    for analysed in (False, True):
        if analysed:
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text("ANALYZE"))
        with engine.connect() as connection:
            assert is_anything_due(connection, now=NOW)
            assert not is_anything_due(connection, now=NOW - timedelta(seconds=1))
            for now in (NOW, NOW - timedelta(seconds=1)):
                explain = text("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + module._DUE.text)
                plan = connection.execute(explain, {"now": now}).scalar_one()[0]["Plan"]
                assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 40, plan
