"""/api/admin/replays: asking for many items again, as a durable job.

The job and its audit row are one transaction, and its worker is asked after the commit; a process that dies in between
leaves that to beat, which does it within a second.
"""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from flask import Response
from pydantic import Field

from shared import orders, queues, replays
from shared.db.engine import transaction
from shared.replays import Filters, Target
from shared.states import JobState, Role
from web.api.noun import noun
from web.auth import needs, scope
from web.context import here
from web.shapes import Answer, Form, IdPath, Moment, PageQuery, Pagination, Shape, answer, page

NOUN = "replay"
REASON_MAX = 500

api = noun("Replays", "Asking for many items again.", at="/api/admin/replays")


class ReplayFilters(Form):
    """Which items; all that is given must hold."""

    subscription: UUID | None = Field(None, description="Deliveries of this webhook; events are sent to it alone.")
    event_type: str | None = Field(None, description="A type, or `order.*`.")
    source: UUID | None = Field(None, description="What came in through this source.")
    states: list[str] | None = Field(None, description="By default what is dead or failed.")
    since: Moment | None = Field(None, description="Made at or after this instant.")
    until: Moment | None = Field(None, description="Made before this instant.")
    ids: list[UUID] | None = Field(None, max_length=10_000, description="These and no others.")


class CreateReplay(Form):
    """What to ask for again."""

    target: Target
    filters: ReplayFilters = Field(default_factory=ReplayFilters)
    dry_run: bool = Field(False, description="Only count what would be replayed.")
    rate_per_second: float | None = Field(None, gt=0, description="Most items a second; null: as fast as it goes.")
    reason: str | None = Field(None, max_length=REASON_MAX, description="For the audit log.")


class Replay(Shape):
    """A replay job."""

    id: UUID
    account_id: UUID | None
    target: str
    filters: dict[str, Any]
    state: JobState
    rate_per_second: float | None
    total: int
    done: int
    skipped: int
    skipped_why: dict[str, int]
    failed: int
    asked_by: str
    reason: str | None
    created_at: str
    finished_at: str | None


class ReplayAnswer(Answer):
    """One replay."""

    replay: Replay


class CountAnswer(Answer):
    """What a dry run found."""

    dry_run: bool
    total: int


class ReplaysAnswer(Answer):
    """A page of replays."""

    replays: list[Replay]
    pagination: Pagination


@api.get("", responses={"200": ReplaysAnswer})
@needs(Role.VIEWER)
def list_replays(query: PageQuery) -> Response:
    """List replays, newest first."""
    with transaction(here().engine) as connection:
        rows = replays.list_jobs(connection, account_id=scope().account_id, before=query.cursor, limit=query.limit + 1)
    shown, pagination = page(rows, limit=query.limit)
    return answer(ReplaysAnswer.model_validate({"replays": [_replay(row) for row in shown], "pagination": pagination}))


@api.post("", responses={"200": CountAnswer, "201": ReplayAnswer})
@needs(Role.OPERATOR)
def create_replay(body: CreateReplay) -> Response:
    """Ask for items again; with `dryRun` only count them (200 rather than 201)."""
    context, now = here(), here().now()
    filters = Filters.model_validate({**body.filters.given(), "account_id": scope().account_id})
    if body.dry_run:
        with transaction(context.engine) as connection:
            return answer(CountAnswer(dry_run=True, total=replays.count(connection, body.target, filters)))
    with transaction(context.engine) as connection:
        row = replays.create(
            connection,
            target=body.target,
            filters=filters,
            rate_per_second=body.rate_per_second,
            asked_by=scope().principal.actor,
            reason=body.reason,
            now=now,
        )
    orders.send(context.settings, queues.REPLAY_RUN, str(row["id"]))
    return answer(ReplayAnswer(replay=_replay(row)), 201)


@api.get("/<id>", responses={"200": ReplayAnswer})
@needs(Role.VIEWER)
def get_replay(path: IdPath) -> Response:
    """Show a replay and how far it has come."""
    with transaction(here().engine) as connection:
        row = replays.get(connection, path.uuid(NOUN), account_id=scope().account_id)
    return answer(ReplayAnswer(replay=_replay(row)))


@api.post("/<id>/pause", responses={"200": ReplayAnswer})
@needs(Role.OPERATOR)
def pause_replay(path: IdPath) -> Response:
    """Pause a replay; the batch in hand is finished."""
    return _moved(path, replays.pause)


@api.post("/<id>/resume", responses={"200": ReplayAnswer})
@needs(Role.OPERATOR)
def resume_replay(path: IdPath) -> Response:
    """Go on with a paused replay."""
    return _moved(path, replays.resume)


@api.post("/<id>/cancel", responses={"200": ReplayAnswer})
@needs(Role.OPERATOR)
def cancel_replay(path: IdPath) -> Response:
    """End a replay; what it has replayed stays replayed."""
    return _moved(path, replays.cancel)


def _moved(path: IdPath, move: Callable[..., dict[str, Any]]) -> Response:
    context, now = here(), here().now()
    with transaction(context.engine) as connection:
        row = move(
            connection,
            path.uuid(NOUN),
            account_id=scope().account_id,
            asked_by=scope().principal.actor,
            now=now,
        )
    if row["state"] == JobState.RUNNING:
        orders.send(context.settings, queues.REPLAY_RUN, str(row["id"]))
    return answer(ReplayAnswer(replay=_replay(row)))


def _replay(row: dict[str, Any]) -> Replay:
    return Replay.model_validate(replays.describe(row))
