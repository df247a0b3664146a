"""Replays: a person asks for items again, as a durable job that a worker does in slices.

Comes in: what to replay, how fast, who asks and why. Left behind: a row of `replay_jobs` that knows how far it has
come, and a row of the audit log. A worker that dies in the middle of a slice leaves the cursor where the last commit
put it, and the next one goes on from there: each item is replayed once.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, insert, select, text, update

from shared import audit
from shared.clock import to_json
from shared.db.tables import deliveries, replay_jobs
from shared.errors import Conflict, NotFound, Unacceptable
from shared.ids import new_id
from shared.redelivery import MOVED, redeliver
from shared.replay_filters import RESTING, TARGETS, Filters, Target, check, where
from shared.states import JobState

__all__ = [
    "TARGETS",
    "Filters",
    "Target",
    "cancel",
    "count",
    "create",
    "describe",
    "get",
    "list_jobs",
    "pause",
    "replay_delivery",
    "resume",
]

Job = dict[str, Any]  # a row of replay_jobs by column name

_NOTHING = UUID(int=0)
RATES = (0.001, 100_000.0)  # items a second


def count(connection: Connection, target: Target, filters: Filters) -> int:
    """How many items a replay would take now.

    Raises:
        Unacceptable: a filter makes no sense for this target.
        NotFound: there is no such subscription.
    """
    return _extent(connection, target, filters)[0]


def _extent(connection: Connection, target: Target, filters: Filters) -> tuple[int, UUID]:
    check(target, filters)
    condition, values = where(connection, target, filters)
    row = connection.execute(
        # PostgreSQL has no max(uuid); in the C collation the text of an id sorts as the id does.
        text(f"""
            SELECT count(*) AS total, CAST(max(CAST(item.id AS text) COLLATE "C") AS uuid) AS bound
            FROM {target} item WHERE {condition}
        """),
        values,
    ).one()
    return int(row.total), row.bound or _NOTHING


def _gone(connection: Connection, target: Target, filters: Filters) -> int:
    """How many of the items asked for by name are not there: past the time they are kept for, or never were."""
    if filters.ids is None:
        return 0
    named = Filters(account_id=filters.account_id, ids=tuple(set(filters.ids)))
    return len(named.ids or ()) - _extent(connection, target, named)[0]


def create(
    connection: Connection,
    *,
    target: Target,
    filters: Filters,
    rate_per_second: float | None,
    asked_by: str,
    reason: str | None,
    now: datetime,
) -> Job:
    """A new running job over the items that match now; later ones are not its own.

    Items that were named and are not there count as skipped from the start, so that their expiry is told.
    After the commit the caller may order `replay.run` with its id; if not, beat does within a second.

    Raises:
        Unacceptable: a filter makes no sense for this target, or the rate is not within `RATES`.
        NotFound: there is no such subscription.
    """
    if rate_per_second is not None and not RATES[0] <= rate_per_second <= RATES[1]:
        raise Unacceptable("rate_invalid", f"The rate must be from {RATES[0]} to {RATES[1]:.0f} items a second.")
    total, bound = _extent(connection, target, filters)
    gone = _gone(connection, target, filters)
    job = (
        connection.execute(
            insert(replay_jobs)
            .values(
                id=new_id(),
                account_id=filters.account_id,
                target=target,
                filters=filters.model_dump(mode="json", exclude_none=True),
                state=JobState.RUNNING if total else JobState.FINISHED,
                rate_per_second=rate_per_second,
                total=total + gone,
                skipped=gone,
                skipped_why={"gone": gone} if gone else {},
                bound=bound,
                next_slice_at=now,
                asked_by=asked_by,
                reason=reason,
                created_at=now,
                finished_at=None if total else now,
            )
            .returning(replay_jobs)
        )
        .mappings()
        .one()
    )
    detail = {"target": target, "filters": job["filters"], "total": total, "ratePerSecond": rate_per_second}
    _note(connection, dict(job), "created", by=asked_by, reason=reason, detail=detail, now=now)
    return dict(job)


def get(connection: Connection, job_id: UUID, *, account_id: UUID | None) -> Job:
    """One job; `account_id` None may see every account's.

    Raises:
        NotFound: not there, or not this account's.
    """
    query = select(replay_jobs).where(replay_jobs.c.id == job_id)
    if account_id is not None:
        query = query.where(replay_jobs.c.account_id == account_id)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFound("replay")
    return dict(row)


def list_jobs(
    connection: Connection, *, account_id: UUID | None, before: UUID | None = None, limit: int = 50
) -> list[Job]:
    """The newest jobs first, older than `before`; `account_id` None: of every account."""
    query = select(replay_jobs).order_by(replay_jobs.c.id.desc()).limit(limit)
    if account_id is not None:
        query = query.where(replay_jobs.c.account_id == account_id)
    if before is not None:
        query = query.where(replay_jobs.c.id < before)
    return [dict(row) for row in connection.execute(query).mappings()]


def pause(connection: Connection, job_id: UUID, *, account_id: UUID | None, asked_by: str, now: datetime) -> Job:
    """The job, paused: the batch in hand is finished, and no other begins. Idempotent.

    Raises:
        NotFound: not there, or not this account's.
        Conflict: it has ended.
    """
    return _move(connection, job_id, JobState.PAUSED, account_id=account_id, asked_by=asked_by, now=now)


def resume(connection: Connection, job_id: UUID, *, account_id: UUID | None, asked_by: str, now: datetime) -> Job:
    """The job, running again from where it stopped. Idempotent.

    Raises:
        NotFound: not there, or not this account's.
        Conflict: it has ended.
    """
    return _move(connection, job_id, JobState.RUNNING, account_id=account_id, asked_by=asked_by, now=now)


def cancel(connection: Connection, job_id: UUID, *, account_id: UUID | None, asked_by: str, now: datetime) -> Job:
    """The job, ended where it is; what it has replayed stays replayed. Idempotent.

    Raises:
        NotFound: not there, or not this account's.
        Conflict: it has finished.
    """
    return _move(connection, job_id, JobState.CANCELLED, account_id=account_id, asked_by=asked_by, now=now)


_DEEDS = {JobState.PAUSED: "paused", JobState.RUNNING: "resumed", JobState.CANCELLED: "cancelled"}


def _move(
    connection: Connection,
    job_id: UUID,
    state: JobState,
    *,
    account_id: UUID | None,
    asked_by: str,
    now: datetime,
) -> Job:
    get(connection, job_id, account_id=account_id)
    # The lock waits for the batch in hand, so that the answer is the truth and not a moment before it.
    job = dict(
        connection.execute(select(replay_jobs).where(replay_jobs.c.id == job_id).with_for_update()).mappings().one()
    )
    if job["state"] == state:
        return job
    if job["state"] in (JobState.FINISHED, JobState.CANCELLED):
        raise Conflict("replay_ended", f"The replay is {job['state']}.")
    moved = connection.execute(
        update(replay_jobs)
        .where(replay_jobs.c.id == job_id)
        .values(state=state, next_slice_at=now, finished_at=now if state == JobState.CANCELLED else None)
        .returning(replay_jobs)
    )
    job = dict(moved.mappings().one())
    _note(connection, job, _DEEDS[state], by=asked_by, reason=None, detail={"done": job["done"]}, now=now)
    return job


def replay_delivery(
    connection: Connection,
    delivery_id: UUID,
    *,
    account_id: UUID | None,
    asked_by: str,
    reason: str | None,
    now: datetime,
) -> bool:
    """Whether one delivery was put back among the due; False: it is on its way already.

    Raises:
        NotFound: not there, or not this account's.
        Unacceptable: `event_expired` (410) or `subscription_deleted` (409): it cannot be sent again.
    """
    query = select(deliveries.c.account_id).where(deliveries.c.id == delivery_id)
    if account_id is not None:
        query = query.where(deliveries.c.account_id == account_id)
    owner = connection.execute(query).scalar_one_or_none()
    if owner is None:
        raise NotFound("delivery")
    outcome = redeliver(connection, [delivery_id], states=RESTING, now=now).get(delivery_id, "subscription_deleted")
    if outcome == "expired":
        raise Unacceptable("event_expired", "Its event is past the time it is kept for and is gone.", status=410)
    if outcome == "subscription_deleted":
        raise Conflict("subscription_deleted", "Its subscription is deleted.")
    if outcome not in MOVED:
        return False
    audit.record(
        connection,
        account_id=owner,
        actor=asked_by,
        action="delivery.replayed",
        subject_kind="delivery",
        subject_id=delivery_id,
        reason=reason,
        detail={"state": outcome},
        now=now,
    )
    return True


def describe(job: Job) -> dict[str, Any]:
    """The job as our JSON: camelCase, ids and times as text, `skippedWhy` a count by reason."""
    return {
        "id": str(job["id"]),
        "accountId": None if job["account_id"] is None else str(job["account_id"]),
        "target": job["target"],
        "filters": Filters.model_validate(job["filters"]).model_dump(mode="json", by_alias=True, exclude_none=True),
        "state": job["state"],
        "ratePerSecond": job["rate_per_second"],
        "total": job["total"],
        "done": job["done"],
        "skipped": job["skipped"],
        "skippedWhy": job["skipped_why"],
        "failed": job["failed"],
        "askedBy": job["asked_by"],
        "reason": job["reason"],
        "createdAt": to_json(job["created_at"]),
        "finishedAt": None if job["finished_at"] is None else to_json(job["finished_at"]),
    }


def _note(
    connection: Connection,
    job: Job,
    deed: str,
    *,
    by: str,
    reason: str | None,
    detail: dict[str, Any],
    now: datetime,
) -> None:
    audit.record(
        connection,
        account_id=job["account_id"],
        actor=by,
        action=f"replay.{deed}",
        subject_kind="replay",
        subject_id=job["id"],
        reason=reason,
        detail=detail,
        now=now,
    )
