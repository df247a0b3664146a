"""`kill -9` of what takes in and of what drains: nothing that was accepted is lost, nothing is applied twice."""

import json
import random

import pytest

from tests.doubles.crm import Crm
from tests.doubles.shop import Shop
from tests.pipeline.merchant import Merchant
from tests.pipeline.stack import Stack
from tests.waiting import until

WEBHOOKS = 10


def test_k1_what_was_answered_200_survives_the_kill_of_the_ingress_and_of_the_queue(
    stack: Stack, merchant: Merchant, shop: Shop, crm: Crm
) -> None:
    merchant.subscribe(crm, "/")
    stack.kill("worker-inbound")  # so that nothing is drained before the kill
    report = merchant.post(*(shop.created(number) for number in range(WEBHOOKS)))
    stack.kill("ingress")
    stack.kill_server("valkey")
    assert len(report.accepted) == WEBHOOKS
    stack.heal()
    assert merchant.wait_messages(WEBHOOKS) == {"processed": WEBHOOKS}
    rows = stack.rows("SELECT id FROM messages WHERE account_id = :account", account=merchant.account_id)
    assert {str(row.id) for row in rows} == {ids[0] for ids in report.accepted.values()}
    merchant.wait_delivered(WEBHOOKS)


# Each step of the drain's transaction, frozen by a lock on what it writes next.
@pytest.mark.parametrize("table", ["message_keys", "messages", "users", "events", "deliveries"])
def test_a_drain_killed_in_its_transaction_leaves_nothing_of_it_and_the_next_does_it_whole(
    stack: Stack, merchant: Merchant, shop: Shop, crm: Crm, table: str
) -> None:
    merchant.subscribe(crm, "/")
    with stack.locked(table) as is_stuck:
        report = merchant.post(*(shop.created(number) for number in range(WEBHOOKS)))
        until(is_stuck, what=f"the drain to write to {table}")
        assert stack.kill_child("worker-inbound")
        assert merchant.messages() == {}
        assert stack.inbox_length() == WEBHOOKS
    _assert_whole(stack, merchant, crm, len(report.accepted))


def test_a_drain_killed_between_the_commit_and_the_acknowledgement_applies_nothing_twice(
    stack: Stack, merchant: Merchant, shop: Shop, crm: Crm
) -> None:
    merchant.subscribe(crm, "/")
    with stack.locked("deliveries") as is_stuck:
        report = merchant.post(*(shop.created(number) for number in range(WEBHOOKS)))
        until(is_stuck, what="the drain to write its last rows")
        stack.client.execute_command("CLIENT", "PAUSE", 60_000, "WRITE")
    committed = until(lambda: merchant.messages().total(), what="the commit")
    assert stack.kill_child("worker-inbound")
    assert stack.inbox_length() == WEBHOOKS >= committed
    stack.client.execute_command("CLIENT", "UNPAUSE")
    _assert_whole(stack, merchant, crm, len(report.accepted))


def test_many_kills_at_random_moments_under_load_lose_nothing_and_repeat_nothing(
    stack: Stack, merchant: Merchant, shop: Shop, crm: Crm
) -> None:
    merchant.subscribe(crm, "/")
    customers, versions = 8, 40
    load = merchant.load(
        *(
            [shop.created(customer), *(shop.updated(customer, version) for version in range(1, versions))]
            for customer in range(customers)
        )
    )
    total = customers * versions
    moments = random.Random(20_261_106)
    for threshold in sorted(moments.sample(range(1, total * 3 // 4), 8)):
        until(lambda threshold=threshold: load.accepted >= threshold, what=f"{threshold} to be accepted")
        # A drain that was killed before may look alive to the database for a moment; then there is no child to kill.
        until(
            lambda: stack.is_draining() and stack.kill_child("worker-inbound"), poll=0, what="a drain to kill at work"
        )
    report = load.finish()
    assert len(report.accepted) == total
    until(lambda: stack.inbox_length() == 0, what="the inbox to be empty")
    merchant.wait_delivered(total)
    # The chain of changes is whole: every version follows the one before, so none was lost, repeated or swapped.
    assert merchant.messages() == {"processed": total}
    assert merchant.events() == {"user.created": customers, "user.updated": total - customers}
    chains: dict[str, list[str]] = {}
    for row in stack.rows(
        "SELECT body FROM events WHERE account_id = :account ORDER BY id", account=merchant.account_id
    ):
        user = json.loads(row.body)["data"]["user"]
        chains.setdefault(user["externalId"], []).append(user["firstName"])
    expected = [f"Name {version}" for version in range(1, versions)]
    assert [chain[1:] for chain in chains.values()] == [expected] * customers
    assert sorted(crm.accepted_ids("/")) == merchant.event_ids()


def test_a_worker_killed_with_its_order_in_hand_is_replaced_without_a_hand(
    stack: Stack, merchant: Merchant, shop: Shop, crm: Crm
) -> None:
    merchant.subscribe(crm, "/")
    with stack.locked("messages") as is_stuck:
        report = merchant.post(*(shop.created(number) for number in range(WEBHOOKS)))
        until(is_stuck)
        stack.kill("worker-inbound")
    stack.restart("worker-inbound")
    _assert_whole(stack, merchant, crm, len(report.accepted))


def _assert_whole(stack: Stack, merchant: Merchant, crm: Crm, count: int) -> None:
    assert count == WEBHOOKS
    until(lambda: stack.inbox_length() == 0, what="the inbox to be empty")
    merchant.wait_delivered(count)
    assert merchant.messages() == {"processed": count}
    assert merchant.events() == {"user.created": count}
    assert merchant.deliveries() == {"delivered": count}
    assert sorted(crm.accepted_ids("/")) == merchant.event_ids()
    assert crm.refused() == []
