"""Replays of messages from their raw bytes, and of events to who wants them today."""

from sqlalchemy import text

from shared import ids
from tests.workers import rows
from tests.workers.replays.jobs import run_to_end, state_of, sums
from tests.workers.rows import NOW
from workers import replay_batches


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
