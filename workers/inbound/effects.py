"""Carries out or writes down what messages ask for, in the transaction that takes them in.

Comes in: readings, inside the caller's transaction. Left behind: integrations switched off, their credentials gone;
rows of `erasures` and `exports`, which the privacy tasks see to. A process that dies before the commit leaves nothing;
after it, beat asks for every row that is still open, however often a worker dies.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql import insert

from shared import audit
from shared.alerts import raise_alert
from shared.db.tables import erasures, exports
from shared.ids import new_id
from workers.inbound.demands import DATA_REQUEST, INTEGRATION, Demand
from workers.inbound.reading import Reading

# Source: shopify.dev, privacy law compliance, read 2026-11: "complete the action within 30 days".
DUE_DAYS: Final = 30

# An uninstall may come after the next install; host names have no case.
_UNINSTALL = text("""
UPDATE integrations SET state = 'uninstalled', credentials = NULL, updated_at = :now
WHERE source_id = CAST(:source_id AS uuid) AND lower(external_id) = lower(:external_id) AND state <> 'uninstalled'
  AND coalesce(installed_at, created_at) <= :at
RETURNING id
""")


def meet_demands(connection: Connection, readings: Iterable[Reading], *, now: datetime) -> None:
    """Do or note down everything that the readings ask for.

    Idempotent: a message that is replayed asks for the same erasure again, and for no second export.
    """
    for reading in readings:
        for demand in reading.demands:
            if demand.kind == INTEGRATION:
                _uninstall(connection, reading, demand, now)
            elif demand.kind == DATA_REQUEST:
                _note_export(connection, reading, demand)
            else:
                _note_erasure(connection, reading, demand)


def _uninstall(connection: Connection, reading: Reading, demand: Demand, now: datetime) -> None:
    values = {
        "source_id": str(reading.inbound.source_id),
        "external_id": demand.subject,
        "at": demand.at,
        "now": now,
    }
    for integration_id in connection.execute(_UNINSTALL, values).scalars().all():
        audit.record(
            connection,
            account_id=reading.account_id,
            actor="system",
            action="integration.uninstalled",
            subject_kind="integration",
            subject_id=integration_id,
            reason=f"{reading.provider} told of it",
            detail={"externalId": demand.subject, "messageId": str(reading.inbound.message_id)},
            now=now,
        )
        raise_alert(
            connection,
            account_id=reading.account_id,
            kind="integration.uninstalled",
            severity="warning",
            subject_id=integration_id,
            message=f"{demand.subject} has uninstalled the app; its credentials are wiped.",
            detail={"externalId": demand.subject},
            now=now,
        )


def _note_export(connection: Connection, reading: Reading, demand: Demand) -> None:
    detail = {"orders": list(demand.orders), "requestId": demand.request_id}
    query = insert(exports).values(**_frame(reading, demand), kind=DATA_REQUEST, state="requested", detail=detail)
    connection.execute(query.on_conflict_do_nothing(index_elements=["message_id", "subject"]))


def _note_erasure(connection: Connection, reading: Reading, demand: Demand) -> None:
    query = insert(erasures).values(**_frame(reading, demand), state="requested", orders=list(demand.orders), counts={})
    again = {"state": "requested", "finished_at": None}
    connection.execute(query.on_conflict_do_update(index_elements=["message_id", "subject"], set_=again))


def _frame(reading: Reading, demand: Demand) -> dict[str, object]:
    return {
        "id": new_id(),
        "account_id": reading.account_id,
        "provider": reading.provider,
        "tenant": reading.tenant,
        "subject": demand.subject,
        "message_id": reading.inbound.message_id,
        "requested_at": demand.at,
        "due_at": demand.at + timedelta(days=DUE_DAYS),
    }
