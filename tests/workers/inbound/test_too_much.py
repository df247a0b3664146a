"""A message that means far more than it is long is no danger to the drain, nor to the messages beside it."""

import pytest
from sqlalchemy.exc import OperationalError

from shared.providers.contract import Change, Outcome, Provider
from tests.waiting import until
from tests.workers.inbound.dock import NOW, SHOP, Dock, advisory_locks, customer
from workers.inbound import learn as learn_module
from workers.inbound import process as process_module
from workers.inbound import user_events
from workers.inbound.deaths import GIVE_UP_AFTER
from workers.inbound.learn import Learned, learn


class Killed(BaseException):
    """What the machine does to a process that takes too much: nothing catches it."""


def killing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """A drain that reads a message named `killer` does not come back."""
    real = process_module.transform

    def transform(reading: object, providers: dict[str, Provider]) -> Outcome | None:
        if b"killer" in reading.inbound.request.body:  # type: ignore[attr-defined]
            raise error
        return real(reading, providers)  # type: ignore[arg-type,func-returns-value]

    monkeypatch.setattr(process_module, "transform", transform)


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


def learned(dock: Dock, changes: list[Change]) -> Learned:
    """What a sync reads, taken in in one transaction."""
    with dock.engine.begin() as connection:
        return learn(
            connection,
            changes,
            account_id=dock.account_id,
            provider="shopify",
            tenant=SHOP,
            source_id=dock.source_id,
            now=NOW,
        )


def product(number: int, title: str = "Tea") -> Change:
    return Change("product", "upsert", f"{number}", NOW, {"title": title})


def test_what_a_sync_reads_that_would_tell_too_much_is_left_out_alone_and_named(
    dock: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learn_module, "EVENT_BYTES", 20_000)
    found = learned(dock, [product(1), product(2, "x" * 20_000), product(3)])
    [one] = found.left_out
    assert (one.kind, one.external_id) == ("product", "2")
    assert "longer than 20000 characters" in one.reason
    assert (found.events, found.deliveries, found.effects.total()) == (2, 2, 2)
    assert [row["external_id"] for row in dock.rows("products", "external_id")] == ["1", "3"]
    assert dock.told() == ["product.created"] * 2


def test_what_a_sync_reads_that_together_would_tell_too_much_is_taken_apart(
    dock: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned(dock, [product(1)])
    (envelope,) = dock.rows("events")
    monkeypatch.setattr(learn_module, "EVENT_BYTES", 3 * len(envelope["body"]))
    attempts: list[int] = []
    real = learn_module.emit
    monkeypatch.setattr(
        learn_module, "emit", lambda *args, **named: attempts.append(len(args[1])) or real(*args, **named)
    )
    found = learned(dock, [product(number) for number in range(2, 12)])
    assert (found.events, found.left_out) == (10, [])
    assert max(attempts) <= 3
    assert dock.told() == ["product.created"] * 11


def test_a_message_that_takes_more_memory_than_there_is_fails_alone(
    dock: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    killing(monkeypatch, MemoryError())
    dock.post("customers/create", customer(1))
    large = dock.post("customers/create", customer(2, first_name="killer"))
    dock.post("customers/create", customer(3))
    counts = dock.drain()

    assert (counts["processed"], counts["failed"], dock.left()) == (2, 1, 0)
    assert "more memory" in dock.message(large)["reason"]


def test_a_message_that_kills_its_drain_each_time_is_found_and_failed(
    dock: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    killing(monkeypatch, Killed())
    posted = [
        dock.post("customers/create", customer(number, first_name="killer" if number == 5 else "Ada"))
        for number in range(10)
    ]
    deaths = 0
    while dock.left():
        try:
            dock.drain()
        except Killed:
            deaths += 1
            until(lambda: advisory_locks(dock.engine) == 0, what="the lock to be free")
        assert deaths <= 1 + GIVE_UP_AFTER

    states = [dock.message(one)["state"] for one in posted]
    assert states == ["failed" if number == 5 else "processed" for number in range(10)]
    assert dock.message(posted[5])["reason"] == f"{GIVE_UP_AFTER} drains died over it"
    assert deaths == 1 + GIVE_UP_AFTER
    assert dock.told() == ["user.created"] * 9


def test_a_database_that_is_away_for_long_fails_no_message(dock: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        killing(patch, OperationalError("SELECT 1", {}, Exception("the server is gone")))
        posted = dock.post("customers/create", customer(first_name="killer"))
        for _ in range(3 * GIVE_UP_AFTER):
            dock.drain()
            until(lambda: advisory_locks(dock.engine) == 0, what="the lock to be free")
        assert dock.left() == 1
    dock.drain()
    assert (dock.message(posted)["state"], dock.left()) == ("processed", 0)
