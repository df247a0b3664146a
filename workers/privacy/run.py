"""Carries out open privacy requests: `privacy.run`.

Comes in: rows of `exports` and `erasures` that are still open. Left behind, each step one transaction: files of
exports, erased rows, and the requests done, with an entry in the audit log. A worker that dies in the middle leaves
whole steps; the next run begins again and finds what is left.
"""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import select

from shared import logs, orders, privacy, queues
from shared.alerts import raise_alert
from shared.db.engine import transaction
from shared.db.tables import erasures, exports
from workers.context import Context
from workers.privacy.erase import ERASURE_FAILING, Step, erase
from workers.privacy.export import export
from workers.sync.upstream import UpstreamFailed

# A run is short, for it shares its worker with the order that wakes everything else each second.
RUN_SECONDS: Final = 2.0
PAUSE_SECONDS: Final = 0.05  # a drain's transaction takes about so long

_log = logs.get("privacy")


def run(context: Context, *, now: datetime, seconds: float = RUN_SECONDS) -> dict[str, int]:
    """What was done: `{"exports", "erasures", "failed"}`; `waiting` erasures are gone on with by the next run.

    `unfinished` is 1 when time ran out; then the next run is ordered already.
    """
    end = time.monotonic() + seconds
    counts = {"exports": 0, "erasures": 0, "failed": 0, "waiting": 0, "unfinished": 0}
    with transaction(context.engine) as connection:
        privacy.release_held(connection)
        wanted = connection.execute(
            select(exports.c.id).where(exports.c.state == "requested").order_by(exports.c.id)
        ).scalars()
        asked = list(wanted)
        to_erase = list(
            connection.execute(
                select(erasures.c.id).where(erasures.c.state == "requested").order_by(erasures.c.id)
            ).scalars()
        )
    # Exports first: after an erasure there is nothing left to show.
    for request_id in asked:
        try:
            counts["exports"] += export(context, request_id, now=now)
        except OSError as error:
            counts["failed"] += 1
            _complain(context, request_id, error, now=now)
    counts["unfinished"] = _erase_all(context, to_erase, counts, lambda: time.monotonic() < end, now)
    if counts["unfinished"]:
        orders.send(context.settings, queues.PRIVACY)
    if any(counts.values()):
        _log.info("privacy.run", **counts)
    return counts


def _erase_all(
    context: Context, to_erase: list[UUID], counts: dict[str, int], has_time: Callable[[], bool], now: datetime
) -> int:
    """1 when time ran out before all were done, but for those that wait."""
    while to_erase:
        waiting: list[UUID] = []
        for request_id in to_erase:
            try:
                while (step := erase(context, request_id, now=now)) is Step.MORE:
                    if not has_time():
                        return 1
            except (UpstreamFailed, OSError) as error:  # its files or documents are out of reach: the others go on
                counts["failed"] += 1
                _complain_of_erasure(context, request_id, error, now=now)
                continue
            if step is Step.WAIT:
                waiting.append(request_id)
            else:
                counts["erasures"] += 1
        if waiting and not has_time():
            counts["waiting"] = len(waiting)
            return 0
        if waiting:
            time.sleep(PAUSE_SECONDS)
        to_erase = waiting
    return 0


def _complain_of_erasure(context: Context, request_id: UUID, error: UpstreamFailed | OSError, *, now: datetime) -> None:
    """Something of it could not be removed; the next run tries again."""
    words = error.message if isinstance(error, UpstreamFailed) else f"A file cannot be removed: {error.strerror}"
    _log.warning("erasure.unfinished", erasure_id=str(request_id), error=words)
    with transaction(context.engine) as connection:
        row = connection.execute(
            select(erasures.c.account_id, erasures.c.due_at).where(erasures.c.id == request_id)
        ).one()
        raise_alert(
            connection,
            account_id=row.account_id,
            kind=ERASURE_FAILING,
            severity="error",
            subject_id=request_id,
            message=f"An erasure is not done, and due by {row.due_at:%Y-%m-%d}. {words}.",
            detail={"erasureId": str(request_id)},
            now=now,
        )


def _complain(context: Context, request_id: UUID, error: OSError, *, now: datetime) -> None:
    """The file could not be written; the next run tries again."""
    _log.warning("export.unwritable", export_id=str(request_id), error=str(error))
    with transaction(context.engine) as connection:
        account_id = connection.execute(select(exports.c.account_id).where(exports.c.id == request_id)).scalar()
        raise_alert(
            connection,
            account_id=account_id,
            kind="export.unwritable",
            severity="error",
            subject_id=request_id,
            message=f"A customer's data could not be written to a file: {error.strerror}.",
            detail={"exportId": str(request_id)},
            now=now,
        )
