"""Retention, hourly: partitions ahead of the clock, and nothing kept past its time behind it.

Comes in: the keep_* settings. Left behind: partitions for the coming weeks, and only rows that are still to be kept.
Each step and each batch of deletes is its own transaction, so dying in the middle leaves the rest to the next run; a
run that has used up its time orders the next one itself.
"""

import time
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from shared import logs, orders, queues
from shared.clock import after
from shared.db.engine import transaction
from shared.db.migrate import drop_partitions, ensure_partitions, week_of
from shared.ids import floor_id
from workers.context import Context

# A run is short, for it shares its worker with the order that wakes everything else each second.
WORK_SECONDS: Final = 2.0
BATCH_ROWS: Final = 5_000
# Resolved alerts, ended replays and the audit log: small, and asked for long after.
KEEP_RECORDS_DAYS: Final = 365

# A partition made or dropped waits for every reader of the table, and every new reader waits behind it; there are weeks
# of them ahead, so rather try again later.
_LOCK_TIMEOUT = text("SET LOCAL lock_timeout = '1s'")

# What was still owed when its event was dropped can no longer be sent, and says so rather than wait for ever.
_BURY = text("""
UPDATE deliveries SET state = 'dead', last_error = 'event_expired', finished_at = :now
WHERE state IN ('pending', 'held') AND event_id < :floor
""")

# Old rows by an index, a bounded number at a time, and none that another transaction holds. An id rises with time, so
# what ended before the limit is below the limit's id as well, and that range has an index where finished_at has none.
_DELETES: Final = {
    "message_keys": "SELECT ctid FROM message_keys WHERE received_at < :before",
    "deliveries": """
        SELECT ctid FROM deliveries
        WHERE id < :floor AND finished_at < :before AND state IN ('delivered', 'dead', 'discarded') ORDER BY id
    """,
    "alerts": "SELECT ctid FROM alerts WHERE id < :floor AND resolved_at < :before",
    "replay_jobs": "SELECT ctid FROM replay_jobs WHERE id < :floor AND finished_at < :before",
    "audit_log": "SELECT ctid FROM audit_log WHERE id < :floor AND at < :before",
    # Rows that came when their partition was missing.
    "messages_default": "SELECT ctid FROM messages_default WHERE id < :floor",
    "events_default": "SELECT ctid FROM events_default WHERE id < :floor",
    "attempts_default": "SELECT ctid FROM attempts_default WHERE id < :floor",
}

_log = logs.get("maintenance")


def retain(context: Context, *, now: datetime) -> dict[str, int]:
    """What was made and what went: `{"partitions_made", "partitions_dropped", "deliveries_expired", <table>: rows}`.

    `unfinished` is 1 when time ran out; then the next run is ordered already. Idempotent.
    """
    settings = context.settings
    end = time.monotonic() + WORK_SECONDS
    counts = {"partitions_made": _make(context.engine, now=now)}
    keeps = {
        "messages": settings.keep_messages_days,
        "events": settings.keep_events_days,
        "attempts": settings.keep_events_days,
    }
    counts["partitions_dropped"] = counts["deliveries_expired"] = 0
    for table, days in keeps.items():
        dropped, buried = _drop(context.engine, table, before=after(now, -days * 86_400), now=now)
        counts["partitions_dropped"] += dropped
        counts["deliveries_expired"] += buried
    days_of = {
        "message_keys": settings.keep_keys_days,
        "deliveries": settings.keep_deliveries_days,
        **{f"{table}_default": days for table, days in keeps.items()},
    }
    unfinished = False
    for table in _DELETES:
        before = now - timedelta(days=days_of.get(table, KEEP_RECORDS_DAYS))
        counts[table], cut_short = _delete(context.engine, table, before=before, end=end)
        unfinished = unfinished or cut_short
    if unfinished:
        orders.send(settings, queues.RETAIN)
    _log.info("retention.done", unfinished=unfinished, **counts)
    return counts | {"unfinished": int(unfinished)}


def _make(engine: Engine, *, now: datetime) -> int:
    """Partitions made."""
    try:
        with transaction(engine) as connection:
            connection.execute(_LOCK_TIMEOUT)
            return len(ensure_partitions(connection, now=now))
    except OperationalError as error:
        _log.warning("partitions.postponed", error=type(error.orig).__name__)
        return 0


def _drop(engine: Engine, table: str, *, before: datetime, now: datetime) -> tuple[int, int]:
    """Partitions dropped, and deliveries whose event went with them."""
    try:
        with transaction(engine) as connection:
            connection.execute(_LOCK_TIMEOUT)
            dropped = drop_partitions(connection, table, before=before)
            buried = 0
            if dropped and table == "events":
                values = {"now": now, "floor": floor_id(week_of(before))}
                buried = connection.execute(_BURY, values).rowcount
    except OperationalError as error:
        # Somebody reads it; an hour later is early enough.
        _log.warning("retention.postponed", table=table, error=type(error.orig).__name__)
        return 0, 0
    return len(dropped), buried


def _delete(engine: Engine, table: str, *, before: datetime, end: float) -> tuple[int, bool]:
    """Rows deleted, and whether time ran out before all were."""
    statement = text(
        f"DELETE FROM {table} WHERE ctid = ANY(ARRAY({_DELETES[table]} LIMIT {BATCH_ROWS} FOR UPDATE SKIP LOCKED))"
    )
    values = {"before": before, "floor": floor_id(before)}
    names = {name: value for name, value in values.items() if f":{name}" in _DELETES[table]}
    deleted = 0
    while True:
        with transaction(engine) as connection:
            rows = connection.execute(statement, names).rowcount
        deleted += rows
        if rows < BATCH_ROWS:
            return deleted, False
        if time.monotonic() > end:
            return deleted, True
