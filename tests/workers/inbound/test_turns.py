"""A shard that is never quite empty gives way to those whose orders wait."""

import pytest

from shared import queues
from tests.workers.inbound.dock import Dock, customer
from workers.inbound import drain as drain_module


@pytest.fixture
def sent(dock: Dock, monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """The orders sent, by a drain whose turn is over after its first batch and whose shard holds more than one."""
    for number in range(250):
        dock.post("customers/create", customer(number + 1))
    orders: list[tuple[object, ...]] = []
    monkeypatch.setattr(drain_module.orders, "send", lambda _, *order: orders.append(order) or True)
    monkeypatch.setattr(drain_module, "TURN_SECONDS", 0.0)
    return orders


def other(dock: Dock) -> str:
    return queues.drain_wake((dock.shard + 1) % dock.context.inbox.shards)


def test_a_shard_gives_way_after_its_turn_when_another_waits(dock: Dock, sent: list[tuple[object, ...]]) -> None:
    dock.context.client.set(other(dock), "1")
    assert dock.drain()["taken"] == 200
    assert sent.count((queues.DRAIN, dock.shard)) == 1
    assert dock.drain()["taken"] == 50
    assert dock.left() == 0


def test_a_shard_goes_on_when_no_other_waits(dock: Dock, sent: list[tuple[object, ...]]) -> None:
    assert dock.drain()["taken"] == 250
    assert (queues.DRAIN, dock.shard) not in sent


def test_a_shard_that_gives_way_sends_no_second_order_when_one_is_on_its_way(
    dock: Dock, sent: list[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = dock.context.client
    client.set(other(dock), "1")
    # The ingress takes a message in while the first batch is worked on, and raises the flag.
    real = dock.context.inbox.__class__.acknowledge
    monkeypatch.setattr(
        dock.context.inbox.__class__,
        "acknowledge",
        lambda *args: (real(*args), client.set(queues.drain_wake(dock.shard), "1"))[0],
    )
    assert dock.drain()["taken"] == 200
    assert (queues.DRAIN, dock.shard) not in sent
