"""Large messages: few at once and little in one transaction, however many there are."""

import pytest

from shared import inbox, queues
from tests.workers.inbound.dock import Dock, customer
from workers.inbound import drain as drain_module
from workers.inbound.drain import in_transactions

LARGE = 300_000  # bytes; a dozen of them make a transaction


class Interrupted(BaseException):
    """What a time limit is to the code it hits."""


def post(dock: Dock, count: int, size: int = 0) -> None:
    for number in range(count):
        dock.post("customers/create", customer(number + 1, note="x" * size))


def watch(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes in bytes of the transactions to come."""
    sizes: list[int] = []
    real = drain_module.process

    def watching(connection, batch, **more):
        sizes.append(sum(len(inbound.request.body) for inbound in batch))
        return real(connection, batch, **more)

    monkeypatch.setattr(drain_module, "process", watching)
    return sizes


def ids(dock: Dock) -> list[bytes]:
    """What a drain would take now."""
    return [entry.entry_id for entry in dock.context.inbox.take(dock.shard, 200)]


def test_large_messages_are_taken_few_at_once_and_small_ones_many(dock: Dock) -> None:
    post(dock, 1, LARGE)
    post(dock, 30)
    assert len(dock.context.inbox.take(dock.shard, 200)) == inbox.FEW
    assert dock.drain()["taken"] == 31
    assert not dock.context.client.exists(queues.large(dock.shard))
    post(dock, 31)
    assert len(dock.context.inbox.take(dock.shard, 200)) == 31


def test_what_a_dead_drain_left_is_taken_again_in_order_many_or_few(dock: Dock) -> None:
    post(dock, 40)
    taken = ids(dock)
    assert len(taken) == 40
    assert ids(dock) == taken
    post(dock, 1, LARGE)
    assert ids(dock) == taken[: inbox.FEW]


def test_no_transaction_takes_more_than_its_bytes(dock: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drain_module, "TRANSACTION_BYTES", 1_000_000)
    sizes = watch(monkeypatch)
    post(dock, 10, LARGE)
    post(dock, 1, 1_500_000)
    post(dock, 2)
    counts = dock.drain()
    assert (counts["processed"], counts["failed"], dock.left()) == (13, 0, 0)
    assert [size for size in sizes if size > 1_000_000] == [max(sizes)]  # the one that is larger by itself
    assert len(sizes) == 7  # 3 + 3 + 3 + 1, the large one, 1 that was taken with them, and the last


def test_an_interrupted_drain_has_kept_what_was_committed(dock: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drain_module, "TRANSACTION_BYTES", 1_000_000)
    post(dock, 8, LARGE)
    real = drain_module.process
    calls = []

    def tiring(*args, **more):
        calls.append(None)
        if len(calls) > 1:
            raise Interrupted
        return real(*args, **more)

    # However short the time is: each order gets on by one transaction, and the shard is drained in the end.
    for left in (5, 2, 0):
        calls.clear()
        with monkeypatch.context() as short:
            short.setattr(drain_module, "process", tiring)
            if left:
                with pytest.raises(Interrupted):
                    dock.drain()
            else:
                dock.drain()
        assert dock.left() == left
    assert [row["state"] for row in dock.rows("messages")] == ["processed"] * 8


def test_transactions_keep_the_order_and_leave_nothing_out(dock: Dock) -> None:
    for size in (0, 3_000_000, 2_000_000, 4_500_000, 10):
        dock.post("customers/create", b"x" * size)
    entries = dock.context.inbox.take(dock.shard, 200)
    batches = list(in_transactions(entries))
    assert [len(batch) for batch in batches] == [2, 1, 1, 1]
    assert [entry for batch in batches for entry in batch] == entries
    assert list(in_transactions([])) == []
