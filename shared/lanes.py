"""A subscription's lane: closing it (its deliveries wait as held) and opening it again.

Comes in: a subscription's id, inside the caller's transaction. Left behind: the subscription's and its deliveries'
states, changed together. A process that dies in the middle leaves nothing of it. The lane's row is locked first and
the subscription's second, here and everywhere, so that the delivery engine and people do not deadlock.
"""

from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import Connection, text

_LOCK = text("SELECT 1 FROM lanes WHERE subscription_id = :id FOR UPDATE")

_CLOSE = text(
    "UPDATE subscriptions SET active = false, disabled_reason = :reason, disabled_at = :now, updated_at = :now"
    " WHERE id = :id AND active"
)
_HOLD = text(
    "UPDATE deliveries SET state = 'held' WHERE subscription_id = ANY(CAST(:ids AS uuid[])) AND state = 'pending'"
)
_DISCARD_PENDING = text(
    "UPDATE deliveries SET state = 'discarded', finished_at = :now"
    " WHERE subscription_id = ANY(CAST(:ids AS uuid[])) AND state IN ('pending', 'held')"
)

_OPEN = text(
    "UPDATE subscriptions SET active = true, disabled_reason = NULL, disabled_at = NULL, updated_at = :now"
    " WHERE id = :id AND deleted_at IS NULL"
)
_RESET = text(
    "UPDATE lanes SET consecutive_failures = 0, first_failure_at = NULL, pauses = 0, paused_until = NULL,"
    " warned_percent = 0 WHERE subscription_id = :id"
)
_DISCARD_OLDER = text(
    "UPDATE deliveries SET state = 'discarded', finished_at = :now WHERE id IN ("
    " SELECT id FROM deliveries WHERE subscription_id = :id AND state = 'held' ORDER BY event_id DESC OFFSET :newest)"
)
# A released delivery starts its schedule anew: what it suffered before was the reason it was held.
_RELEASE = text(
    "UPDATE deliveries SET state = 'pending', tries = 0, next_attempt_at = :now"
    " WHERE subscription_id = :id AND state = 'held'"
)
_ORDERING = text(
    "UPDATE deliveries d SET strict = :strict,"
    " record_id = CASE WHEN :ordered THEN (SELECT e.subject_id FROM events e WHERE e.id = d.event_id) END"
    " WHERE d.subscription_id = :id AND d.state IN ('pending', 'leased', 'held')"
)


def hold(connection: Connection, subscription_id: UUID | str, *, reason: str, now: datetime) -> int:
    """How many deliveries are now held, the subscription being disabled for `reason` (a code such as `gone`).

    Those being sent at this moment are settled when their result comes. A subscription that is disabled already
    keeps its first reason and time. Idempotent.
    """
    subscription = str(subscription_id)
    connection.execute(_LOCK, {"id": subscription})
    connection.execute(_CLOSE, {"id": subscription, "reason": reason, "now": now})
    return connection.execute(_HOLD, {"ids": [subscription]}).rowcount


def release(
    connection: Connection,
    subscription_id: UUID | str,
    *,
    now: datetime,
    held: Literal["deliver", "discard"],
    newest: int | None = None,
) -> int:
    """How many deliveries are due again, the subscription being enabled with a clean record.

    `held="discard"` sends none of what waited; `newest=N` sends the N newest events and discards the rest. Idempotent.
    The caller wakes the dispatcher after its commit.
    """
    subscription = str(subscription_id)
    connection.execute(_LOCK, {"id": subscription})
    connection.execute(_OPEN, {"id": subscription, "now": now})
    connection.execute(_RESET, {"id": subscription})
    keep = 0 if held == "discard" else newest
    if keep is not None:
        connection.execute(_DISCARD_OLDER, {"id": subscription, "newest": max(keep, 0), "now": now})
    return connection.execute(_RELEASE, {"id": subscription, "now": now}).rowcount


def discard(connection: Connection, subscription_id: UUID | str, *, now: datetime) -> int:
    """How many waiting deliveries were discarded, for a subscription that is being deleted. Idempotent."""
    connection.execute(_LOCK, {"id": str(subscription_id)})
    return connection.execute(_DISCARD_PENDING, {"ids": [str(subscription_id)], "now": now}).rowcount


def set_ordering(connection: Connection, subscription_id: UUID | str, *, ordering: str) -> int:
    """How many waiting deliveries took over a changed `ordering`. Idempotent."""
    subscription = str(subscription_id)
    connection.execute(_LOCK, {"id": subscription})
    values = {"id": subscription, "strict": ordering == "strict", "ordered": ordering != "none"}
    return connection.execute(_ORDERING, values).rowcount


def settle_strays(connection: Connection, *, inactive: list[str], deleted: list[str], now: datetime) -> int:
    """How many pending deliveries of closed lanes were held or discarded.

    A delivery that was fanned out while its subscription was being closed stays pending; nothing would claim it, and
    enabling would not show it as held.
    """
    count = 0
    if inactive:
        count += connection.execute(_HOLD, {"ids": inactive}).rowcount
    if deleted:
        count += connection.execute(_DISCARD_PENDING, {"ids": deleted, "now": now}).rowcount
    return count
