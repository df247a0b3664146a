"""Processes a batch of messages in the caller's transaction: from raw requests to events and deliveries.

Comes in: messages, fresh or replayed. Left behind, when the caller commits: their rows and keys, the records they
change, the events of it and a delivery for everyone who wants one. A process that dies before the commit leaves
nothing of the batch; after it, all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Self
from uuid import UUID

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from shared import logs
from shared.directory import Listing
from shared.events import EventDraft, emit
from shared.providers.contract import Provider
from shared.providers.registry import PROVIDERS
from shared.states import MessageState
from workers.inbound import dedupe, messages
from workers.inbound.doubts import mark_doubted
from workers.inbound.effects import ask_requests, meet_demands
from workers.inbound.guard import Applied, Effect
from workers.inbound.inquiries import ask_inquiries
from workers.inbound.listings import load_listings
from workers.inbound.origin import Origin
from workers.inbound.parts import with_parts
from workers.inbound.poison import EVENT_BYTES, Overfull, Telling, describe, is_poison
from workers.inbound.reading import Inbound, Reading, identify, transform
from workers.inbound.record_events import drafts
from workers.inbound.records import apply_changes

__all__ = ["Inbound", "Tally", "load_listings", "process"]

_log = logs.get("inbound")


@dataclass(slots=True)
class Tally:
    """What became of a batch, in numbers."""

    processed: int = 0
    ignored: int = 0
    stale: int = 0
    duplicate: int = 0
    failed: int = 0
    redelivered: int = 0  # committed already by a drain that died before it acknowledged
    events: int = 0
    deliveries: int = 0

    def __add__(self, other: Self) -> "Tally":
        mine, theirs = asdict(self), asdict(other)
        return Tally(**{name: mine[name] + theirs[name] for name in mine})

    def as_dict(self) -> dict[str, int]:
        """The numbers by name."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Job:
    connection: Connection
    listings: Mapping[UUID, Listing]
    now: datetime
    replay: bool
    ask_in_seconds: float
    providers: Mapping[str, Provider]


def process(
    connection: Connection,
    batch: Sequence[Inbound],
    *,
    listings: Mapping[UUID, Listing],
    now: datetime,
    replay: bool = False,
    ask_in_seconds: float = 0.0,
    refused: str | None = None,
    providers: Mapping[str, Provider] = PROVIDERS,
) -> Tally:
    """Process the batch in order within the caller's transaction; what became of it.

    Idempotent for fresh messages: one whose row is committed is passed over. `replay` updates the rows that are
    there instead of inserting them, and knows no repeats. What messages leave open is asked for in `ask_in_seconds`. A
    batch that PostgreSQL refuses, or that means more than is to be held at once, is halved until the message that is at
    fault stands alone; that one is failed, and the others go through. `refused` says why the batch is failed unread.
    """
    job = _Job(connection, listings, now, replay, ask_in_seconds, providers)
    return _process(job, batch) if refused is None else _attempt(job, batch, refused=refused)


def _process(job: _Job, batch: Sequence[Inbound]) -> Tally:
    if not batch:
        return Tally()
    try:
        with job.connection.begin_nested():
            return _attempt(job, batch)
    except (DBAPIError, MemoryError, Overfull) as error:
        if not is_poison(error):
            raise
        if len(batch) == 1:
            _log.warning("message.refused", message_id=str(batch[0].message_id), error=describe(error))
            return _attempt(job, batch, refused=describe(error))
    middle = len(batch) // 2
    return _process(job, batch[:middle]) + _process(job, batch[middle:])


def _attempt(job: _Job, batch: Sequence[Inbound], *, refused: str | None = None) -> Tally:
    fresh = batch if job.replay else dedupe.unseen(job.connection, batch)
    tally = Tally(redelivered=len(batch) - len(fresh))
    if not fresh:
        return tally
    readings = [identify(inbound, job.listings.get(inbound.source_id), job.providers) for inbound in fresh]
    if job.replay:
        dedupe.remember(job.connection, readings)
    else:
        dedupe.mark_repeats(job.connection, readings)
    for reading in readings:
        if refused is not None and reading.state is None:
            reading.fail("not_storable", refused)
        elif reading.state is None:
            transform(reading, job.providers)
    dedupe.drop_told(job.connection, readings)
    mark_doubted(job.connection, readings)
    ask_inquiries(job.connection, readings, now=job.now, in_seconds=job.ask_in_seconds)
    ask_requests(job.connection, readings)
    events = _apply(job, readings)
    meet_demands(job.connection, readings, now=job.now)
    if job.replay:
        messages.record_replay(job.connection, readings, now=job.now)
    else:
        messages.insert(job.connection, readings, now=job.now)
    tally.events, tally.deliveries = emit(job.connection, events, now=job.now)
    for reading in readings:
        name = (reading.state or MessageState.PROCESSED).value
        setattr(tally, name, getattr(tally, name) + 1)
    return tally


def _apply(job: _Job, readings: Sequence[Reading]) -> list[EventDraft]:
    """Apply what the readings mean, settle every one of them, and say what is to be told."""
    applied = iter(
        apply_changes(job.connection, [change for reading in readings for change in reading.changes], now=job.now)
    )
    telling = Telling(EVENT_BYTES)
    for reading in readings:
        mine = [next(applied) for _ in reading.changes]
        origin, before = _origin(reading), len(telling.drafts)
        for change, one in with_parts(reading.changes, mine):
            telling.add(drafts(change.kind, one, origin))
        reading.events_count = len(telling.drafts) - before
        _mark_forgotten(reading, mine)
        if reading.state is None:  # one that is failed for some of its items has changes all the same
            _settle(reading, mine)
    return telling.drafts


def _mark_forgotten(reading: Reading, applied: Sequence[Applied]) -> None:
    """Whoever was erased is not to be kept by way of a raw message either."""
    rows = [row for one in applied for row in (one.before, one.after) if row is not None]
    reading.is_forgotten = any(row["redacted_at"] is not None for row in rows)


def _settle(reading: Reading, applied: Sequence[Applied]) -> None:
    if applied and all(one.effect is Effect.STALE for one in applied):
        reading.settle(MessageState.STALE, "older_than_known", "what we know is newer")
    else:
        reading.settle(MessageState.PROCESSED)


def _origin(reading: Reading) -> Origin:
    return Origin(
        account_id=reading.account_id,
        message_id=reading.inbound.message_id,
        source_id=reading.inbound.source_id,
        provider=reading.provider,
        occurred_at=reading.occurred_at or reading.inbound.received_at,
        received_at=reading.inbound.received_at,
    )
