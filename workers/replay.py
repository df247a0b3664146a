"""Replay jobs, a slice at a time: `replay.run`.

Comes in: a job's id. Left behind, batch by batch, each one transaction: the items replayed and the cursor moved past
them. A worker that dies in the middle leaves whole batches; beat asks for the next slice within a second, and it begins
where the last commit ended, so each item is replayed once.
"""

import contextlib
import time
from collections import Counter
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import redis
from sqlalchemy import Connection, select, update

from shared import logs, orders, queues
from shared.db.engine import transaction
from shared.db.tables import replay_jobs
from shared.errors import NotFound
from shared.ids import parse_id
from shared.replay_filters import Filters
from shared.states import JobState
from workers.context import Context
from workers.replay_batches import BATCH_SIZES, Batch, replay_batch

# A slice is short, for it shares its worker with the order that wakes everything else each second.
SLICE_SECONDS: Final = 1.0
# A job with a rate takes what a second allows at once, and may catch up on this much that a busy worker missed.
BURST_SECONDS: Final = 2.0

_log = logs.get("replay")


def run_slice(context: Context, job_id: str, *, now: datetime) -> dict[str, int | str]:
    """What this slice did: `{"state", "done", "skipped", "failed"}`; `state` is the job's, or `busy` or `unknown`.

    Does nothing when another worker holds the job, when it is not running or when its rate allows nothing yet.
    """
    key = parse_id(job_id)
    if key is None:
        return {"state": "unknown", "done": 0, "skipped": 0, "failed": 0}
    with contextlib.suppress(redis.RedisError):
        context.client.delete(queues.replay_wake(key))
    counts: Counter[str] = Counter(done=0, skipped=0, failed=0, deliveries=0)
    state, more = "busy", True
    end = time.monotonic() + SLICE_SECONDS
    while more and time.monotonic() < end:
        with transaction(context.engine) as connection:
            state, more, batch = _advance(connection, context, key, now=now)
        counts.update(done=batch.done, skipped=batch.skipped.total(), failed=batch.failed, deliveries=batch.deliveries)
    if counts["deliveries"]:
        with contextlib.suppress(redis.RedisError):
            context.client.hincrby(queues.COUNTERS, "deliveries:replayed", counts["deliveries"])
        orders.wake_dispatch(context.settings, context.client)
    if more:
        order_slice(context, key)
    _log.info("replay.sliced", job_id=job_id, state=state, **counts)
    return {"state": state, "done": counts["done"], "skipped": counts["skipped"], "failed": counts["failed"]}


def order_slice(context: Context, job_id: UUID) -> bool:
    """Order the next slice of a job unless an order is on its way; whether one was sent."""
    try:
        raised = context.client.set(queues.replay_wake(job_id), "1", nx=True, ex=queues.WAKE_SECONDS)
    except redis.RedisError:
        return False
    return bool(raised) and orders.send(context.settings, queues.REPLAY_RUN, str(job_id))


def _advance(connection: Connection, context: Context, job_id: UUID, *, now: datetime) -> tuple[str, bool, Batch]:
    """One batch and the cursor's move, in the caller's transaction: the state after it, and whether to go on now."""
    query = select(replay_jobs).where(replay_jobs.c.id == job_id).with_for_update(skip_locked=True)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        return "busy", False, Batch()
    if row["state"] != JobState.RUNNING or row["next_slice_at"] > now:
        return str(row["state"]), False, Batch()
    rate = row["rate_per_second"]
    size = BATCH_SIZES[row["target"]] if rate is None else min(BATCH_SIZES[row["target"]], max(1, int(rate)))
    filters = Filters.model_validate(row["filters"])
    try:
        batch = replay_batch(connection, context.ring, row, filters, size=size, now=now)
    except NotFound:  # its subscription was removed since; there is nothing left to find
        batch = Batch()
    ended = batch.is_last or batch.last == row["bound"]
    due = now
    if rate is not None:
        due = max(row["next_slice_at"], now - timedelta(seconds=BURST_SECONDS)) + timedelta(seconds=batch.taken / rate)
    connection.execute(
        update(replay_jobs).where(replay_jobs.c.id == job_id).values(_after(row, batch, ended, due, now))
    )
    return (JobState.FINISHED if ended else JobState.RUNNING), not ended and due <= now, batch


def _after(row: Any, batch: Batch, ended: bool, due: datetime, now: datetime) -> dict[str, Any]:
    """The job's columns after `batch`."""
    why = Counter(row["skipped_why"]) + batch.skipped
    done, failed = row["done"] + batch.done, row["failed"] + batch.failed
    if ended and (changed := row["total"] - done - failed - why.total()) > 0:
        # Matched when the job was made and no longer did when their turn came. An event never changes, so it was
        # dropped; another item may have been as well, but more likely somebody replayed it by hand.
        why["gone" if row["target"] == "events" else "changed"] += changed
    return {
        "done": done,
        "skipped": why.total(),
        "skipped_why": dict(why),
        "failed": failed,
        "cursor": batch.last or row["cursor"],
        "next_slice_at": due,
        "state": JobState.FINISHED if ended else JobState.RUNNING,
        "finished_at": now if ended else None,
    }
