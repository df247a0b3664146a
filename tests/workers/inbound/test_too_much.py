"""A message that means far more than it is long is no danger to the drain, nor to the messages beside it."""

import pytest

from shared.providers.contract import Outcome, Provider
from tests.workers.inbound.dock import Dock, customer
from workers.inbound import process as process_module
from workers.inbound import user_events


def tagged(count: int, *, minute: int) -> dict[str, object]:
    return customer(minute=minute, tags=", ".join(f"tag-{n}" for n in range(count)))


def test_many_changes_at_once_are_told_by_the_users_event_alone(dock: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    dock.post("customers/create", customer())
    dock.post("customers/update", tagged(3, minute=1))
    dock.drain()
    few = dock.told()
    monkeypatch.setattr(user_events, "SINGLES_BYTES", 20_000)
    dock.post("customers/update", tagged(200, minute=2))
    dock.drain()

    assert few == ["user.created", "user.updated", "tag.added", "tag.added", "tag.added"]
    assert dock.told() == [*few, "user.updated"]
    assert len(dock.envelopes()[-1]["data"]["changes"]["tags"]["new"]) == 200


def test_a_message_that_would_tell_too_much_fails_alone_with_a_reason(
    dock: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_module, "EVENT_BYTES", 20_000)
    before = dock.post("customers/create", customer(1))
    large = dock.post("customers/create", customer(2, tags=", ".join(f"tag-{n}" for n in range(1000))))
    after = dock.post("customers/create", customer(3))
    counts = dock.drain()

    assert (counts["processed"], counts["failed"], dock.left()) == (2, 1, 0)
    assert [dock.message(one)["state"] for one in (before, large, after)] == ["processed", "failed", "processed"]
    assert "longer than 20000 characters" in dock.message(large)["reason"]


def test_messages_that_together_tell_too_much_are_taken_apart(dock: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    dock.post("customers/create", customer(1))
    dock.drain()
    (envelope,) = dock.rows("events")
    monkeypatch.setattr(process_module, "EVENT_BYTES", 3 * len(envelope["body"]))
    for number in range(2, 12):
        dock.post("customers/create", customer(number))

    assert dock.drain()["processed"] == 10
    assert dock.told() == ["user.created"] * 11


def test_a_message_that_takes_more_memory_than_there_is_fails_alone(
    dock: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = process_module.transform

    def hungry(reading: object, providers: dict[str, Provider]) -> Outcome | None:
        if b"hungry" in reading.inbound.request.body:  # type: ignore[attr-defined]
            raise MemoryError
        return real(reading, providers)  # type: ignore[arg-type,func-returns-value]

    monkeypatch.setattr(process_module, "transform", hungry)
    dock.post("customers/create", customer(1))
    large = dock.post("customers/create", customer(2, first_name="hungry"))
    dock.post("customers/create", customer(3))
    counts = dock.drain()

    assert (counts["processed"], counts["failed"], dock.left()) == (2, 1, 0)
    assert "more memory" in dock.message(large)["reason"]
