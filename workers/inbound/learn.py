"""Takes in what an upstream API says, the way it takes in what a message says.

Comes in: changes, inside the caller's transaction. Left behind: records as the version guard says, events and
deliveries, as if a webhook had told. A process that dies before the commit leaves nothing.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from shared.events import emit
from shared.providers.contract import Change
from shared.record_changes import record_change
from workers.inbound.guard import Effect
from workers.inbound.origin import Origin
from workers.inbound.record_events import drafts
from workers.inbound.records import apply_changes


@dataclass(frozen=True, slots=True)
class Learned:
    """What came of it."""

    effects: Counter[Effect] = field(default_factory=Counter)
    events: int = 0
    deliveries: int = 0


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

    Call `orders.wake_dispatch` after the commit when there are deliveries. Idempotent: what is known changes nothing.

    Raises:
        PayloadUnexpected: a change is of no kind that has records, or has a field that is not of its form.
    """
    checked = [
        record_change(change, account_id=account_id, provider=provider, tenant=tenant, version=change.version or now)
        for change in changes
    ]
    applied = apply_changes(connection, checked, now=now)
    origin = Origin(account_id, None, source_id, provider, now, now)
    told = [draft for change, one in zip(checked, applied, strict=True) for draft in drafts(change.kind, one, origin)]
    events, deliveries = emit(connection, told, now=now)
    return Learned(Counter(one.effect for one in applied), events, deliveries)
