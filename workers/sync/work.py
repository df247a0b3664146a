"""Does the upstream work that is due: `upstream.work`.

Comes in: an order to look. Left behind: for each piece a result, or when it is tried again and why, and an alert when
a person is needed. A worker that dies in the middle leaves a lease; when it ends another goes on, or gives up what was
begun for an integration that is not active any more. One that Celery stops for its soft time limit leaves a failed try.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from celery.exceptions import SoftTimeLimitExceeded
from sqlalchemy import Connection

from shared import alerts, logs, orders, queues
from shared.clock import after, utc_now
from shared.db.engine import transaction
from shared.upstream_work import Kind
from workers import stopping
from workers.context import Context
from workers.sync import claims, left_out
from workers.sync.claims import Claim
from workers.sync.inquiry import inquire
from workers.sync.job import Done, GoOn, Job, load
from workers.sync.reading import sync
from workers.sync.registration import register
from workers.sync.trial import try_out
from workers.sync.upstream import Upstream, UpstreamFailed

DOINGS: Final[Mapping[Kind, Callable[[Job], Done | GoOn]]] = {
    Kind.REGISTRATION: register,
    Kind.TRIAL: try_out,
    Kind.SYNC: sync,
    Kind.INQUIRY: inquire,
}

_DAILY: Final = (Kind.REGISTRATION, Kind.SYNC)

_log = logs.get("upstream")


def work(
    context: Context, *, clock: Callable[[], datetime] = utc_now, upstream: Upstream | None = None
) -> dict[str, int]:
    """Do what is due until nothing is or the time of one order is over: `{"done", "continued", "failed"}`.

    Safe to call at any time and from anywhere: each piece is one worker's at a time.
    """
    end = time.monotonic() + context.settings.dispatch_run_seconds
    upstream = upstream or Upstream(context.settings, context.client)
    counts = Counter(done=0, continued=0, failed=0)

    def is_over() -> bool:
        return stopping.is_stopping() or time.monotonic() >= end

    with transaction(context.engine) as connection:
        claims.abandon(connection, now=clock())
    while not is_over():
        now = clock()
        with transaction(context.engine) as connection:
            claim = claims.take(connection, kinds=DOINGS, now=now, lease_seconds=context.settings.lease_seconds)
            if claim is None:
                break
            job = load(connection, context.ring, claim, context=context, upstream=upstream, now=now, is_over=is_over)
        if job is not None:
            counts[_do(job, clock)] += 1
    if counts["continued"]:
        orders.send(context.settings, queues.UPSTREAM_WORK)
    return dict(counts)


def _do(job: Job, clock: Callable[[], datetime]) -> str:
    claim = job.claim
    began = time.monotonic()
    outcome: Done | GoOn | UpstreamFailed
    try:
        outcome = DOINGS[claim.kind](job)
    except UpstreamFailed as failure:
        outcome = failure
    except SoftTimeLimitExceeded:
        # It counts as a try: left to its lease it would take as long again and again, and nobody would be told.
        _log.warning("upstream.cut_short", kind=claim.kind.value, integration_id=str(claim.integration_id))
        limit = job.settings.soft_time_limit_seconds
        outcome = UpstreamFailed("out_of_time", f"It was not done within the {limit:g} seconds that one order may take")
    except Exception as error:  # noqa: BLE001  # an edge: what nobody expected of one must be told, and not hold up others
        _log.exception("upstream.raised", kind=claim.kind.value, integration_id=str(claim.integration_id))
        outcome = UpstreamFailed("unexpected", f"{type(error).__name__}, which nobody expected")
    with transaction(job.context.engine) as connection:
        word = _settle(connection, job, outcome, now=clock())
    _log.info(
        "upstream.worked",
        kind=claim.kind.value,
        became=word,
        integration_id=str(claim.integration_id),
        error_code=outcome.code if isinstance(outcome, UpstreamFailed) else None,
        duration_ms=round((time.monotonic() - began) * 1000),
    )
    return word


def _settle(connection: Connection, job: Job, outcome: Done | GoOn | UpstreamFailed, *, now: datetime) -> str:
    claim = job.claim
    match outcome:
        case Done():
            if claims.finish(connection, claim, outcome.result, now=now, again_at=outcome.again_at):
                alerts.resolve(connection, kind=f"{claim.kind}.failing", subject_id=claim.integration_id, now=now)
                _tell_what_was_left_out(connection, job, claim, outcome, now=now)
            return "done"
        case GoOn():
            claims.postpone(connection, claim, outcome.progress, now=now, due_at=outcome.due_at)
            return "continued"
    # The work's row before its integration's, as a drain locks them.
    if not claims.hold(connection, claim):
        return "failed"  # another has taken it over, and tells how it goes
    if not claims.is_for_an_active(connection, claim):
        # The shop has thrown the app out meanwhile, or a person has switched it off: that it fails is no news then.
        claims.abandon(connection, now=now)
        return "failed"
    due_at = claims.fail(
        connection,
        claim,
        code=outcome.code,
        message=outcome.message,
        now=now,
        is_final=outcome.is_final,
        wait_seconds=outcome.wait_seconds,
        left_alone_seconds=outcome.left_alone_seconds,
        final_again_at=_another_day(job, outcome, now=now),
    )
    if outcome.is_final or claim.tries + 1 >= len(claims.RETRY_SECONDS):
        _alert(connection, job, claim, outcome, due_at=due_at, now=now)
    return "failed"


def _another_day(job: Job, failure: UpstreamFailed, *, now: datetime) -> datetime | None:
    """When work that is done daily has its next day, though it failed for good today."""
    if job.claim.kind not in _DAILY or failure.is_a_persons:
        return None
    return after(now, job.settings.reconcile_hours * 3600)


def _tell_what_was_left_out(connection: Connection, job: Job, claim: Claim, done: Done, *, now: datetime) -> None:
    """An alert for as long as the last time left something out."""
    kind = f"{claim.kind}.incomplete"
    missed = done.result.get("leftOut") or left_out.NONE
    if not missed["count"]:
        alerts.resolve(connection, kind=kind, subject_id=claim.integration_id, now=now)
        return
    alerts.raise_alert(
        connection,
        account_id=job.integration["account_id"],
        kind=kind,
        severity="warning",
        subject_id=claim.integration_id,
        message=f"The {claim.kind} of {job.tenant} left out {missed['count']} that no record can hold; the rest is in.",
        detail={**missed, "provider": job.source["provider"]},
        now=now,
    )


def _alert(
    connection: Connection, job: Job, claim: Claim, failure: UpstreamFailed, *, due_at: datetime | None, now: datetime
) -> None:
    if due_at is None:
        again = "It is not tried again until somebody mends it and asks."
    elif failure.is_final:
        again = f"It is tried again in {(due_at - now).total_seconds() / 3600:.3g} hours, or when somebody asks."
    else:
        again = "It is tried again."
    alerts.raise_alert(
        connection,
        account_id=job.integration["account_id"],
        kind=f"{claim.kind}.failing",
        severity="error" if failure.is_final else "warning",
        subject_id=claim.integration_id,
        message=f"The {claim.kind} of {job.tenant} fails: {failure.message}. {again}",
        detail={"code": failure.code, "provider": job.source["provider"]},
        now=now,
    )
