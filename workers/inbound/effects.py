"""Carries out or writes down what messages ask for, in the transaction that takes them in.

Comes in: readings, inside the caller's transaction. Left behind: integrations switched off, their credentials gone;
rows of `erasures` and `exports`, which the privacy tasks see to. A process that dies before the commit leaves nothing;
after it, beat asks for every row that is still open, however often a worker dies.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from shared import alerts, privacy
from shared.alerts import raise_alert
from workers.inbound.demands import CONFIRMATION, DATA_REQUEST, DISCONNECTION, ERASURE, INTEGRATION, Demand
from workers.inbound.reading import Reading
from workers.inbound.uninstall import Uninstalled, uninstall


def ask_requests(connection: Connection, readings: Iterable[Reading]) -> None:
    """Write down whose data is to be shown or erased; to be called before the records are locked.

    An erasure locks its own row and then the records: who replays the message that asked for it would wait for the row
    as it waits for them. Idempotent: a replayed message asks for the same erasure again, and for no second export.
    """
    for reading in readings:
        for demand in reading.demands:
            if demand.kind in (DATA_REQUEST, ERASURE):
                _ask(connection, reading, demand)


def meet_demands(connection: Connection, readings: Iterable[Reading], *, now: datetime) -> None:
    """Do or note down everything else that the readings ask for, but for inquiries, which were asked before as well.

    Idempotent.
    """
    for reading in readings:
        for demand in reading.demands:
            if demand.kind == INTEGRATION:
                if not reading.is_doubted:
                    _uninstall(connection, reading, demand, now)
            elif demand.kind in (CONFIRMATION, DISCONNECTION):
                _tell(connection, reading, demand, now)


def _uninstall(connection: Connection, reading: Reading, demand: Demand, now: datetime) -> None:
    told = Uninstalled(
        account_id=reading.account_id,
        source_id=reading.inbound.source_id,
        provider=reading.provider,
        external_id=demand.subject,
        at=demand.at,
        reason=f"{reading.provider} told of it",
        message_id=reading.inbound.message_id,
    )
    uninstall(connection, told, now=now)


def _tell(connection: Connection, reading: Reading, demand: Demand, now: datetime) -> None:
    """An alert about a topic: workers/sync/sns.py answers what it can, and resolves it."""
    asks = demand.kind == CONFIRMATION
    raise_alert(
        connection,
        account_id=reading.account_id,
        kind=alerts.TOPIC_UNCONFIRMED if asks else alerts.TOPIC_DISCONNECTED,
        severity="warning" if asks else "error",
        subject_id=reading.inbound.message_id,
        message=f"{demand.subject} {'waits to be confirmed' if asks else 'posts here no more: it was unsubscribed'}.",
        detail={"topic": demand.subject, "sourceId": str(reading.inbound.source_id)},
        now=now,
    )


def _ask(connection: Connection, reading: Reading, demand: Demand) -> None:
    asked: dict[str, Any] = {
        "account_id": reading.account_id,
        "provider": reading.provider,
        "tenant": reading.tenant,
        "subject": demand.subject,
        "orders": demand.orders,
        "message_id": reading.inbound.message_id,
        "at": demand.at,
    }
    if demand.kind == DATA_REQUEST:
        privacy.ask_export(connection, **asked, request_id=demand.request_id)
    else:
        privacy.ask_erasure(connection, **asked, is_held=reading.is_doubted)
