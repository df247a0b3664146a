"""K25: a worker whose clock is ten minutes ahead makes things early or late, and neither loses nor repeats a change.

Those of the first stories are real processes, whose orders come through the broker as ever.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from shared import queues
from shared.clock import utc_now
from tests.doubles.crm import Answer, Crm
from tests.doubles.shop import Shop
from tests.pipeline.merchant import Merchant, Subscription
from tests.pipeline.stack import Stack
from tests.waiting import until
from workers.context import Context, make_context
from workers.delivery import dispatch as dispatching
from workers.inbound.drain import drain
from workers.maintenance.recover import recover

SKEW = timedelta(minutes=10)


def _ahead() -> datetime:
    return utc_now() + SKEW


@pytest.fixture
def context(stack: Stack) -> Iterator[Context]:
    """A worker in this process, beside the real ones."""
    context = make_context(stack.settings)
    yield context
    dispatching.close(context)
    context.engine.dispose()
    context.client.close()


def _lane(stack: Stack, subscription: Subscription) -> tuple[int, int]:
    row = stack.rows("SELECT success_count, failed_count FROM lanes WHERE subscription_id = :id", id=subscription.id)[0]
    return row.success_count, row.failed_count


@pytest.mark.parametrize("name", ["worker-inbound", "worker-sync"])
def test_k25_a_worker_that_is_ahead_does_its_orders_and_what_fails_is_tried_again(
    stack: Stack, merchant: Merchant, shop: Shop, crm: Crm, name: str
) -> None:
    with stack.skewed(name, int(SKEW.total_seconds())):
        subscription = merchant.subscribe(crm, "/")
        crm.answer(500, 200, path="/")
        merchant.post(shop.created(1), shop.updated(1, 1))
        merchant.wait_delivered(2)
        assert merchant.messages() == {"processed": 2}
        assert sorted(crm.accepted_ids("/")) == merchant.event_ids()
        assert _lane(stack, subscription) == (2, 1)
        if name == "worker-sync":  # it is ahead indeed, and beat's orders reach it
            assert float(stack.client.get(queues.BEAT) or 0) > utc_now().timestamp() + SKEW.total_seconds() / 2


def test_k25_a_dispatcher_that_is_ahead_delivers(stack: Stack, merchant: Merchant, shop: Shop) -> None:
    # The CRM must be ahead as well to believe the timestamp; what fails here is tried again as much later.
    with stack.skewed("worker-delivery", int(SKEW.total_seconds())), Crm(clock=_ahead) as crm:
        subscription = merchant.subscribe(crm, "/")
        merchant.post(shop.created(1), shop.updated(1, 1))
        merchant.wait_delivered(2)
        assert sorted(crm.accepted_ids("/")) == merchant.event_ids()
        assert _lane(stack, subscription) == (2, 0)


def test_k25_a_recovery_that_is_ahead_takes_no_lease_of_a_live_dispatcher(
    stack: Stack, merchant: Merchant, shop: Shop, crm: Crm, context: Context
) -> None:
    merchant.subscribe(crm, "/")
    crm.answer(Answer(hold=True), 200, path="/")
    merchant.post(shop.created(1))
    until(lambda: crm.at("/"))
    assert recover(context, now=_ahead())["expired"] == 0
    crm.release("/")
    merchant.wait_delivered(1)
    assert len(crm.at("/")) == 1


def test_k25_a_lease_taken_away_too_early_is_sent_again_and_the_late_result_does_not_count(
    stack: Stack, merchant: Merchant, shop: Shop, crm: Crm, context: Context
) -> None:
    subscription = merchant.subscribe(crm, "/")
    crm.answer(Answer(hold=True), 200, path="/")
    merchant.post(shop.created(1))
    until(lambda: crm.at("/"))
    # As a dispatcher leases that is behind.
    stack.rows("UPDATE deliveries SET lease_until = now() WHERE state = 'leased' RETURNING id")
    recover(context, now=_ahead())
    merchant.wait_delivered(1)
    crm.release("/")
    # The late result is in, and refused, once the dispatcher has nothing more in flight.
    stack.terminate("worker-delivery", 10)
    assert merchant.deliveries() == {"delivered": 1}
    assert _lane(stack, subscription) == (1, 0)
    assert [receipt.webhook_id for receipt in crm.at("/")] == merchant.event_ids() * 2
    attempts = stack.rows("SELECT number FROM attempts WHERE subscription_id = :id", id=subscription.id)
    assert [row.number for row in attempts] == [1]


def test_k25_a_drain_and_a_dispatcher_that_are_ahead_apply_and_send_once(
    stack: Stack, merchant: Merchant, shop: Shop, context: Context
) -> None:
    with Crm(clock=_ahead) as crm:  # it must be ahead as well to believe the timestamp
        subscription = merchant.subscribe(crm, "/")
        stack.kill("worker-inbound")
        stack.kill("worker-delivery")
        merchant.post(shop.created(1), shop.updated(1, 1), shop.updated(1, 2), shop.created(1))
        for shard in range(stack.settings.inbox_shards):
            drain(context, shard, clock=_ahead)
        stack.restart("worker-inbound")
        assert merchant.messages() == {"processed": 3, "stale": 1}
        assert merchant.events() == {"user.created": 1, "user.updated": 2}
        assert merchant.deliveries() == {"pending": 3}
        dispatching.dispatch(context, clock=_ahead)
        assert merchant.deliveries() == {"delivered": 3}
        assert sorted(crm.accepted_ids("/")) == merchant.event_ids()
        assert _lane(stack, subscription) == (3, 0)
        assert stack.inbox_length() == 0
