"""Receivers that hang, redirect, drip and babble: each harms itself alone."""

import pytest

from tests.doubles.crm import Answer, Crm
from tests.doubles.shop import Shop
from tests.pipeline.merchant import Merchant
from tests.pipeline.stack import Stack
from tests.waiting import until

TIMEOUT_MS = 300


def test_k9_a_subscriber_that_hangs_does_not_hold_up_the_others(
    stack: Stack, merchant: Merchant, shop: Shop, crm: Crm
) -> None:
    cap = 5
    hanging = merchant.subscribe(crm, "/hanging", max_in_flight=cap, retry_delay_seconds=600)
    healthy = merchant.subscribe(crm, "/healthy", max_in_flight=cap)
    crm.answer(Answer(hold=True), path="/hanging")
    merchant.post(*(shop.created(number) for number in range(100)))
    merchant.wait_delivered(100, healthy)
    # While all hundred passed, the hanging one had its own few places, and then only probes of its pause.
    circuit = stack.settings.circuit_failures
    assert len(crm.at("/hanging")) <= circuit + 2 * cap
    assert merchant.deliveries(hanging)["delivered"] == 0
    assert merchant.deliveries(hanging).total() == 100
    assert sorted(crm.accepted_ids("/healthy")) == merchant.event_ids()


def test_k12_a_redirect_to_a_metadata_address_is_not_followed_and_no_success(
    stack: Stack, merchant: Merchant, shop: Shop, crm: Crm
) -> None:
    subscription = merchant.subscribe(crm, "/", retry_attempts=1, retry_delay_seconds=0)
    for number, location in enumerate(("http://169.254.169.254/latest/meta-data/", crm.url("/witness")), 1):
        crm.answer(Answer(302, {"Location": location}), Answer(307, {"Location": location}), path="/")
        merchant.post(shop.created(number))
        until(lambda number=number: merchant.deliveries() == {"dead": number}, told=merchant.story)
    attempts = stack.rows("SELECT status, error_code FROM attempts WHERE subscription_id = :id", id=subscription.id)
    assert sorted(row.status for row in attempts) == [302, 302, 307, 307]
    assert crm.at("/witness") == []


def test_a_destination_in_a_private_network_is_refused_before_a_byte_leaves(
    stack: Stack, merchant: Merchant, shop: Shop, crm: Crm
) -> None:
    subscription = merchant.subscribe(crm, "/", retry_attempts=0)
    stack.rows(
        "UPDATE subscriptions SET url = 'http://169.254.169.254/latest/meta-data/', updated_at = now() WHERE id = :id"
        " RETURNING id",
        id=subscription.id,
    )
    merchant.post(shop.created(1))
    until(lambda: merchant.deliveries() == {"dead": 1})
    row = stack.rows("SELECT status, error_code FROM attempts WHERE subscription_id = :id", id=subscription.id)[0]
    assert (row.status, row.error_code) == (None, "address_refused")


@pytest.mark.parametrize(
    ("behaviour", "state"),
    [
        pytest.param(204, "delivered", id="no_content"),
        pytest.param(299, "delivered", id="any_2xx"),
        pytest.param(Answer(body=b"x" * 1_000_000), "delivered", id="huge_reply"),
        pytest.param(Answer(drip=True), "delivered", id="slow_drip"),  # its status was there, and decides
        pytest.param(Answer(hang=True), "dead", id="no_answer"),
        pytest.param(Answer(raw=b"220 smtp.example ready\r\n"), "dead", id="no_http"),
        pytest.param(Answer(reset=True), "dead", id="closed_without_an_answer"),
    ],
)
def test_k14_an_odd_reply_is_bounded_and_judged(
    merchant: Merchant, shop: Shop, crm: Crm, behaviour: int | Answer, state: str
) -> None:
    subscription = merchant.subscribe(crm, "/", retry_attempts=0, timeout_ms=TIMEOUT_MS)
    crm.answer(behaviour, path="/")
    merchant.post(shop.created(1))
    until(lambda: merchant.deliveries() == {state: 1}, told=merchant.story)
    row = merchant.stack.rows(
        "SELECT error_code, duration_ms, length(response_excerpt) AS kept FROM attempts WHERE subscription_id = :id",
        id=subscription.id,
    )[0]
    assert (row.kept or 0) <= 2048
    # Of the deadlines it was the subscription's own that ended it: the next one is the process's, seconds later.
    # (tests/shared/egress/test_ways_out.py measures it by a clock of its own.)
    assert row.duration_ms < 1000 * merchant.stack.settings.request_timeout_seconds
    if behaviour in (Answer(drip=True), Answer(hang=True)):
        assert row.duration_ms >= TIMEOUT_MS
        assert row.error_code == (None if state == "delivered" else "timeout")
