"""Appends that go to Valkey together, on a real one."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

from shared import valkey
from shared.errors import QueueUnavailable
from shared.ids import new_id
from shared.inbox import Appended, Arrival, Inbox
from shared.providers.contract import Headers, Request
from web.appends import MOST, Appends

SOURCE = "018f3b1e-0000-7000-8000-000000000001"
AT = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


def arrival(body: bytes, *, rate: int = 0, most: int = 1000) -> Arrival:
    return Arrival(new_id(), SOURCE, "", Request("POST", "/", Headers(), body), AT, most, rate)


class Watched(Inbox):
    """An inbox that says how many came together, and that can be held."""

    def __init__(self, client: valkey.Client) -> None:
        super().__init__(client, shards=1)
        self.together: list[int] = []
        self.open = threading.Event()

    def append_all(self, arrivals: Any) -> Any:
        self.open.wait(30)
        self.together.append(len(arrivals))
        return super().append_all(arrivals)


def run(inbox: Inbox, story: Callable[[Appends], Coroutine[Any, Any, None]], *, patience: float = 60.0) -> None:
    async def told() -> None:
        appends = Appends(inbox, asyncio.get_running_loop(), patience_seconds=patience)
        try:
            await story(appends)
        finally:
            appends.stop()

    asyncio.run(told())


def test_what_waits_goes_together_in_its_order_and_each_has_its_own_answer(queue):
    inbox = Watched(queue)

    async def story(appends: Appends) -> None:
        waiting = [appends.put(arrival(b"%d" % number)) for number in range(MOST + 10)]
        waiting.append(appends.put(arrival(b"refused", most=0)))
        inbox.open.set()
        *taken, refused = await asyncio.gather(*waiting)
        assert taken == [Appended(None, wake=True)] + [Appended(None, wake=False)] * (MOST + 9)
        assert refused == Appended("full", wake=False)

    run(inbox, story)
    assert len(inbox.together) <= 3
    assert max(inbox.together) <= MOST
    assert [entry.request.body for entry in inbox.take(0, 1000)] == [b"%d" % number for number in range(MOST + 10)]


def test_large_ones_go_few_at_a_time(queue):
    inbox = Watched(queue)

    async def story(appends: Appends) -> None:
        waiting = [appends.put(arrival(b"x" * 400_000)) for _ in range(7)]
        inbox.open.set()
        await asyncio.gather(*waiting)

    run(inbox, story)
    assert max(inbox.together) <= 3


def test_without_valkey_each_hears_that_the_queue_is_unavailable(tmp_path):
    inbox = Inbox(valkey.connect(f"unix://{tmp_path}/nobody.sock"), shards=1)

    async def story(appends: Appends) -> None:
        found = await asyncio.gather(*[appends.put(arrival(b"")) for _ in range(3)])
        assert [type(one) for one in found] == [QueueUnavailable] * 3

    run(inbox, story)


def test_who_has_waited_too_long_is_not_appended_behind_the_others(queue):
    inbox = Watched(queue)
    inbox.open.set()

    async def story(appends: Appends) -> None:
        found = await appends.put(arrival(b""))
        assert isinstance(found, QueueUnavailable)
        assert "not answered" in str(found)

    run(inbox, story, patience=0.0)
    assert inbox.length(0) == 0


def test_a_request_that_is_gone_does_not_hurt_the_others(queue):
    inbox = Watched(queue)

    async def story(appends: Appends) -> None:
        gone, other = appends.put(arrival(b"gone")), appends.put(arrival(b"other"))
        gone.cancel()
        inbox.open.set()
        assert await other == Appended(None, wake=False)

    run(inbox, story)
    assert inbox.length(0) == 2


def test_what_nobody_expected_of_one_batch_leaves_the_next_ones_to_be_appended(queue):
    inbox = Watched(queue)
    inbox.open.set()
    well = inbox.append_all

    def burst(_: Any) -> Any:
        inbox.append_all = well  # type: ignore[method-assign]
        raise ValueError("odd")

    inbox.append_all = burst  # type: ignore[method-assign]

    async def story(appends: Appends) -> None:
        assert isinstance(await appends.put(arrival(b"first")), QueueUnavailable)
        assert await appends.put(arrival(b"second")) == Appended(None, wake=True)

    run(inbox, story)
    assert inbox.length(0) == 1
