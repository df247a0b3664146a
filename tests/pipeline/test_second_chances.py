"""Retries, disabling and release, replay: what failed is tried again when it should be, and never otherwise."""

import json
import subprocess
import sys
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

from shared import replays, subscriptions
from shared.clock import utc_now
from shared.db.engine import transaction
from tests.doubles.crm import Answer, Crm
from tests.doubles.shop import Shop
from tests.pipeline.merchant import Merchant
from tests.pipeline.stack import Stack
from tests.waiting import until


def test_k15_k23_retries_keep_the_schedule_the_id_and_the_body_and_take_a_fresh_timestamp(
    stack: Stack, merchant: Merchant, shop: Shop, crm: Crm
) -> None:
    delay = 1.0
    subscription = merchant.subscribe(crm, "/", retry_attempts=3, retry_delay_seconds=delay)
    crm.answer(500, 503, 500, 200, path="/")
    merchant.post(shop.created(1))
    merchant.wait_delivered(1)
    receipts = crm.at("/")
    assert [receipt.webhook_id for receipt in receipts] == merchant.event_ids() * 4
    assert len({receipt.body for receipt in receipts}) == 1
    assert [receipt.headers["x-webhook-attempt"] for receipt in receipts] == ["1", "2", "3", "4"]
    stamps = [int(receipt.headers["webhook-timestamp"]) for receipt in receipts]
    assert stamps == sorted(set(stamps))
    assert crm.refused() == []
    starts = stack.rows(
        "SELECT started_at FROM attempts WHERE subscription_id = :id ORDER BY number", id=subscription.id
    )
    for number, (earlier, later) in enumerate(pairwise(starts)):
        assert later.started_at - earlier.started_at >= timedelta(seconds=0.8 * delay * 2**number)


def test_a_delivery_whose_schedule_ends_is_dead_and_a_replay_from_the_command_line_brings_it_home(
    stack: Stack, merchant: Merchant, shop: Shop, crm: Crm
) -> None:
    subscription = merchant.subscribe(crm, "/", retry_attempts=0)
    crm.answer(*([500] * 4), 200, path="/")
    merchant.post(*(shop.created(number) for number in range(4)))
    until(lambda: merchant.deliveries() == {"dead": 4})
    command = [str(Path(sys.executable).with_name("crossdock")), "replay", "deliveries", "--json"]
    options = ["--subscription", str(subscription.id), "--status", "dead", "--reason", "the CRM is back"]
    run = subprocess.run([*command, *options], env=stack.environment, capture_output=True, check=False, timeout=60)
    assert run.returncode == 0, run.stderr.decode()
    merchant.wait_delivered(4)
    assert sorted(crm.accepted_ids("/")) == merchant.event_ids()
    assert len(crm.at("/")) == 8  # each id twice: the CRM can tell that it is the same
    jobs = stack.rows("SELECT * FROM replay_jobs WHERE filters::text LIKE :id", id=f"%{subscription.id}%")
    assert [(job.state, job.total, job.done, job.skipped, job.reason) for job in jobs] == [
        ("finished", 4, 4, 0, "the CRM is back")
    ]


def test_messages_replayed_through_the_transform_change_nothing_that_is_newer(
    stack: Stack, merchant: Merchant, shop: Shop, crm: Crm
) -> None:
    merchant.subscribe(crm, "/")
    merchant.post(shop.created(1), shop.updated(1, 2), shop.webhook("customers/create", {"id": None}))
    assert merchant.wait_messages(3) == {"processed": 2, "failed": 1}
    with transaction(stack.engine) as connection:
        job = replays.create(
            connection,
            target="messages",
            filters=replays.Filters(account_id=merchant.account_id, states=("processed", "failed")),
            rate_per_second=None,
            asked_by="test",
            reason=None,
            now=utc_now(),
        )
    until(lambda: stack.one("SELECT state FROM replay_jobs WHERE id = :id", id=job["id"]) == "finished")
    row = stack.rows("SELECT done, skipped, failed FROM replay_jobs WHERE id = :id", id=job["id"])[0]
    assert row.done + row.failed + row.skipped == 3
    assert merchant.events() == {"user.created": 1, "user.updated": 1}
    assert stack.one("SELECT first_name FROM users WHERE account_id = :id", id=merchant.account_id) == "Name 2"


