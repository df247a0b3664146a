"""`kill -9` and SIGTERM of the dispatcher with requests in flight."""

import threading

from tests.doubles.crm import Answer, Crm
from tests.doubles.shop import Shop
from tests.pipeline.merchant import Merchant
from tests.pipeline.stack import Stack
from tests.waiting import until

EXIT_SECONDS = 10.0


def test_k7_a_dispatcher_killed_mid_request_sends_that_one_again_and_no_other(
    stack: Stack, merchant: Merchant, shop: Shop, crm: Crm
) -> None:
    slow = merchant.subscribe(crm, "/slow")
    quick = merchant.subscribe(crm, "/quick")
    crm.answer(Answer(hold=True), 200, path="/slow")
    merchant.post(shop.created(1))
    merchant.wait_delivered(1, quick)
    until(lambda: crm.at("/slow"))
    stack.kill("worker-delivery")
    assert merchant.deliveries(slow) == {"leased": 1}
    crm.release("/slow")
    stack.restart("worker-delivery")
    merchant.wait_delivered(1, slow)
    assert [receipt.webhook_id for receipt in crm.at("/slow")] == merchant.event_ids() * 2
    assert [receipt.webhook_id for receipt in crm.at("/quick")] == merchant.event_ids()
    assert crm.refused() == []


def test_k22_a_dispatcher_that_is_told_to_stop_finishes_what_is_in_flight(
    stack: Stack, merchant: Merchant, shop: Shop, crm: Crm
) -> None:
    merchant.subscribe(crm, "/")
    crm.answer(Answer(hold=True), 200, path="/")
    merchant.post(shop.created(1))
    until(lambda: crm.at("/"))
    codes: list[int] = []
    end = threading.Thread(target=lambda: codes.append(stack.terminate("worker-delivery", EXIT_SECONDS)))
    end.start()
    until(lambda: "Warm shutdown" in stack.written("worker-delivery"))
    crm.release("/")
    end.join()
    assert codes == [0]
    assert stack.orphans("worker-delivery") == []
    assert merchant.deliveries() == {"delivered": 1}
    assert crm.accepted_ids("/") == merchant.event_ids()


def test_k22_a_dispatcher_that_is_told_to_stop_leaves_no_lease_behind_a_receiver_that_hangs(
    stack: Stack, merchant: Merchant, shop: Shop, crm: Crm
) -> None:
    merchant.subscribe(crm, "/", max_in_flight=5)
    crm.answer(Answer(hold=True), path="/")
    merchant.post(*(shop.created(number) for number in range(20)))
    until(lambda: crm.at("/"))
    assert stack.terminate("worker-delivery", EXIT_SECONDS) == 0
    assert stack.orphans("worker-delivery") == []
    assert merchant.deliveries() == {"pending": 20}


def test_the_drain_finishes_its_transaction_when_it_is_told_to_stop(
    stack: Stack, merchant: Merchant, shop: Shop, crm: Crm
) -> None:
    merchant.subscribe(crm, "/")
    codes: list[int] = []
    end = threading.Thread(target=lambda: codes.append(stack.terminate("worker-inbound", EXIT_SECONDS)))
    with stack.locked("events") as is_stuck:
        merchant.post(shop.created(1))
        until(is_stuck)
        end.start()
        until(lambda: "Warm shutdown" in stack.written("worker-inbound"))
    end.join()
    assert codes == [0]
    assert merchant.messages() == {"processed": 1}
    merchant.wait_delivered(1)
