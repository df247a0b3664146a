"""`kill -9` of Valkey and of PostgreSQL under load, and a flush: all comes back by itself, and nothing is missing."""

import requests

from tests.doubles.crm import Crm
from tests.doubles.shop import Load, Shop, Webhook
from tests.pipeline.merchant import Merchant
from tests.pipeline.stack import PROCESSES, Stack
from tests.waiting import until

SEQUENCES, EACH = 4, 60
TOTAL = SEQUENCES * EACH


def _sequences(shop: Shop) -> list[list[Webhook]]:
    return [[shop.created(EACH * sequence + number) for number in range(EACH)] for sequence in range(SEQUENCES)]


def _assert_all_arrive(stack: Stack, merchant: Merchant, crm: Crm, load: Load) -> None:
    report = load.finish()
    assert len(report.accepted) == TOTAL  # those that were turned away meanwhile were posted again, as vendors do
    accepted = {message_id for ids in report.accepted.values() for message_id in ids}
    merchant.wait_delivered(TOTAL)
    rows = stack.rows("SELECT id, state FROM messages WHERE account_id = :account", account=merchant.account_id)
    assert accepted <= {str(row.id) for row in rows}
    # A webhook whose first 200 was lost on the way was posted twice: that is a repeat, and changes nothing.
    assert set(merchant.messages()) <= {"processed", "duplicate"}
    assert merchant.messages()["processed"] == TOTAL
    assert merchant.events() == {"user.created": TOTAL}
    assert merchant.deliveries() == {"delivered": TOTAL}
    assert set(crm.accepted_ids("/")) == set(merchant.event_ids())
    assert crm.refused() == []
    assert [name for name in PROCESSES if not stack.is_running(name)] == []


def test_k5_valkey_killed_twice_under_load_loses_nothing(
    stack: Stack, merchant: Merchant, shop: Shop, crm: Crm
) -> None:
    merchant.subscribe(crm, "/")
    load = merchant.load(*_sequences(shop))
    for threshold in (TOTAL // 5, TOTAL // 2):
        until(lambda threshold=threshold: load.accepted >= threshold)
        stack.kill_server("valkey")
    _assert_all_arrive(stack, merchant, crm, load)


def test_k8_postgres_killed_under_load_is_not_missed_by_the_ingress_and_loses_nothing(
    stack: Stack, merchant: Merchant, shop: Shop, crm: Crm
) -> None:
    merchant.subscribe(crm, "/")
    load = merchant.load(*_sequences(shop))
    until(lambda: load.accepted >= TOTAL // 5)
    with stack.without_postgres():
        before = load.accepted
        until(lambda: load.accepted >= before + TOTAL // 5, what="webhooks to be accepted without a database")
        assert not stack.has_postgres()
    until(stack.has_postgres)
    until(lambda: load.accepted >= TOTAL * 4 // 5)
    stack.kill_server("postgres")
    _assert_all_arrive(stack, merchant, crm, load)
    assert load.report.refused == []
    assert load.report.broken == 0


def test_k6_a_flushed_valkey_loses_no_retry_and_knows_its_sources_again(
    stack: Stack, merchant: Merchant, shop: Shop, crm: Crm
) -> None:
    merchant.subscribe(crm, "/", retry_delay_seconds=2)
    crm.answer(*([500] * 4), 200, path="/")
    merchant.post(*(shop.created(number) for number in range(4)))
    until(lambda: len(crm.at("/")) == 4)
    stack.client.flushall()
    merchant.wait_delivered(4)
    assert sorted(crm.accepted_ids("/")) == merchant.event_ids()
    until(lambda: merchant.post(shop.created(9)).accepted, 90, what="the ingress to know the source")
    merchant.wait_delivered(5)


def test_a_queue_that_answers_too_late_is_a_503_and_the_retry_of_what_it_took_all_the_same_is_a_repeat(
    stack: Stack, merchant: Merchant, shop: Shop, crm: Crm
) -> None:
    merchant.subscribe(crm, "/")
    webhook = shop.created(1)
    with stack.frozen_valkey():
        reply = requests.post(
            stack.ingress_url + webhook.path, data=webhook.body, headers=dict(webhook.headers), timeout=20
        )
    assert reply.status_code == 503
    assert int(reply.headers["Retry-After"]) > 0
    assert merchant.post(webhook).accepted
    merchant.wait_delivered(1)
    until(lambda: merchant.messages().total() >= 1 and stack.inbox_length() == 0)
    assert merchant.messages()["processed"] == 1
    assert set(merchant.messages()) <= {"processed", "duplicate"}
    assert merchant.events() == {"user.created": 1}
    assert crm.accepted_ids("/") == merchant.event_ids()
