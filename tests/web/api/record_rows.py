"""Records and privacy requests as drains and tasks leave them, written straight into the tables."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, insert

from shared.db.engine import transaction
from shared.db.tables import RECORD_TABLES, erasures, exports
from shared.ids import new_id
from shared.record_kinds import KINDS, RECORDS


def record(engine: Engine, account_id: UUID, kind: str, *, now: datetime, **values: Any) -> UUID:
    row = {
        "id": new_id(),
        "account_id": account_id,
        "provider": "shopify",
        "tenant": "acme.myshopify.com",
        "external_id": str(new_id()),
        "version": now,
        **KINDS[kind].blank,
        "created_at": now,
        "updated_at": now,
        **values,
    }
    with transaction(engine) as connection:
        connection.execute(insert(RECORD_TABLES[kind]).values(**row))
    return UUID(str(row["id"]))


def one_of_each(engine: Engine, account_id: UUID, *, now: datetime) -> dict[str, UUID]:
    """By the noun of its path."""
    made = {kind.plural: record(engine, account_id, name, now=now) for name, kind in RECORDS.items()}
    request = {
        "account_id": account_id,
        "state": "done",
        "provider": "shopify",
        "tenant": "acme.myshopify.com",
        "subject": "7",
        "requested_at": now,
        "due_at": now,
    }
    made |= {"exports": new_id(), "erasures": new_id()}
    with transaction(engine) as connection:
        connection.execute(
            insert(exports).values(
                id=made["exports"], kind="data_request", path="exports/not-here.json", detail={}, **request
            )
        )
        connection.execute(insert(erasures).values(id=made["erasures"], orders=["900"], counts={"users": 1}, **request))
    return made
