"""What a batch of results means for a subscription's lane: counters, circuit, warnings, and whether to disable it.

Comes in: the lane's row, the results in the order they landed, the limits. Comes out: the row as it becomes. Pure.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby

from shared.clock import after as seconds_after
from shared.destinations.contract import Verdict

WARNINGS = (90, 50)  # percent of the way to being disabled, at which a person is told


@dataclass(frozen=True, slots=True)
class Lane:
    """The changing columns of a row of `lanes`."""

    success_count: int = 0
    failed_count: int = 0
    last_delivery_status: str | None = None
    last_delivery_at: datetime | None = None
    consecutive_failures: int = 0
    first_failure_at: datetime | None = None
    pauses: int = 0
    paused_until: datetime | None = None
    warned_percent: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """When a lane is paused and when it is disabled."""

    circuit_failures: int
    circuit_pause_seconds: float
    circuit_pause_max_seconds: float
    disable_after: int
    disable_after_seconds: float


@dataclass(frozen=True, slots=True)
class Landing:
    """One result, as far as the lane is concerned."""

    at: datetime
    verdict: Verdict
    retry_after_seconds: float | None = None
    follows: bool = False  # its request has been counted: a full batch is not a hundred failures in a row


@dataclass(frozen=True, slots=True)
class Change:
    """The lane after a batch, and what else has to happen."""

    lane: Lane
    disable: str | None = None  # the reason's code
    warn_percent: int | None = None  # a warning is due
    recovered: bool = False  # a warning that was given is past


def after(lane: Lane, landings: Sequence[Landing], limits: Limits, *, now: datetime) -> Change:
    """The lane once `landings` have happened to it, in order.

    Disabling and warnings are decided on failures only: a success ends the run and with it every reason. A run of
    failures disables when it is long enough in number and in time, both.
    """
    disable: str | None = None
    recovered = False
    warned_before = lane.warned_percent
    for landing, times in _runs(landings):
        if landing.verdict is Verdict.DELIVERED:
            recovered = recovered or lane.warned_percent > 0
            lane = _succeed(lane, landing, times)
            continue
        if landing.verdict is Verdict.LATER:
            lane = _wait(lane, landing)
            continue
        lane = _fail(lane, landing)
        if landing.verdict is Verdict.GONE:
            disable = "gone"
        elif disable is None:
            percent = _percent(lane, landing.at, limits)
            if percent >= 100:  # noqa: PLR2004  # all of it
                disable = "failures"
            else:
                reached = next((mark for mark in WARNINGS if percent >= mark), 0)
                lane = replace(lane, warned_percent=max(lane.warned_percent, reached))
    lane = _pause(lane, limits, now=now)
    warn = lane.warned_percent if lane.warned_percent > (0 if recovered else warned_before) else None
    return Change(
        lane,
        disable=disable,
        warn_percent=None if disable else warn,
        recovered=recovered and lane.warned_percent == 0 and disable is None,
    )


def _runs(landings: Iterable[Landing]) -> Iterator[tuple[Landing, int]]:
    """The landings in order; successes in a row as their last and their number, which is all that is kept of them."""
    for verdict, run in groupby(landings, key=lambda landing: landing.verdict):
        if verdict is Verdict.DELIVERED:
            some = list(run)
            yield some[-1], len(some)
        else:
            yield from ((landing, 1) for landing in run)


def _succeed(lane: Lane, landing: Landing, times: int) -> Lane:
    return replace(
        lane,
        success_count=lane.success_count + times,
        last_delivery_status="success",
        last_delivery_at=landing.at,
        consecutive_failures=0,
        first_failure_at=None,
        pauses=0,
        warned_percent=0,
    )


def _wait(lane: Lane, landing: Landing) -> Lane:
    """The lane, left alone for as long as its receiver asked for."""
    if not landing.retry_after_seconds:
        return lane
    asked = seconds_after(landing.at, landing.retry_after_seconds)
    return replace(lane, paused_until=max(lane.paused_until or asked, asked))


def _fail(lane: Lane, landing: Landing) -> Lane:
    lane = _wait(lane, landing)
    return replace(
        lane,
        failed_count=lane.failed_count + 1,
        last_delivery_status="failed",
        last_delivery_at=landing.at,
        consecutive_failures=lane.consecutive_failures + (0 if landing.follows else 1),
        first_failure_at=lane.first_failure_at or landing.at,
    )


def _percent(lane: Lane, at: datetime, limits: Limits) -> float:
    """How far the present run of failures is towards disabling, whichever of number and time is less far."""
    number = lane.consecutive_failures / limits.disable_after
    if limits.disable_after_seconds <= 0 or lane.first_failure_at is None:
        return 100 * number
    span = (at - lane.first_failure_at).total_seconds() / limits.disable_after_seconds
    return 100 * min(number, span)


def _pause(lane: Lane, limits: Limits, *, now: datetime) -> Lane:
    """Open the circuit once per run of failures that was let through: requests that were under way do not add up."""
    if lane.paused_until is not None and lane.paused_until > now:
        return lane
    if lane.consecutive_failures < limits.circuit_failures:
        return replace(lane, paused_until=None)
    seconds = min(limits.circuit_pause_seconds * 2.0 ** min(lane.pauses, 60), limits.circuit_pause_max_seconds)
    return replace(lane, pauses=lane.pauses + 1, paused_until=seconds_after(now, seconds))