def test_k17_k18_too_many_failures_disable_and_hold_and_a_release_sends_what_was_held(
    stack: Stack, merchant: Merchant, shop: Shop, crm: Crm
) -> None:
    count = 20
    broken = merchant.subscribe(crm, "/broken", disable_after=5, disable_after_seconds=0, events=["user.*"])
    witness = merchant.subscribe(crm, "/witness")
    crm.answer(500, path="/broken")
    merchant.post(*(shop.created(number) for number in range(count)))
    until(lambda: merchant.deliveries(broken) == {"held": count})  # also those that were drained after the disabling
    merchant.wait_delivered(count + 1, witness)
    told = [json.loads(receipt.body) for receipt in crm.at("/witness")]
    [disabled] = [body["data"] for body in told if body["event"] == "subscription.disabled"]
    assert disabled["subscription"]["id"] == str(broken.id)
    alerts = stack.rows("SELECT kind FROM alerts WHERE subject_id = :id AND resolved_at IS NULL", id=broken.id)
    assert "subscription.disabled" in {row.kind for row in alerts}

    merchant.post(shop.created(count))  # what comes meanwhile is held as well
    until(lambda: merchant.deliveries(broken) == {"held": count + 1})
    crm.answer(200, path="/broken")
    with transaction(stack.engine) as connection:
        _, moved = subscriptions.enable(connection, broken.id, account_id=merchant.account_id, now=utc_now())
    assert moved == count + 1
    merchant.wait_delivered(count + 1, broken)
    wanted = stack.rows(
        "SELECT id FROM events WHERE account_id = :account AND type = 'user.created'", account=merchant.account_id
    )
    assert sorted(crm.accepted_ids("/broken")) == sorted(str(row.id) for row in wanted)
    assert crm.refused() == []


def test_k11_a_receiver_that_is_gone_is_disabled_at_once(
    stack: Stack, merchant: Merchant, shop: Shop, crm: Crm
) -> None:
    subscription = merchant.subscribe(crm, "/")
    crm.answer(410, path="/")
    merchant.post(shop.created(1))
    until(lambda: merchant.deliveries() and merchant.settled())
    row = stack.rows("SELECT active, disabled_reason FROM subscriptions WHERE id = :id", id=subscription.id)[0]
    assert (row.active, row.disabled_reason) == (False, "gone")
    assert len(crm.at("/")) == 1


def test_k10_retry_after_silences_the_lane(stack: Stack, merchant: Merchant, shop: Shop, crm: Crm) -> None:
    subscription = merchant.subscribe(crm, "/", max_in_flight=1)
    crm.answer(Answer(429, {"Retry-After": "3"}), 200, path="/")
    merchant.post(*(shop.created(number) for number in range(5)))
    merchant.wait_delivered(5)
    starts = stack.rows(
        "SELECT started_at FROM attempts WHERE subscription_id = :id ORDER BY started_at", id=subscription.id
    )
    assert starts[1].started_at - starts[0].started_at >= timedelta(seconds=3)


def test_a_strict_subscription_is_sent_every_event_in_its_order_whatever_fails(
    merchant: Merchant, shop: Shop, crm: Crm
) -> None:
    merchant.subscribe(crm, "/", ordering="strict", retry_delay_seconds=0.1)
    crm.answer(200, 500, 503, 200, 500, 200, path="/")
    merchant.post(shop.created(1), *(shop.updated(1, version) for version in range(1, 10)))
    merchant.wait_delivered(10)
    assert crm.accepted_ids("/") == merchant.event_ids()
    tried = [receipt.webhook_id for receipt in crm.at("/")]
    assert tried == sorted(tried)
