"""Deliveries as people look at them: lists, one with its attempts, and the words of the public API for their states.

Only reads; nothing is left behind.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Select, or_, select, true

from shared.db.tables import attempts, deliveries, events, subscriptions
from shared.errors import NotFound, Unacceptable
from shared.ids import floor_id
from shared.states import DeliveryState

# The public contract has its own words; the rest are ours.
STATUSES: Final[dict[str, tuple[DeliveryState, ...]]] = {
    "success": (DeliveryState.DELIVERED,),
    "failed": (DeliveryState.DEAD,),
    "pending": (DeliveryState.PENDING, DeliveryState.LEASED),
    "held": (DeliveryState.HELD,),
    "discarded": (DeliveryState.DISCARDED,),
}
_STATUS_CODE = re.compile(r"[1-5](?:[0-9]{2}|xx)")
_STATUS_OF = {state: status for status, states in STATUSES.items() for state in states}


def status_of(state: str) -> str:
    """The public contract's word for a state."""
    return _STATUS_OF[DeliveryState(state)]


def list_deliveries(
    connection: Connection,
    *,
    account_id: UUID | None,
    subscription_id: UUID | None = None,
    event_id: UUID | None = None,
    message_id: UUID | None = None,
    source_id: UUID | None = None,
    event_type: str | None = None,
    states: Sequence[str] | None = None,
    status_codes: Sequence[str] | None = None,
    error_codes: Sequence[str] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    before: UUID | None = None,
    limit: int = 50,
) -> list[dict[str, Any]]:
    """The newest deliveries first, each with what its last attempt came to; `account_id` None: of every account.

    `before` is the `cursor` of the last row of the page before. `since` and `until` bound when they were made.
    `message_id` and `source_id` find those whose event is still kept. `event_type` is one, or a pattern as a
    subscription has it, `order.*`. `status_codes` are of the last reply, `503` or `5xx`; `error_codes` say why the last
    attempt failed.

    Raises:
        Unacceptable: one of `status_codes` is none.
    """
    # One subscription's are indexed by event, an account's by delivery; both rise with time.
    order = deliveries.c.event_id if subscription_id is not None else deliveries.c.id
    query = _with_last_attempt(order)
    same = {"account_id": account_id, "subscription_id": subscription_id}
    query = query.where(*(deliveries.c[name] == value for name, value in same.items() if value is not None))
    among = {"state": states, "last_error": error_codes}
    query = query.where(*(deliveries.c[name].in_(list(some)) for name, some in among.items() if some is not None))
    if event_type is not None and event_type != "*":
        is_family = event_type.endswith(".*")
        of_type = deliveries.c.event_type
        wanted = of_type.startswith(event_type[:-1], autoescape=True) if is_family else of_type == event_type
        query = query.where(wanted)
    if status_codes is not None:
        query = query.where(or_(*(deliveries.c.last_status.between(*_bounds(code)) for code in status_codes)))
    if event_id is not None:
        query = _of_events(query, [event_id], account_id, subscription_id)
    if message_id is not None:
        made = connection.execute(select(events.c.id).where(events.c.message_id == message_id)).scalars().all()
        query = _of_events(query, made, account_id, subscription_id)
    if source_id is not None:
        # A look at each delivery's event, newest first until the page is full: a join might read all events there are.
        source = select(events.c.source_id).where(events.c.id == deliveries.c.event_id).scalar_subquery()
        query = query.where(source == source_id)
    if since is not None:
        query = query.where(deliveries.c.id >= floor_id(since))
    if until is not None:
        query = query.where(deliveries.c.id < floor_id(until))
    if before is not None:
        query = query.where(order < before)
    return [dict(row) for row in connection.execute(query.order_by(order.desc()).limit(limit)).mappings()]


def get(connection: Connection, delivery_id: UUID, *, account_id: UUID | None) -> dict[str, Any]:
    """The delivery with what its last attempt came to, all `attempts_made`, and its event's `body`.

    `body` is None when the event is past the time it is kept for. `account_id` None: whosever it is.

    Raises:
        NotFound: there is none of this id in the account.
    """
    query = _with_last_attempt(deliveries.c.id).where(deliveries.c.id == delivery_id)
    if account_id is not None:
        query = query.where(deliveries.c.account_id == account_id)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFound("delivery")
    made = select(attempts).where(attempts.c.delivery_id == delivery_id).order_by(attempts.c.number, attempts.c.id)
    return {
        **row,
        "attempts_made": [dict(attempt) for attempt in connection.execute(made).mappings()],
        "body": connection.execute(select(events.c.body).where(events.c.id == row["event_id"])).scalar(),
    }


def _of_events(
    query: Select[Any], ids: Sequence[UUID], account_id: UUID | None, subscription_id: UUID | None
) -> Select[Any]:
    query = query.where(deliveries.c.event_id.in_(ids))
    if subscription_id is None:  # an event is indexed within its subscriptions
        own = select(subscriptions.c.id)
        own = own if account_id is None else own.where(subscriptions.c.account_id == account_id)
        query = query.where(deliveries.c.subscription_id.in_(own))
    return query


def _bounds(code: str) -> tuple[int, int]:
    if not _STATUS_CODE.fullmatch(code):
        raise Unacceptable("status_code_unknown", "A status code is 100 to 599, or a class of them such as 5xx.")
    return int(code.replace("x", "0")), int(code.replace("x", "9"))


def _with_last_attempt(order: Any) -> Select[Any]:
    last = (
        select(
            attempts.c.status.label("response_status"),
            attempts.c.error.label("error"),
            attempts.c.response_excerpt,
            attempts.c.duration_ms,
            attempts.c.started_at.label("last_attempt_at"),
        )
        .where(attempts.c.delivery_id == deliveries.c.id)
        .order_by(attempts.c.number.desc())
        .limit(1)
        .lateral("last")
    )
    return select(deliveries, order.label("cursor"), *last.c).select_from(deliveries.outerjoin(last, true()))
