"""What a person may narrow a replay by, and the SQL that it means.

Comes in: filters from the API or the command line. Comes out: a WHERE clause over one of the three targets with its
bound values. Nothing is left behind.
"""

from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from sqlalchemy import Connection, text

from shared.errors import NotFound, Unacceptable
from shared.ids import floor_id
from shared.states import DeliveryState, MessageState

Target = Literal["deliveries", "messages", "events"]
TARGETS: Final[tuple[Target, ...]] = ("deliveries", "messages", "events")

# From these a delivery can be replayed; the others are on their way already.
RESTING: Final = (DeliveryState.DEAD, DeliveryState.DELIVERED, DeliveryState.HELD, DeliveryState.DISCARDED)

# What is replayed when no state is named: what went wrong.
_DEFAULT_STATES: Final[dict[Target, tuple[str, ...]]] = {
    "deliveries": (DeliveryState.DEAD,),
    "messages": (MessageState.FAILED,),
    "events": (),
}
_STATES: Final[dict[Target, tuple[str, ...]]] = {
    "deliveries": RESTING,
    "messages": tuple(MessageState),
    "events": (),
}
# What a target knows nothing of. Asked for all the same it is refused, for ignoring it would replay too much.
_FOREIGN: Final[dict[Target, tuple[str, ...]]] = {
    "deliveries": (),
    "messages": ("subscription", "event_type"),
    "events": ("states",),
}


class Filters(BaseModel):
    """Which items a replay takes; what is `None` does not narrow. All given ones must hold."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)

    account_id: UUID | None = Field(None, description="Whose items; none: every account's.")
    subscription: UUID | None = Field(None, description="Deliveries of it; events are fanned out to it alone.")
    event_type: str | None = Field(None, description="An event type, or a pattern such as `order.*`.")
    source: UUID | None = Field(None, description="What came in through this source.")
    states: tuple[str, ...] | None = Field(None, description="States; by default `dead` or `failed`.")
    since: datetime | None = Field(None, description="Made at or after this instant.")
    until: datetime | None = Field(None, description="Made before this instant.")
    ids: tuple[UUID, ...] | None = Field(None, max_length=10_000, description="These items and no others.")


def check(target: Target, filters: Filters) -> None:
    """Return if `filters` make sense for `target`.

    Raises:
        Unacceptable: `target_unknown`, `filter_unknown` (the target has no such property) or `state_unknown`.
    """
    if target not in TARGETS:
        raise Unacceptable("target_unknown", f"A replay takes {', '.join(TARGETS)}; not {target!r}.")
    for name in _FOREIGN[target]:
        if getattr(filters, name) is not None:
            raise Unacceptable("filter_unknown", f"{target.capitalize()} cannot be narrowed by {to_camel(name)}.")
    for state in filters.states or ():
        if state not in _STATES[target]:
            known = ", ".join(_STATES[target])
            raise Unacceptable("state_unknown", f"{target.capitalize()} are replayed from {known}; not {state!r}.")


def states_of(target: Target, filters: Filters) -> list[str]:
    """The states that are replayed: those named, or all of them when items are named, or what went wrong."""
    if filters.states:
        return list(filters.states)
    return list(_STATES[target] if filters.ids is not None else _DEFAULT_STATES[target])


def where(connection: Connection, target: Target, filters: Filters) -> tuple[str, dict[str, Any]]:
    """The condition on `item`, a row of the target's table, and the values to bind.

    Named items are taken whatever their state: those that cannot be replayed are then counted as skipped, rather than
    silently left out.

    Raises:
        NotFound: there is no such subscription in this account.
    """
    clauses = ["TRUE"]
    values: dict[str, Any] = {}
    if filters.account_id is not None:
        clauses.append("item.account_id = :account_id")
        values["account_id"] = filters.account_id
    if filters.ids is not None:
        clauses.append("item.id = ANY(CAST(:ids AS uuid[]))")
        values["ids"] = [str(value) for value in filters.ids]
    elif states := states_of(target, filters):
        clauses.append("item.state = ANY(:states)")
        values["states"] = states
    if target == "events" and filters.ids is None and filters.event_type is None:
        # Our own notices (a test, a disabled subscription) spoke of their moment to whom it concerned.
        clauses.append("item.message_id IS NOT NULL")
    # An id rises with time, so the range is one of the primary key and touches only the partitions it names.
    if filters.since is not None:
        clauses.append("item.id >= :since")
        values["since"] = floor_id(filters.since)
    if filters.until is not None:
        clauses.append("item.id < :until")
        values["until"] = floor_id(filters.until)
    if filters.source is not None:
        clauses.append(
            "EXISTS (SELECT FROM events e WHERE e.id = item.event_id AND e.source_id = :source)"
            if target == "deliveries"
            else "item.source_id = :source"
        )
        values["source"] = filters.source
    if filters.event_type is not None:
        column = "item.event_type" if target == "deliveries" else "item.type"
        clauses.append(_matching(column, [filters.event_type], "wanted", values))
    if filters.subscription is not None:
        clauses.append(_of_subscription(connection, target, filters, values))
    return " AND ".join(clauses), values


def _of_subscription(connection: Connection, target: Target, filters: Filters, values: dict[str, Any]) -> str:
    row = connection.execute(
        text("SELECT account_id, events FROM subscriptions WHERE id = :id"), {"id": filters.subscription}
    ).one_or_none()
    if row is None or filters.account_id not in (None, row.account_id):
        raise NotFound("subscription")
    if target == "deliveries":
        values["subscription"] = filters.subscription
        return "item.subscription_id = :subscription"
    values["owner"] = row.account_id
    return f"item.account_id = :owner AND {_matching('item.type', row.events, 'subscribed', values)}"


def _matching(column: str, patterns: list[str], name: str, values: dict[str, Any]) -> str:
    """The condition that `column` is one of the patterns `*`, `order.*` or `order.created`."""
    if "*" in patterns:
        return "TRUE"
    values[f"{name}_types"] = [pattern for pattern in patterns if not pattern.endswith(".*")]
    values[f"{name}_families"] = [pattern[:-1] for pattern in patterns if pattern.endswith(".*")]
    exact, family = f"CAST(:{name}_types AS text[])", f"CAST(:{name}_families AS text[])"
    return f"({column} = ANY({exact}) OR {column} ^@ ANY({family}))"
