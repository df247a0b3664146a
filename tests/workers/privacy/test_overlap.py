"""An erasure and a drain or an export that overlap, in every order that there is: the person is nowhere afterwards."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from shared import privacy
from shared.db.engine import transaction
from shared.providers.contract import Change
from tests.workers.privacy.house import LATER, NOW, SHOP, House, merge, order, shipment, user
from workers.inbound import forgotten
from workers.inbound.learn import learn
from workers.privacy import erase_records, export
from workers.privacy.erase import Step, erase
from workers.privacy.run import run

MINE = "secret-7"


def asked(house: House, subject: str = "7") -> UUID:
    with transaction(house.engine) as connection:
        return privacy.ask_erasure(
            connection, account_id=house.account_id, provider="shopify", tenant=SHOP, subject=subject, at=LATER
        )


def step(house: House, request_id: UUID) -> Step:
    return erase(house.context, request_id, now=LATER)


def finish(house: House, request_id: UUID) -> None:
    for _ in range(2_000):  # PostgreSQL's own housekeeping is waited for as well
        if step(house, request_id) is Step.DONE:
            return
    raise AssertionError("it never ends")


@contextmanager
def draining(house: House, *changes: dict[str, Any], replay: Any = None) -> Iterator[Connection]:
    """A drain that has written everything down and has yet to commit, which it does at the end of the block."""
    with transaction(house.engine) as connection:
        house.take_in(connection, *changes, replay=replay)
        yield connection


def assert_forgotten(house: House) -> None:
    assert MINE not in house.everything()
    [row] = house.all("orders")
    assert (row["external_id"], row["total_minor"]) == ("900", 4200)
    assert row["redacted_at"] is not None
    told = [event["type"] for event in house.all("events")]
    assert told.count("user.deleted") <= 1


def test_k21_a_drain_that_looked_before_the_marks_and_commits_after_them_brings_nobody_back(house: House) -> None:
    house.hear(user("7"))
    request_id = asked(house)
    with draining(house, order("900", "7"), shipment("s1", "900")):
        assert step(house, request_id) is Step.MORE  # its first look is committed, and found nothing of the order
        assert step(house, request_id) is Step.MORE  # its fence
        assert step(house, request_id) is Step.WAIT
        assert run(house.context, now=LATER, seconds=0)["waiting"] == 1
        assert house.all("erasures")[0]["state"] == "requested"
    assert MINE in house.everything()
    assert run(house.context, now=LATER, seconds=60)["erasures"] == 1
    assert_forgotten(house)
    [row] = house.all("shipments")
    assert (row["tracking_number"], row["redacted_at"]) == (None, LATER)
    counts = house.all("erasures")[0]["counts"]
    assert (counts["users"], counts["orders"], counts["shipments"], counts["messages"]) == (1, 1, 1, 2)


def between_look_and_commit(house: House, monkeypatch: pytest.MonkeyPatch, happens: Callable[[], Any]) -> None:
    """Have something happen when the first look is over, and its transaction still open."""
    emit, calls = erase_records.emit, iter([happens])

    def emit_then(*args: Any, **kwargs: Any) -> Any:
        done = emit(*args, **kwargs)
        for one in calls:
            one()
        return done

    monkeypatch.setattr(erase_records, "emit", emit_then)


def test_k21_a_drain_that_comes_and_goes_between_the_look_and_its_commit_brings_nobody_back(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = asked(house)
    between_look_and_commit(house, monkeypatch, lambda: house.hear(order("900", "7")))
    assert step(house, request_id) is Step.MORE
    assert MINE in house.everything()  # the look did not see it
    finish(house, request_id)
    assert_forgotten(house)


def test_k21_a_drain_that_looks_between_the_look_and_its_commit_and_ends_last_brings_nobody_back(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = asked(house)
    with ExitStack() as drains:
        late = draining(house, order("900", "7"))
        between_look_and_commit(house, monkeypatch, lambda: drains.enter_context(late))
        assert [step(house, request_id) for _ in range(3)] == [Step.MORE, Step.MORE, Step.WAIT]
    finish(house, request_id)
    assert_forgotten(house)


def test_k21_a_drain_that_looks_after_the_marks_is_not_waited_for(house: House) -> None:
    request_id = asked(house)
    assert [step(house, request_id) for _ in range(2)] == [Step.MORE, Step.MORE]
    with draining(house, order("900", "7")):
        finish(house, request_id)
    assert_forgotten(house)


def test_k21_a_replay_that_overlaps_brings_nobody_back(house: House) -> None:
    message = house.hear(order("900", "7"))
    with transaction(house.engine) as connection:  # as if it had failed the first time
        for table in ("orders", "events", "deliveries"):
            connection.execute(text(f"DELETE FROM {table}"))
    request_id = asked(house)
    with draining(house, order("900", "7"), replay=message):
        assert [step(house, request_id) for _ in range(3)] == [Step.MORE, Step.MORE, Step.WAIT]
    finish(house, request_id)
    assert_forgotten(house)


def test_k21_who_is_merged_into_the_person_meanwhile_goes_as_well(house: House) -> None:
    house.hear(user("6", email="secret-7@x.example"), order("900", "6", email="secret-7@x.example"))
    request_id = asked(house)
    with draining(house, merge("6", "7", minute=1), shipment("s1", "900")):
        assert [step(house, request_id) for _ in range(3)] == [Step.MORE, Step.MORE, Step.WAIT]
    finish(house, request_id)
    assert_forgotten(house)
    assert [event["type"] for event in house.all("events")] == ["user.deleted"]  # of whom was given up
    assert all(row["redacted_at"] for row in house.all("users"))


def test_k21_what_is_told_of_a_redacted_order_meanwhile_is_still_told(house: House) -> None:
    house.hear(user("7"), order("900", "7"))
    request_id = asked(house)
    assert step(house, request_id) is Step.MORE
    house.hear(order("900", "7", minute=90, fulfillment_status="fulfilled"))
    finish(house, request_id)
    assert_forgotten(house)
    told = [event["type"] for event in house.all("events")]
    assert sorted(told) == ["order.fulfilled", "order.updated", "user.deleted"]
    assert {row["state"] for row in house.all("deliveries") if row["last_error"] is None} == {"pending"}


def test_k21_a_parcel_of_an_order_that_only_the_second_look_finds_goes_as_well(house: House) -> None:
    request_id = asked(house)
    with draining(house, order("900", "7")):
        assert [step(house, request_id) for _ in range(3)] == [Step.MORE, Step.MORE, Step.WAIT]
    # Begun behind the fence, and the order has no mark yet: nothing says that this is to be left out.
    with draining(house, shipment("s1", "900")):
        assert [step(house, request_id) for _ in range(3)] == [Step.MORE, Step.MORE, Step.WAIT]
    finish(house, request_id)
    assert_forgotten(house)
    [row] = house.all("shipments")
    assert (row["tracking_number"], row["redacted_at"]) == (None, LATER)


@pytest.fixture
def export_id(house: House) -> UUID:
    with transaction(house.engine) as connection:
        return privacy.ask_export(
            connection, account_id=house.account_id, provider="shopify", tenant=SHOP, subject="7", at=NOW
        )


def while_it_is_written(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], Any], *, before: bool) -> None:
    """Have something happen when an export has read everything, right before or after its file is there."""
    write = export._write

    def write_and(path: Path, content: bytes) -> None:
        assert MINE in content.decode()
        if before:
            happens()
        write(path, content)
        if not before:
            happens()

    monkeypatch.setattr(export, "_write", write_and)


def files(house: House) -> list[Path]:
    return [path for path in (house.context.settings.data_dir / export.FOLDER).rglob("*") if path.is_file()]


def go_on(house: House, request_id: UUID) -> Step:
    """Do what an erasure can do at the moment."""
    while (came := step(house, request_id)) is Step.MORE:
        pass
    return came


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("subject", ["7", "*"])
def test_k21_an_erasure_that_comes_while_an_export_is_written_leaves_no_file(
    house: House, monkeypatch: pytest.MonkeyPatch, export_id: UUID, subject: str, before: bool
) -> None:
    house.hear(user("7"))
    request_id = asked(house, subject)
    came: list[Step] = []
    while_it_is_written(monkeypatch, lambda: came.append(go_on(house, request_id)), before=before)
    export.export(house.context, export_id, now=LATER)
    finish(house, request_id)
    assert came == [Step.WAIT]
    assert files(house) == []
    assert house.all("exports")[0]["path"] is None
    assert house.all("erasures")[0]["counts"]["files"] == 1


@pytest.mark.parametrize("subject", ["7", "*"])
def test_k21_an_export_that_reads_what_only_the_second_look_finds_leaves_no_file(
    house: House, monkeypatch: pytest.MonkeyPatch, export_id: UUID, subject: str
) -> None:
    request_id = asked(house, subject)
    with draining(house, order("900", "7")):
        assert go_on(house, request_id) is Step.WAIT
    while_it_is_written(monkeypatch, lambda: go_on(house, request_id), before=False)  # and it begins behind the fence
    export.export(house.context, export_id, now=LATER)
    finish(house, request_id)
    assert files(house) == []
    assert MINE not in house.everything()


def test_k21_the_file_of_an_export_that_died_over_it_goes_as_well(
    house: House, monkeypatch: pytest.MonkeyPatch, export_id: UUID
) -> None:
    house.hear(user("7"))
    left = house.context.settings.data_dir / export.FOLDER
    left.mkdir(parents=True)
    for name in (f"{export_id}.json", f"{export_id}.part"):
        (left / name).write_text(MINE)
    finish(house, asked(house))
    assert files(house) == []
    assert house.all("exports")[0]["state"] == "requested"


def test_k21_an_export_that_lost_its_connection_takes_its_file_back(
    house: House, monkeypatch: pytest.MonkeyPatch, export_id: UUID
) -> None:
    house.hear(user("7"))
    request_id = asked(house)

    def lose_and_erase() -> None:
        with house.engine.connect() as connection:
            connection.execute(
                text("""
                    SELECT pg_terminate_backend(pid) FROM pg_locks
                    WHERE relation = CAST('exports' AS regclass) AND pid <> pg_backend_pid()
                """)
            )
        finish(house, request_id)

    while_it_is_written(monkeypatch, lose_and_erase, before=True)
    with pytest.raises(OperationalError):
        export.export(house.context, export_id, now=LATER)
    assert files(house) == []
    assert house.all("exports")[0]["state"] == "requested"


def test_k21_a_drain_that_overlaps_with_a_whole_shops_erasure_leaves_nothing(house: House) -> None:
    house.hear(user("7"), order("900", "7"))
    request_id = asked(house, "*")
    with draining(house, user("8"), order("901", "8")):
        taken = [step(house, request_id) for _ in range(4)]
        assert taken[-1] is Step.WAIT
    finish(house, request_id)
    assert house.all("users") == house.all("orders") == []
    assert "secret-" not in house.everything()


def test_k21_whoever_asks_who_was_erased_has_a_transactions_id_by_then(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids: list[Any] = []
    marked = forgotten.marked

    def noted(connection: Connection, changes: Any) -> Any:
        ids.append(connection.execute(text("SELECT CAST(pg_current_xact_id_if_assigned() AS text)")).scalar())
        return marked(connection, changes)

    monkeypatch.setattr(forgotten, "marked", noted)
    message = house.hear(order("900", "7"))
    house.hear(order("900", "7"), replay=message)
    with transaction(house.engine) as connection:
        learn(
            connection,
            [Change("order", "upsert", "900", NOW, {"total_minor": 1})],
            account_id=house.account_id,
            provider="shopify",
            tenant=SHOP,
            source_id=house.source_id,
            now=NOW,
        )
    assert len(ids) == 3
    assert all(ids)


def test_an_erasure_that_is_asked_for_again_looks_twice_again(house: House) -> None:
    said = house.hear({"kind": "erasure", "op": "delete", "id": "7"})
    assert run(house.context, now=LATER, seconds=60)["erasures"] == 1
    assert house.all("erasures")[0]["fence"] is not None
    house.hear(replay=said)
    assert (house.all("erasures")[0]["fence"], house.all("erasures")[0]["state"]) == (None, "requested")
