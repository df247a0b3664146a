"""Everything is killed, in turn and under load, and a supervisor starts it again: the sums still hold."""

import json
import random
from collections.abc import Callable

from tests.doubles.crm import Answer, Crm
from tests.doubles.shop import Shop, Webhook
from tests.pipeline.merchant import Merchant
from tests.pipeline.stack import PROCESSES, Stack
from tests.waiting import until

CUSTOMERS, VERSIONS = 4, 75
VICTIMS = (*PROCESSES, "valkey", "postgres")


def _kill(stack: Stack, victim: str) -> None:
    if victim in PROCESSES:
        stack.kill(victim)
        stack.spawn(victim)
    else:
        stack.servers.wait()  # the other one may just be coming back
        stack.kill_server(victim)


def _sequences(shop: Shop) -> list[list[Webhook]]:
    return [
        [shop.created(customer), *(shop.updated(customer, version) for version in range(1, VERSIONS))]
        for customer in range(CUSTOMERS)
    ]


def test_whatever_is_killed_every_accepted_webhook_is_accounted_for(
    stack: Stack, merchants: Callable[[], Merchant], crm: Crm
) -> None:
    merchant = merchants()
    shop = merchant.shop()
    steady = merchant.subscribe(crm, "/steady")
    shaky = merchant.subscribe(crm, "/shaky")
    crm.answer(*([500, Answer(reset=True), 200, 200, 200, 200] * 15), 200, path="/shaky")
    total = CUSTOMERS * VERSIONS
    load = merchant.load(*_sequences(shop))
    chance = random.Random(20_261_122)
    victims = chance.sample(VICTIMS, len(VICTIMS))
    for turn, victim in enumerate(victims, 1):
        threshold = turn * total // (len(victims) + 1)
        until(lambda threshold=threshold: load.accepted >= threshold, what=f"webhooks to pass before {victim} dies")
        _kill(stack, victim)
    report = load.finish()
    stack.heal(thoroughly=True)

    assert len(report.accepted) == total
    assert set(report.refused) <= {503}
    merchant.wait_delivered(total, steady)
    merchant.wait_delivered(total, shaky)
    assert set(merchant.messages()) <= {"processed", "duplicate"}  # a 200 that was lost on its way makes a repeat
    assert merchant.messages()["processed"] == total
    assert merchant.events() == {"user.created": CUSTOMERS, "user.updated": total - CUSTOMERS}
    assert merchant.deliveries() == {"delivered": 2 * total}
    kept = {str(row.id) for row in stack.rows("SELECT id FROM messages WHERE account_id = :id", id=merchant.account_id)}
    assert {message_id for ids in report.accepted.values() for message_id in ids} <= kept
    assert set(crm.accepted_ids("/steady")) == set(crm.accepted_ids("/shaky")) == set(merchant.event_ids())
    assert crm.refused() == []
    # Each change follows the one before it: none was lost, repeated or swapped.
    chains: dict[str, list[str]] = {}
    for row in stack.rows("SELECT body FROM events WHERE account_id = :id ORDER BY id", id=merchant.account_id):
        user = json.loads(row.body)["data"]["user"]
        chains.setdefault(user["externalId"], []).append(user["firstName"])
    wanted = [f"Name {version}" for version in range(1, VERSIONS)]
    assert [chain[1:] for chain in chains.values()] == [wanted] * CUSTOMERS
    # And no attempt was counted twice.
    for subscription in (steady, shaky):
        counted = stack.one("SELECT success_count FROM lanes WHERE subscription_id = :id", id=subscription.id)
        assert counted == total
