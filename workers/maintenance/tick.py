"""The tick, every second: sends an order for whatever is due and has none on its way.

Comes in: the queue and the tables, which are the truth. Left behind: orders, and flags that say so. A tick that dies in
the middle is made up for by the next; a flag whose order was lost with its worker falls by itself after
`queues.WAKE_SECONDS`, so nothing waits longer than that.
"""

from datetime import datetime
from typing import Final

import redis
from sqlalchemy import Connection, text
from sqlalchemy import exc as database

from shared import logs, orders, queues
from shared.db.engine import transaction
from shared.errors import QueueUnavailable
from workers.context import Context
from workers.delivery.leases import sweep
from workers.replay import order_slice

# How often expired leases are looked for: a dispatcher's death is noticed this long after its lease ends.
SWEEP_SECONDS: Final = 5

# One probe of an index a lane, and none of the backlog: LIMIT 1 keeps the planner from joining the whole of it.
_DUE = text("""
SELECT 1
FROM subscriptions s
JOIN lanes l ON l.subscription_id = s.id
CROSS JOIN LATERAL (
    SELECT FROM deliveries d
    WHERE d.subscription_id = s.id AND d.state = 'pending' AND d.next_attempt_at <= :now
    ORDER BY d.next_attempt_at, d.id LIMIT 1
) due
WHERE s.active AND s.deleted_at IS NULL AND (l.paused_until IS NULL OR l.paused_until <= :now)
LIMIT 1
""")

_JOBS = text("SELECT id FROM replay_jobs WHERE state = 'running' AND next_slice_at <= :now ORDER BY next_slice_at")

_log = logs.get("maintenance")


def tick(context: Context, *, now: datetime) -> dict[str, int]:
    """How many orders were sent, as `{"drains", "dispatches", "replays", "expired"}`.

    With PostgreSQL down only the drains are woken, and the answer has `database_down` as well.

    Raises:
        QueueUnavailable: Valkey cannot be reached, so no order could be sent anyway.
    """
    waiting, is_sweep_due = _look_at_queue(context, now)
    counts = {
        "drains": sum(orders.send(context.settings, queues.DRAIN, shard) for shard in waiting),
        "dispatches": 0,
        "replays": 0,
        "expired": 0,
    }
    try:
        with transaction(context.engine) as connection:
            if is_sweep_due:
                counts["expired"] = sweep(connection, now=now)
            due = is_anything_due(connection, now=now)
            jobs = list(connection.execute(_JOBS, {"now": now}).scalars())
    except (database.OperationalError, database.InterfaceError, database.TimeoutError) as error:
        _log.warning("database.unreachable", error=type(error).__name__)
        return counts | {"database_down": 1}
    if due:
        counts["dispatches"] = int(orders.wake_dispatch(context.settings, context.client))
    counts["replays"] = sum(order_slice(context, job) for job in jobs)
    return counts


def is_anything_due(connection: Connection, *, now: datetime) -> bool:
    """Whether a delivery of an active subscription that is not paused is due."""
    return connection.execute(_DUE, {"now": now}).first() is not None


def _look_at_queue(context: Context, now: datetime) -> tuple[list[int], bool]:
    """The shards that hold messages and have no order on its way, their flags now raised; and whether to sweep."""
    # All that there can be: when the setting was lowered, the streams beyond it still hold what was answered 200.
    shards = range(queues.MOST_SHARDS)
    try:
        with context.client.pipeline(transaction=False) as pipe:
            pipe.set(queues.BEAT, int(now.timestamp()))
            pipe.set(queues.SWEEP, "1", nx=True, ex=SWEEP_SECONDS)
            for shard in shards:
                pipe.xlen(queues.inbox(shard))
            _, is_sweep_due, *lengths = pipe.execute()
        filled = [shard for shard, length in zip(shards, lengths, strict=True) if length]
        if not filled:
            return [], bool(is_sweep_due)
        with context.client.pipeline(transaction=False) as pipe:
            for shard in filled:
                pipe.set(queues.drain_wake(shard), "1", nx=True, ex=queues.WAKE_SECONDS)
            raised = pipe.execute()
    except redis.RedisError as error:
        raise QueueUnavailable(str(error)) from error
    return [shard for shard, done in zip(filled, raised, strict=True) if done], bool(is_sweep_due)
