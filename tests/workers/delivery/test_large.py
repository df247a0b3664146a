"""Large bodies: no more of them are leased than a process can hold, and all are delivered."""

import pytest

from tests.doubles.crm import Crm
from tests.workers.delivery.conftest import Clock, Desk
from workers.delivery import holdings
from workers.delivery.books import Books


def body(size: int) -> str:
    return '{"event": "user.created", "data": "' + "x" * size + '"}'


def test_a_claim_ends_with_the_body_that_fills_it(desk: Desk, crm: Crm, clock: Clock):
    subscription = desk.subscribe(crm.url())
    desk.owe(subscription, count=6, body=body(1_000))
    books = Books(desk.context, rng=None)  # type: ignore[arg-type]

    first = books.claim({str(subscription): 6}, [], clock(), most_bytes=2_500)
    second = books.claim({str(subscription): 6}, [first.claim_id], clock(), most_bytes=1)

    assert [len(each.taken) for each in (first, second)] == [3, 1]
    assert desk.states(subscription) == {"leased": 4, "pending": 2}, "what did not fit was not touched"


def test_with_little_room_everything_is_delivered_all_the_same(desk: Desk, crm: Crm, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(holdings, "MOST_BYTES", 10_000)
    held = []
    real = Books.claim

    def watching(self, wants, ours, now, most_bytes):
        held.append(most_bytes)
        return real(self, wants, ours, now, most_bytes)

    monkeypatch.setattr(Books, "claim", watching)
    subscriptions = [desk.subscribe(crm.url(f"/{n}")) for n in range(2)]
    desk.owe(*subscriptions, count=15, body=body(6_000))

    desk.dispatch()

    assert [desk.states(each) for each in subscriptions] == [{"delivered": 15}] * 2
    assert all(0 < room <= 10_000 for room in held)
