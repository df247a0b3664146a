"""The states a message and a delivery can be in, and which may follow which.

Text in the database, checked against these tables; never a database enum. Pure.
"""

from enum import StrEnum


class MessageState(StrEnum):
    """What became of a message."""

    PROCESSED = "processed"  # transformed; its records and events are in
    IGNORED = "ignored"  # authentic, but its topic is not wanted or says nothing to us
    STALE = "stale"  # every change in it was older than what we already know
    DUPLICATE = "duplicate"  # a repeat of a message we have; kept without its body
    FAILED = "failed"  # could not be parsed or transformed; has a reason and can be replayed


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"  # due at next_attempt_at
    LEASED = "leased"  # an attempt is being made under claim_id until lease_until
    DELIVERED = "delivered"  # a 2xx was seen
    HELD = "held"  # waits because its subscription is disabled
    DEAD = "dead"  # given up; can be replayed
    # a person chose not to send it when enabling the subscription, or deleted that; or it was erased or superseded
    DISCARDED = "discarded"


# What may follow what. A replay is the way back to pending from every state that rests.
DELIVERY_MOVES: dict[DeliveryState, frozenset[DeliveryState]] = {
    # dead without an attempt: its event is past its time and gone
    DeliveryState.PENDING: frozenset(
        {DeliveryState.LEASED, DeliveryState.HELD, DeliveryState.DISCARDED, DeliveryState.DEAD}
    ),
    DeliveryState.LEASED: frozenset(
        {
            DeliveryState.DELIVERED,
            DeliveryState.PENDING,
            DeliveryState.HELD,
            DeliveryState.DEAD,
            DeliveryState.DISCARDED,
        }
    ),
    DeliveryState.HELD: frozenset({DeliveryState.PENDING, DeliveryState.DISCARDED, DeliveryState.DEAD}),
    # a replay; it waits as held when its subscription is disabled
    DeliveryState.DELIVERED: frozenset({DeliveryState.PENDING, DeliveryState.HELD}),
    DeliveryState.DEAD: frozenset({DeliveryState.PENDING, DeliveryState.HELD}),
    DeliveryState.DISCARDED: frozenset({DeliveryState.PENDING, DeliveryState.HELD}),
}


class JobState(StrEnum):
    """Where a replay job stands."""

    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    CANCELLED = "cancelled"


class Role(StrEnum):
    """What an API key may do; each may do all that the ones before it may."""

    VIEWER = "viewer"  # read
    OPERATOR = "operator"  # replay, enable, disable, test
    ADMIN = "admin"  # everything within its account
    SUPERUSER = "superuser"  # every account


ROLE_RANK: dict[Role, int] = {role: rank for rank, role in enumerate(Role)}
