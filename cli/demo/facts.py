"""The facts: what the database says after, and during, the demo.

Nothing is left behind; reading only.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from cli.demo.step import Record
from cli.station import Station
from shared.inbox import Inbox
from shared.states import DeliveryState

_RECORDS = " UNION ALL ".join(
    f"SELECT provider, '{kind}' AS kind, external_id, deleted_at IS NOT NULL AS gone, {mark} AS mark FROM {table}"
    for kind, table, mark in (
        ("user", "users", "phone"),
        ("order", "orders", "concat(status, '/', fulfillment_status)"),
        ("shipment", "shipments", "status"),
        ("report", "reports", "status"),
    )
)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is, cheap enough to be asked several times a second."""

    undrained: int
    messages: int
    deliveries: Counter[str]  # by state

    @property
    def is_settled(self) -> bool:
        """Whether nothing is on its way any more."""
        return self.undrained == 0 and self.moving == 0

    @property
    def moving(self) -> int:
        """Deliveries that are yet to be sent or are being sent."""
        return self.deliveries[DeliveryState.PENDING] + self.deliveries[DeliveryState.LEASED]


@dataclass(frozen=True, slots=True)
class Event:
    """An event, as far as the reckoning cares."""

    id: str
    account_id: UUID
    type: str
    message_id: UUID | None
    subject_id: UUID | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery, as far as the reckoning cares."""

    event_id: str
    subscription_id: UUID
    state: str
    attempts: int
    last_error: str | None
    accepted_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the reckoning looks at."""

    messages: dict[str, str]  # id -> state
    events: list[Event]
    deliveries: list[Delivery]
    attempts: int
    records: dict[Record, str | None]  # the mark of each, as a step's `leaves` has it; None: deleted
    disabled: set[UUID]  # subscriptions


def progress(station: Station, inbox: Inbox) -> Progress:
    """How far it is now."""
    undrained = sum(inbox.length(shard) for shard in range(inbox.shards))
    with station.engine.connect() as connection:
        messages = connection.execute(text("SELECT count(*) FROM messages")).scalar_one()
        states = connection.execute(text("SELECT state, count(*) AS n FROM deliveries GROUP BY state"))
        return Progress(undrained, messages, Counter({row.state: row.n for row in states}))


def gather(connection: Connection) -> Facts:
    """Everything, at one instant if the caller's transaction is one."""
    messages = connection.execute(text("SELECT id, state FROM messages"))
    events = connection.execute(text("SELECT id, account_id, type, message_id, subject_id FROM events"))
    deliveries = connection.execute(
        text("SELECT event_id, subscription_id, state, attempts, last_error, accepted_at, finished_at FROM deliveries")
    )
    records = connection.execute(text(_RECORDS))
    return Facts(
        messages={str(row.id): row.state for row in messages},
        events=[Event(str(row.id), row.account_id, row.type, row.message_id, row.subject_id) for row in events],
        deliveries=[
            Delivery(
                str(row.event_id),
                row.subscription_id,
                row.state,
                row.attempts,
                row.last_error,
                row.accepted_at,
                row.finished_at,
            )
            for row in deliveries
        ],
        attempts=connection.execute(text("SELECT count(*) FROM attempts")).scalar_one(),
        records={(row.provider, row.kind, row.external_id): None if row.gone else row.mark for row in records},
        disabled=set(connection.execute(text("SELECT id FROM subscriptions WHERE NOT active")).scalars()),
    )
