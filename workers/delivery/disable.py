"""Closing a subscription that its receiver gave up or that failed too long, and warning before.

Comes in: a lane's row and the reason. Left behind, in the caller's transaction: held deliveries, an event to the
account's other subscriptions, an alert. A process that dies in the middle leaves nothing of it.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from shared import alerts, lanes
from shared.clock import to_json
from shared.egress import host_of
from shared.events import EventDraft, emit, envelope

DISABLED = "subscription.disabled"
FAILING = "subscription.failing"
_REASONS = {
    "gone": "its receiver answered 410 Gone",
    "failures": "its deliveries failed too often in a row",
}


def disable(connection: Connection, row: Any, *, reason: str, failures: int, now: datetime) -> int:
    """How many deliveries are held now that the subscription of `row` is disabled for `reason`."""
    held = lanes.hold(connection, row.subscription_id, reason=reason, now=now)
    about = {
        "id": str(row.subscription_id),
        "name": row.name,
        "host": host_of(row.url),  # of the URL no more: whoever knows it may post there
        "reason": reason,
        "disabledAt": to_json(now),
        "consecutiveFailures": failures,
    }
    draft = EventDraft(
        account_id=UUID(str(row.account_id)),
        type=DISABLED,
        body=envelope(event_type=DISABLED, data={"subscription": about}, source="crossdock", action="disabled", at=now),
        occurred_at=now,
        subject_kind="subscription",
        subject_id=UUID(str(row.subscription_id)),
    )
    emit(connection, [draft], now=now, except_subscription=row.subscription_id)
    alerts.resolve(connection, kind=FAILING, subject_id=row.subscription_id, now=now)
    alerts.raise_alert(
        connection,
        account_id=row.account_id,
        kind=DISABLED,
        severity="error",
        subject_id=row.subscription_id,
        message=f"The subscription {row.name!r} was disabled: {_REASONS.get(reason, reason)}.",
        detail={"reason": reason, "consecutiveFailures": failures, "held": held},
        now=now,
    )
    return held


def warn(connection: Connection, row: Any, *, percent: int, failures: int, now: datetime) -> None:
    """Say that a subscription is `percent` of the way to being disabled."""
    alerts.raise_alert(
        connection,
        account_id=row.account_id,
        kind=FAILING,
        severity="warning",
        subject_id=row.subscription_id,
        message=f"The subscription {row.name!r} failed {failures} times in a row and is {percent} % of the way to "
        "being disabled.",
        detail={"percent": percent, "consecutiveFailures": failures},
        now=now,
    )


def recover(connection: Connection, row: Any, *, now: datetime) -> None:
    """Take the warning back: the subscription's receiver answers again."""
    alerts.resolve(connection, kind=FAILING, subject_id=row.subscription_id, now=now)
