"""Takes in what an upstream API says, the way it takes in what a message says.

Comes in: changes, inside the caller's transaction. Left behind: records as the version guard says, events and
deliveries, as if a webhook had told. What no record can hold, or what tells more than can be held at once, is left out
and named, and the rest is taken in. A process that dies before the commit leaves nothing.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from shared.errors import PayloadUnexpected
from shared.events import emit
from shared.providers.contract import Change
from shared.record_changes import RecordChange, record_change
from shared.versions import believed
from workers.inbound.guard import Effect
from workers.inbound.origin import Origin
from workers.inbound.poison import EVENT_BYTES, Overfull, Telling, describe, is_poison
from workers.inbound.record_events import drafts
from workers.inbound.records import apply_changes

# As a drain has one, for an erasure to wait for: before it is asked who was erased.
_HAVE_AN_ID: Final = text("SELECT pg_current_xact_id()")


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something that no record of ours can hold, or that tells too much."""

    kind: str
    external_id: str
    reason: str  # for people


@dataclass(slots=True)
class Learned:
    """What came of it."""

    effects: Counter[Effect] = field(default_factory=Counter)
    events: int = 0
    deliveries: int = 0
    left_out: list[LeftOut] = field(default_factory=list)


def learn(
    connection: Connection,
    changes: Sequence[Change],
    *,
    account_id: UUID,
    provider: str,
    tenant: str,
    source_id: UUID | None,
    now: datetime,
) -> Learned:
    """Apply the changes and tell of them. A change without a version counts as of `now`.

    Call `orders.wake_dispatch` after the commit when there are deliveries. Idempotent: what is known changes nothing. A
    batch that PostgreSQL refuses, or that tells more than may be held at once, is halved until what is at fault stands
    alone.
    """
    learned = Learned()
    connection.execute(_HAVE_AN_ID)
    checked = []
    for change in changes:
        version = believed(change.version or now, came_at=now)
        try:
            checked.append(
                record_change(change, account_id=account_id, provider=provider, tenant=tenant, version=version)
            )
        except PayloadUnexpected as error:
            learned.left_out.append(LeftOut(change.kind, change.external_id, str(error)))
    _take_in(connection, checked, Origin(account_id, None, source_id, provider, now, now), learned)
    return learned


def _take_in(connection: Connection, changes: Sequence[RecordChange], origin: Origin, learned: Learned) -> None:
    if not changes:
        return
    try:
        with connection.begin_nested():
            applied = apply_changes(connection, changes, now=origin.received_at)
            telling = Telling(EVENT_BYTES)
            for change, one in zip(changes, applied, strict=True):
                telling.add(drafts(change.kind, one, origin))
            events, deliveries = emit(connection, telling.drafts, now=origin.received_at)
    except (DBAPIError, MemoryError, Overfull) as error:
        if not is_poison(error):
            raise
        if len(changes) == 1:
            [change] = changes
            learned.left_out.append(LeftOut(change.kind.name, change.key.external_id, describe(error)))
            return
    else:
        learned.effects.update(one.effect for one in applied)
        learned.events += events
        learned.deliveries += deliveries
        return
    middle = len(changes) // 2
    _take_in(connection, changes[:middle], origin, learned)
    _take_in(connection, changes[middle:], origin, learned)
