"""Drains one shard of the inbox into PostgreSQL, batch by batch.

Comes in: an order that names the shard. Left behind: rows committed, entries acknowledged, the dispatcher woken. A
process that dies before a commit leaves its entries pending, and the next drain takes them first; between the commit
and the acknowledgement likewise, and the next drain finds them done. Entries over which drains die again and again are
taken one by one, and the one that is to blame is failed.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import redis
from sqlalchemy import Connection
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from shared import logs, orders, queues
from shared.clock import utc_now
from shared.directory import Listing
from shared.errors import QueueUnavailable
from shared.inbox import Entry
from shared.states import MessageState
from workers import garbage, stopping
from workers.context import Context
from workers.inbound.deaths import ALONE_AFTER, GIVE_UP_AFTER, Deaths
from workers.inbound.process import Inbound, Tally, load_listings, process
from workers.inbound.shard_lock import shard_lock
from workers.inbound.syncs import ask_syncs

# After this a shard gives way to those whose orders wait: one that is never quite empty must not starve the others.
TURN_SECONDS = 0.05
# Of bodies in one transaction, which takes some fifteen times that in memory and a tenth of a second a megabyte. Within
# one order's time there are many of them, so that a batch of large messages can never be too much for it.
TRANSACTION_BYTES = 4_000_000
# A server that does not answer: no message's fault, and nothing is lost by it.
AWAY = (QueueUnavailable, OperationalError, InterfaceError, PoolTimeout, redis.RedisError)
LISTINGS_SECONDS = 1.0  # how long the sources are believed, as in the ingress

_log = logs.get("inbound")


def drain(context: Context, shard: int, *, clock: Callable[[], datetime] = utc_now) -> dict[str, int]:
    """Drain the shard until it is empty, its turn or the time of one order is over; counts of what was done.

    Safe to call at any time and from anywhere: only one drain works on a shard, the others return at once. With
    PostgreSQL or Valkey down it returns what it got done, and beat asks again.
    """
    garbage.collect_seldom()
    run = _Run(context, shard, clock)
    try:
        context.inbox.lower_wake(shard)
        # Looked at again after the lock is given back: a message may have come after the last look, and its order
        # may have found the lock still taken.
        while run.drain_once() and context.inbox.length(shard) > 0:
            pass
        if (run.is_over or run.gave_way) and context.inbox.length(shard) > 0:
            orders.wake_drain(context.settings, context.client, shard)
    except AWAY as error:
        _log.warning("inbound.interrupted", shard=shard, error=str(error).partition("\n")[0])
    if run.taken:
        _log.info("inbound.drained", shard=shard, **run.counts())
    return run.counts()


def in_transactions(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """The entries in their order, as many together as one transaction is to take; a larger one alone."""
    batch: list[Entry] = []
    size = 0
    for entry in entries:
        size += len(entry.request.body)
        if batch and size > TRANSACTION_BYTES:
            yield batch
            batch, size = [], len(entry.request.body)
        batch.append(entry)
    if batch:
        yield batch


class _Run:
    """One order's work on one shard."""

    def __init__(self, context: Context, shard: int, clock: Callable[[], datetime]) -> None:
        self.context = context
        self.shard = shard
        self.clock = clock
        self.taken = 0
        self.tally = Tally()
        self.gave_way = False
        self._turn_until = time.monotonic() + TURN_SECONDS
        self._deadline = time.monotonic() + context.settings.dispatch_run_seconds
        self._listings: Mapping[UUID, Listing] = {}
        self._listings_until = 0.0
        self._deaths = Deaths(context.client, shard)

    @property
    def is_over(self) -> bool:
        return stopping.is_stopping() or time.monotonic() >= self._deadline

    def counts(self) -> dict[str, int]:
        return {"taken": self.taken, **self.tally.as_dict()}

    def drain_once(self) -> bool:
        """Drain until a look finds nothing or others are to have their turn; whether to look again."""
        before = self.taken
        with shard_lock(self.context.engine, self.shard) as connection:
            while connection is not None and not self.is_over:
                entries = self.context.inbox.take(self.shard, self.context.settings.inbox_batch)
                if not entries:
                    break
                if entries[0].is_again:
                    self._drain_again(connection, entries)
                else:
                    for batch in in_transactions(entries):
                        self._drain_batch(connection, batch)
                if time.monotonic() >= self._turn_until and self.context.inbox.others_wait(self.shard):
                    self.gave_way = True
                    break
        return self.taken > before and not self.is_over and not self.gave_way

    def _drain_again(self, connection: Connection, entries: list[Entry]) -> None:
        """What another drain took and did not end: with care, for it may be what ended that one."""
        deaths = self._deaths.begin()
        refused = None
        if deaths > ALONE_AFTER:
            entries = entries[:1]
        if deaths > GIVE_UP_AFTER:
            refused = f"{deaths - 1} drains died over it"
        try:
            for batch in in_transactions(entries):
                self._drain_batch(connection, batch, refused=refused)
        except AWAY:
            self._deaths.excused()
            raise
        self._deaths.survived(deaths)

    def _drain_batch(self, connection: Connection, entries: list[Entry], *, refused: str | None = None) -> None:
        now = self.clock()
        batch = [Inbound(entry.message_id, entry.source_id, entry.received_at, entry.request) for entry in entries]
        with connection.begin():
            listings = self._listings_for(connection, batch, now)
            # First, as a sync does: it locks its own row and then the records, and would wait for us as we for it.
            wait = self.context.settings.sync_debounce_seconds
            ask_syncs(connection, batch, listings, now=now, in_seconds=wait)
            tally = process(connection, batch, listings=listings, now=now, ask_in_seconds=wait, refused=refused)
        self.taken += len(entries)
        self.tally += tally
        self.context.inbox.acknowledge(self.shard, [entry.entry_id for entry in entries])
        if tally.deliveries:
            orders.wake_dispatch(self.context.settings, self.context.client)
        self._count(tally)

    def _listings_for(self, connection: Connection, batch: list[Inbound], now: datetime) -> Mapping[UUID, Listing]:
        is_known = all(inbound.source_id in self._listings for inbound in batch)
        if not is_known or time.monotonic() >= self._listings_until:
            self._listings = load_listings(connection, self.context.ring, now)
            self._listings_until = time.monotonic() + LISTINGS_SECONDS
        return self._listings

    def _count(self, tally: Tally) -> None:
        """Best effort: losing counters costs history, nothing else."""
        numbers = tally.as_dict()
        counters = {f"messages:{state}": numbers[state] for state in MessageState}
        counters |= {"events": tally.events, "deliveries:created": tally.deliveries}
        try:
            with self.context.client.pipeline(transaction=False) as pipe:
                for name, count in counters.items():
                    if count:
                        pipe.hincrby(queues.COUNTERS, name, count)
                pipe.execute()
        except redis.RedisError:
            _log.warning("inbound.uncounted", shard=self.shard)
