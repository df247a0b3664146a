"""Writes all that we know of one customer to a file.

Comes in: an open row of `exports`. Left behind: a JSON file below the data directory that only we may read, and the row
done with its path and digest. A process that dies in the middle leaves the row open, and at most a file that the next
run writes again and an erasure removes.

The row is locked before anything is read, and until it is done. With the lock the transaction has its id, so an erasure
of the same person waits for it (`fence`) and finds the file; what begins after that has nothing left to read.
"""

import hashlib
import os
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import Connection, select, update

from shared import alerts, audit
from shared.clock import to_json
from shared.db.engine import transaction
from shared.db.tables import RECORD_TABLES, events, exports
from shared.record_kinds import KINDS
from shared.records import shown
from workers.context import Context
from workers.privacy.merged import merged

FOLDER: Final = "exports"  # below the data directory
# What belongs to a person by way of their orders.
_OF_ORDERS: Final = ("refund", "shipment", "payment")


def export(context: Context, request_id: UUID, *, now: datetime) -> int:
    """1 when the export was made, 0 when another worker made it.

    Raises:
        OSError: the file cannot be written; the row stays open.
    """
    query = select(exports).where(exports.c.id == request_id, exports.c.state == "requested")
    with transaction(context.engine) as connection, ExitStack() as undo:
        row = connection.execute(query.with_for_update(skip_locked=True)).mappings().one_or_none()
        if row is None:
            return 0
        found = collect(connection, dict(row), now=now)
        path = _path(request_id)
        written = orjson.dumps(found, option=orjson.OPT_INDENT_2)
        # A connection that was lost meanwhile has let go of the lock, and an erasure may have come and gone.
        undo.callback(remove, context.settings.data_dir, request_id)
        _write(context.settings.data_dir / path, written)
        connection.execute(
            update(exports)
            .where(exports.c.id == request_id)
            .values(
                state="done",
                finished_at=now,
                path=path.as_posix(),
                sha256=hashlib.sha256(written).hexdigest(),
                bytes=len(written),
            )
        )
        counts = {name: len(rows) for name, rows in found["data"].items()}
        audit.record(
            connection,
            account_id=row["account_id"],
            actor="system",
            action="export.made",
            subject_kind="export",
            subject_id=request_id,
            detail={"customer": row["subject"], **counts},
            now=now,
        )
        alerts.resolve(connection, kind="export.unwritable", subject_id=request_id, now=now)
        undo.pop_all()
    return 1


def remove(data_dir: Path, request_id: UUID) -> None:
    """Have no file of this export, also where a process died over it. Idempotent."""
    path = data_dir / _path(request_id)
    for one in (_draft(path), path):
        one.unlink(missing_ok=True)


def collect(connection: Connection, request: dict[str, Any], *, now: datetime) -> dict[str, Any]:
    """Everything that is known of the customer, as JSON: their records and every event about one of them."""
    known_as = [request["subject"], *merged(connection, request)]
    found: dict[str, list[dict[str, Any]]] = {
        "users": _rows(connection, request, "user", "external_id", known_as),
        "orders": _rows(connection, request, "order", "customer_external_id", [request["subject"]]),
    }
    known = {row["external_id"] for row in found["orders"]}
    named = [order for order in request["detail"].get("orders") or [] if order not in known]
    found["orders"] += _rows(connection, request, "order", "external_id", named)
    orders = [row["external_id"] for row in found["orders"]]
    for kind in _OF_ORDERS:
        found[f"{kind}s"] = _rows(connection, request, kind, "order_external_id", orders)
    subjects = [row["id"] for rows in found.values() for row in rows]
    bodies = connection.execute(
        select(events.c.body)
        .where(events.c.account_id == request["account_id"], events.c.subject_id.in_(subjects))
        .order_by(events.c.id)
    ).scalars()
    return {
        "request": {
            "id": str(request["id"]),
            "provider": request["provider"],
            "tenant": request["tenant"],
            "customer": request["subject"],
            "requestedAt": to_json(request["requested_at"]),
            "madeAt": to_json(now),
        },
        "data": {
            **{name: [shown(KINDS[name.removesuffix("s")], row) for row in rows] for name, rows in found.items()},
            "events": [orjson.loads(body) for body in bodies],
        },
    }


def _rows(
    connection: Connection, request: dict[str, Any], kind: str, column: str, values: list[str]
) -> list[dict[str, Any]]:
    table = RECORD_TABLES[kind]
    query = select(table).where(
        table.c.account_id == request["account_id"],
        table.c.provider == request["provider"],
        table.c.tenant == request["tenant"],
        table.c[column].in_(values),
    )
    return [dict(row) for row in connection.execute(query.order_by(table.c.id)).mappings()]


def _path(request_id: UUID) -> Path:
    return Path(FOLDER) / f"{request_id}.json"


def _draft(path: Path) -> Path:
    return path.with_suffix(".part")


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, for our eyes only."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = _draft(path)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
