"""The sliding window: requests in flight on one loop, refilled by claims, emptied into batches of results.

Comes in: turns, each a while of claiming. Left behind: leased deliveries in memory while they are under way, and their
outcomes in the database. Flights and the writing of results outlive a turn, so a slow receiver holds up neither the
turn's end nor the next. A process that dies in the middle leaves leases, which expire and are sent again.

The loop never waits for the database: claims and results go through one thread of their own, one after the other.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from random import Random
from typing import TypeVar, cast

from sqlalchemy.exc import SQLAlchemyError

from shared import logs
from shared.destinations.contract import Verdict
from shared.egress import networks_of
from shared.egress.sessions import Session
from workers.context import Context
from workers.delivery.books import Books
from workers.delivery.claim import Claimed, DueLane
from workers.delivery.converse import Way, carry
from workers.delivery.flights import Flights
from workers.delivery.hand import Hand
from workers.delivery.holdings import Holdings
from workers.delivery.outcome import Recorded, Result
from workers.delivery.send import attempt

Value = TypeVar("Value")

# Times the window that is leased, what flies included: what waits must last while results are written and more is
# claimed, which takes one thread some 25 ms.
AHEAD = 3
POLL_SECONDS = 0.025  # a turn looks at whether to stop, and for new work when it has none, about this often
LOOK_SECONDS = 0.25  # and for new lanes this often, even while the ones it knows keep it busy
LOOK_SPACING = 6  # times as long as the last look took: looking never takes more than a seventh of the time
CLAIM_SPACING_SECONDS = 0.015  # small claims cost as much as large ones
FLUSH_SECONDS = 0.02
FLUSH_RESULTS = 100
NAP_SECONDS = 0.02  # waits up to this are not worth listening through
RECORD_MAX = 500  # results in one transaction
RETRY_SECONDS = 0.5
HANDS_KEPT = 5_000
LEASE_MARGIN_SECONDS = 5.0
FLIGHT_SHARE = 0.6  # of the grace, that requests in flight get when the worker is stopped

_log = logs.get("delivery")


class Window:
    """One process's window; made and used within one loop."""

    def __init__(self, context: Context, *, clock: Callable[[], datetime], rng: Random) -> None:
        self.clock = clock
        self._settings = context.settings
        self._books = Books(context, rng=rng)
        self._size = context.settings.delivery_in_flight
        needed = context.settings.request_timeout_seconds + LEASE_MARGIN_SECONDS
        self._flight_time = timedelta(seconds=min(needed, context.settings.lease_seconds / 2))
        self._session = Session(
            networks=networks_of(context.settings.allowed_networks()),
            allow_http=context.settings.allow_http_destinations,
        )
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="delivery-books")
        self._hands: dict[str, Hand] = {}
        self._bulk: list[Hand] = []  # those of destinations that carry several at once
        self._queue: deque[Hand] = deque()  # lanes of which one may be sent, each in its turn
        self._waiting = 0
        self._flights = Flights(self._size)
        self._results: list[Result] = []
        self._writing = False
        self._holdings = Holdings()
        self._claim_number = 0
        self._due: dict[str, DueLane] = {}
        self._changed = asyncio.Event()
        self._landed = asyncio.Event()
        self._counts: Counter[str] = Counter()
        self._draining = False
        self._writer = asyncio.create_task(self._write_results())

    # A turn

    async def turn(self, *, seconds: float, is_stopping: Callable[[], bool]) -> tuple[Counter[str], bool]:
        """Ship what is due for at most `seconds`; the counts of what happened meanwhile, and whether work is left.

        Ends early when nothing is due and everything is written down, and when `is_stopping`.

        Raises:
            SQLAlchemyError: the database cannot be read; what is in flight goes on.
        """
        deadline = time.monotonic() + seconds
        looked_at = look_at = claim_at = 0.0
        fresh = False  # whether the last look came after everything before it was written down
        while time.monotonic() < deadline and not is_stopping():
            wants = self._share()
            began = time.monotonic()
            if began >= look_at and (not wants or began >= looked_at + LOOK_SECONDS):
                fresh = self._is_quiet()
                await self._look()
                looked_at = time.monotonic()
                look_at = looked_at + max(POLL_SECONDS, LOOK_SPACING * (looked_at - began))
                continue
            enough = sum(wants.values()) >= self._size // 2 or not (self._waiting or self._flights)
            if wants and (enough or began >= claim_at):
                if await self._claim(wants):
                    fresh = False
                claim_at = time.monotonic() + max(CLAIM_SPACING_SECONDS, time.monotonic() - began)
                self._fill()
                continue
            if not self._due and self._is_quiet():
                if fresh:
                    break
                look_at = 0.0
                continue
            wake_at = claim_at if wants else look_at
            await self._wait(max(0.0005, min(wake_at - time.monotonic(), POLL_SECONDS)))
            self._fill()
        if is_stopping():
            await self.drain(self._settings.shutdown_grace_seconds)
        await self._in_books(self._books.flush_counters)
        counts, self._counts = self._counts, Counter()  # what is written between two turns counts for the later one
        return counts, bool(self._due) or not self._is_quiet()

    async def _look(self) -> None:
        found = await self._in_books(self._books.survey, self.clock())
        self._due = {lane.subscription_id: lane for lane in found}
        for lane in found:
            hand = self._hands.get(lane.subscription_id)
            if hand is None:
                hand = self._hands[lane.subscription_id] = Hand(lane.subscription_id, lane.cap, lane.batch)
                if hand.size > 1:
                    self._bulk.append(hand)
            else:
                hand.cap = lane.cap
        if len(self._hands) > HANDS_KEPT + len(self._due):
            self._hands = {key: hand for key, hand in self._hands.items() if key in self._due or not hand.is_idle()}
            self._bulk = [hand for hand in self._hands.values() if hand.size > 1]

    def _share(self) -> Mapping[str, int]:
        """How many deliveries to lease of which lane: those least recently served first, until the places are gone.

        What waits to go in one flight together takes one place, not one for each.
        """
        bulk = sum(len(hand.waiting) for hand in self._bulk)
        places = AHEAD * self._size - (self._waiting - bulk) - self._flights.brisk
        if self._flights.is_crowded() or self._holdings.room_bytes <= 0:
            return {}
        wants: dict[str, int] = {}
        for hand in sorted((self._hands[key] for key in self._due), key=lambda hand: hand.served):
            if places <= 0:
                break
            want = min(hand.room(), places) if hand.size == 1 else hand.room()
            if want:
                wants[hand.subscription_id] = want
                places -= want if hand.size == 1 else 1
        return wants

    async def _claim(self, wants: Mapping[str, int]) -> int:
        now = self.clock()
        held = self._holdings
        claim = await self._in_books(self._books.claim, wants, held.claim_ids, now, held.room_bytes)
        self._claim_number += 1
        taken: Counter[str] = Counter()
        for claimed in claim.taken:
            taken[claimed.subscription_id] += 1
            held.take(claimed)
            hand = self._hands[claimed.subscription_id]
            hand.deal(claimed)
            self._waiting += 1
            self._enqueue(hand)
        taken += claim.superseded
        self._counts["claimed"] += len(claim.taken)
        if claim.superseded:
            self._counts["superseded"] += claim.superseded.total()
        for key, want in wants.items():
            self._hands[key].note_claim(self._claim_number)
            if taken[key] < want:
                self._due.pop(key, None)  # until the next look
        return taken.total()

    # Flights

    def _enqueue(self, hand: Hand) -> None:
        if not hand.queued and hand.may_fly():
            hand.queued = True
            self._queue.append(hand)

    def _fill(self) -> None:
        """Send what may be sent, a request of each lane in turn."""
        while (found := self._next()) is not None:
            task = asyncio.create_task(self._fly(*found))
            self._flights.take_off(task, found[0])

    def _next(self) -> tuple[tuple[Claimed, ...], Hand] | None:
        """The load that may be sent now, of the lane whose turn it is."""
        if self._draining:
            return None
        while self._queue and self._flights.has_room():
            hand = self._queue.popleft()
            hand.queued = False
            if not hand.may_fly():
                continue
            load = hand.take()
            self._waiting -= len(load)
            if any(map(self._has_lapsed, load)):
                load = self._without_lapsed(load)
            hand.flying += len(load)
            self._enqueue(hand)
            if load:
                return load, hand
        return None

    def _without_lapsed(self, load: tuple[Claimed, ...]) -> tuple[Claimed, ...]:
        for claimed in filter(self._has_lapsed, load):
            self._holdings.let_go(claimed)
            self._counts["lapsed"] += 1
        return tuple(claimed for claimed in load if not self._has_lapsed(claimed))

    def _has_lapsed(self, claimed: Claimed) -> bool:
        """Whether the lease could end before the request does; then somebody else may be sending it by then."""
        return self.clock() + self._flight_time > claimed.lease_until

    async def _fly(self, load: tuple[Claimed, ...], hand: Hand) -> None:
        """Carry a load; and then whatever may be sent next, for a task costs as much as a fifth of a request."""
        task = cast("asyncio.Task[None]", asyncio.current_task())
        found: tuple[tuple[Claimed, ...], Hand] | None = (load, hand)
        while found is not None:
            load, hand = found
            results: list[Result] = []
            try:
                results = await self._carry(load, hand)
            finally:
                self._flights.land(task)
                self._land(load, results, hand)
            found = self._next()
            if found is not None:
                self._flights.take_off(task, found[0])
                self._fill()

    async def _carry(self, load: tuple[Claimed, ...], hand: Hand) -> list[Result]:
        subscriber = self._books.subscribers.get(hand.subscription_id)
        longest = self._settings.request_timeout_seconds
        if hand.size == 1:
            return [await attempt(load[0], subscriber, self._session, clock=self.clock, timeout_max_seconds=longest)]
        return await carry(load, subscriber, Way(self._session, self._books.quotas, self.clock, longest))

    def _land(self, load: tuple[Claimed, ...], results: list[Result], hand: Hand) -> None:
        if not results:  # it was broken off, and is given back
            hand.flying -= len(load)
            return
        for result in results:
            if result.judgement.verdict is Verdict.DELIVERED:
                hand.succeed()
            else:
                hand.fail()
        self._results += results
        self._landed.set()
        self._enqueue(hand)

    # Results

    async def _write_results(self) -> None:
        while True:
            await self._landed.wait()
            is_busy = self._waiting > 0 or len(self._flights) > self._size // 4  # nothing waits for what is written
            if is_busy and len(self._results) < FLUSH_RESULTS:
                await asyncio.sleep(FLUSH_SECONDS)
            batch, self._results = self._results[:RECORD_MAX], self._results[RECORD_MAX:]
            if not self._results:
                self._landed.clear()
            try:
                await self._write(batch)
            except Exception:  # noqa: BLE001  # the writer's edge: without it nothing would ever be written down again
                _log.exception("delivery.writer_failed", results=len(batch))

    async def _write(self, batch: list[Result]) -> None:
        self._writing = True
        try:
            recorded = await self._in_books(self._books.record, batch, self.clock())
        except Exception as error:  # noqa: BLE001  # whatever it is, what was sent is not forgotten while it may count
            _log.warning("delivery.unrecorded", results=len(batch), error=type(error).__name__)
            await self._keep(batch)
        else:
            await self._settle(batch, recorded)
            self._changed.set()
        finally:
            self._writing = False

    async def _keep(self, batch: list[Result]) -> None:
        """Keep results for a later try while their leases last; after that they no longer count."""
        now = self.clock()
        kept = [result for result in batch if result.claimed.lease_until > now]
        self._forget([result for result in batch if result.claimed.lease_until <= now])
        self._results = kept + self._results
        self._landed.set()
        await asyncio.sleep(RETRY_SECONDS)

    async def _settle(self, batch: list[Result], recorded: Recorded) -> None:
        self._counts.update(recorded.counts)
        self._forget(batch)
        unsent: list[Claimed] = []
        for key in recorded.closed:
            self._due.pop(key, None)
            hand = self._hands.get(key)
            if hand is not None and hand.waiting:
                self._waiting -= len(hand.waiting)
                unsent += hand.waiting
                hand.waiting.clear()
        await self._give_back(unsent)
        self._fill()

    def _forget(self, results: list[Result]) -> None:
        for result in results:
            self._holdings.let_go(result.claimed)
            hand = self._hands.get(result.claimed.subscription_id)
            if hand is not None and result.judgement.verdict is not Verdict.DELIVERED:
                hand.unwritten_failures -= 1
                self._enqueue(hand)

    async def _give_back(self, unsent: list[Claimed], *, flown: bool = False) -> None:
        if not unsent:
            return
        try:
            self._counts["given_back"] += await self._in_books(self._books.give_back, unsent, flown, self.clock())
        except SQLAlchemyError as error:
            _log.warning("delivery.not_given_back", leases=len(unsent), error=type(error).__name__)
        for claimed in unsent:
            self._holdings.let_go(claimed)

    # The end

    async def drain(self, seconds: float) -> None:
        """Finish what is in flight within `seconds`, write it down, and give everything else back."""
        self._draining = True
        try:
            deadline = time.monotonic() + seconds
            unsent: list[Claimed] = []
            for hand in self._hands.values():
                unsent += hand.waiting
                hand.waiting.clear()
            self._waiting = 0
            self._due = {}
            await self._give_back(unsent)
            # The rest of the time is for writing down, and for Celery to go.
            if self._flights:
                await asyncio.wait(self._flights.loads, timeout=max(0.0, (deadline - time.monotonic()) * FLIGHT_SHARE))
            cut = self._flights.loads
            for task in cut:
                task.cancel()
            if cut:
                await asyncio.wait(list(cut))
            landed = {result.claimed.delivery_id for result in self._results}
            lost = [claimed for load in cut.values() for claimed in load if claimed.delivery_id not in landed]
            await self._give_back(lost, flown=True)
            while (self._results or self._writing) and time.monotonic() < deadline:
                await self._wait(POLL_SECONDS)
        finally:
            self._draining = False

    async def close(self) -> None:
        """Stop for good; call drain first."""
        self._writer.cancel()
        await asyncio.wait([self._writer])
        await self._session.close()
        self._thread.shutdown(wait=False)

    # Waiting

    def _is_quiet(self) -> bool:
        return not (self._waiting or self._flights or self._results or self._writing)

    async def _wait(self, seconds: float) -> None:
        if seconds <= NAP_SECONDS:
            await asyncio.sleep(seconds)
            return
        self._changed.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), seconds)

    async def _in_books(self, function: Callable[..., Value], *args: object) -> Value:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *args)
