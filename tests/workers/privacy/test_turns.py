"""Whoever locks what an erasure locks does so in the same order: wherever one is, none waits for the other for ever."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from shared import privacy
from shared.db.engine import make_engine, transaction
from tests.workers.privacy.house import LATER, SHOP, House, merge, order, shipment, user
from tests.workers.privacy.turns import Work, take_turns
from workers.privacy.erase import Step, erase
from workers.privacy.run import run

_TABLES = (
    *("users", "orders", "shipments", "refunds", "payments"),
    *("deliveries", "events", "messages", "message_keys", "erasures"),
)


def of_order(kind: str, external_id: str, order_id: str) -> dict[str, Any]:
    return {"kind": kind, "id": external_id, "minute": 9, "fields": {"order_external_id": order_id}}


def begin(house: House, *, is_known: bool) -> None:
    """5 was merged into 7, whom we have or have not; 8 is somebody else."""
    with transaction(house.engine) as connection:
        for table in _TABLES:  # which is faster than TRUNCATE, for there are many partitions and few rows
            connection.execute(text(f"DELETE FROM {table}"))
    house.hear(
        *([user("7")] if is_known else []),
        user("5"),
        user("8"),
        *(order(name, owner) for name, owner in (("900", "7"), ("901", "5"), ("902", "8"), ("903", "7"))),
        *(shipment(f"s{name}", name) for name in ("900", "901", "902", "903")),
        *(of_order(kind, f"{kind}-{name}", name) for kind in ("refund", "payment") for name in ("900", "902")),
        merge("5", "7", minute=1),
    )


def ask(house: House, subject: str, *orders: str) -> UUID:
    with transaction(house.engine) as connection:
        whose: dict[str, Any] = {"account_id": house.account_id, "provider": "shopify", "tenant": SHOP}
        return privacy.ask_erasure(connection, **whose, subject=subject, orders=orders, at=LATER)


def erasing(house: House, request_id: UUID) -> Work:
    """An erasure as far as it comes without waiting for others to end."""

    def work(engine: Engine) -> None:
        context = replace(house.context, engine=engine)
        while erase(context, request_id, now=LATER) is Step.MORE:
            pass

    return work


def draining(house: House, *changes: dict[str, Any]) -> Work:
    def work(engine: Engine) -> None:
        with transaction(engine) as connection:
            house.take_in(connection, *changes)

    return work


def of_their_orders() -> list[dict[str, Any]]:
    return [
        *(of_order(kind, f"{kind}-{name}", name) for kind in ("payment", "refund") for name in ("902", "900")),
        *(order(name, "7", minute=9) for name in ("950", "903", "901", "900")),
        *({**shipment(f"s{name}", name), "minute": 9} for name in ("903", "901")),
    ]


FEWEST_LOCKS = 5  # or nothing was shown
# Whom an erasure of 7 meets. What they touch stands in no order of its own.
OTHERS: dict[str, Callable[[House], Work]] = {
    "the same erasure": lambda house: erasing(house, ask(house, "7", "951", "902", "950")),
    "an erasure of whoever was merged": lambda house: erasing(house, ask(house, "5", "903", "950", "902")),
    "an erasure of somebody else with the same orders": lambda house: erasing(
        house, ask(house, "8", "950", "903", "900")
    ),
    "a drain": lambda house: draining(house, *of_their_orders(), user("7", minute=9), user("5", minute=9)),
    "a drain that locks nobody": lambda house: draining(house, *of_their_orders()),
    "a drain with a merge": lambda house: draining(
        house, merge("8", "7", minute=9), order("900", "7", minute=9), order("903", "7", minute=9)
    ),
}


@pytest.fixture
def engines(database_url: str) -> Iterator[list[Engine]]:
    made = [make_engine(database_url, pool_size=1) for _ in range(3)]
    yield made
    for engine in made:
        engine.dispose()


def at_every_lock(house: House, engines: list[Engine], both: Callable[[], tuple[Work, Work]]) -> None:
    """Have the first pause behind each of its locks in turn, from the same beginning."""
    for number in itertools.count(1):
        first, second = both()
        try:
            if not take_turns(engines, first, second, number=number):
                break
        except OperationalError as error:
            raise AssertionError(f"behind lock {number} of the first: {error.orig}") from error
        run(house.context, now=LATER, seconds=60)
        assert "secret-7@" not in house.everything()
    assert number > FEWEST_LOCKS


turn = pytest.mark.parametrize("is_first", [True, False], ids=["goes first", "goes second"])


@turn
@pytest.mark.parametrize(
    ("other", "is_known"), [*((other, True) for other in OTHERS), ("the same erasure", False), ("a drain", False)]
)
def test_an_erasure_and_whom_it_meets_never_wait_for_each_other(
    house: House, engines: list[Engine], other: str, is_first: bool, is_known: bool
) -> None:
    def both() -> tuple[Work, Work]:
        begin(house, is_known=is_known)
        mine, theirs = erasing(house, ask(house, "7", "950", "902")), OTHERS[other](house)
        return (mine, theirs) if is_first else (theirs, mine)

    at_every_lock(house, engines, both)


@turn
def test_an_erasure_and_the_replay_of_what_asked_for_it_never_wait_for_each_other(
    house: House, engines: list[Engine], is_first: bool
) -> None:
    changes = [user("7"), order("903", "7", minute=9), {"kind": "erasure", "op": "delete", "id": "7"}]

    def both() -> tuple[Work, Work]:
        begin(house, is_known=True)
        message = house.hear(*changes)
        [asked] = house.all("erasures")

        def replaying(engine: Engine) -> None:
            with transaction(engine) as connection:  # as a job does it, which locks what it is to replay
                connection.execute(
                    text("SELECT id FROM messages WHERE id = :id FOR UPDATE"), {"id": message.message_id}
                )
                house.take_in(connection, replay=message)

        mine = erasing(house, asked["id"])
        return (mine, replaying) if is_first else (replaying, mine)

    at_every_lock(house, engines, both)
