from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from shared.destinations.contract import Verdict
from workers.delivery.lane import Change, Landing, Lane, Limits, after

NOW = datetime(2026, 11, 6, 10, 30, tzinfo=UTC)
LIMITS = Limits(5, 30.0, 900.0, 20, 0.0)
FAIL = Landing(NOW, Verdict.AGAIN)
GOOD = Landing(NOW, Verdict.DELIVERED)

landings = st.lists(
    st.builds(
        Landing,
        at=st.integers(0, 10_000).map(lambda seconds: NOW + timedelta(seconds=seconds)),
        verdict=st.sampled_from([Verdict.DELIVERED, Verdict.AGAIN]),
        retry_after_seconds=st.one_of(st.none(), st.floats(1, 86_400)),
    ),
    max_size=60,
)


def test_the_pause_doubles_with_each_failed_probe_up_to_its_limit():
    lane, now, pauses = Lane(), NOW, []
    lane = after(lane, [FAIL] * 5, LIMITS, now=now).lane
    for _ in range(8):
        assert lane.paused_until is not None
        pauses.append((lane.paused_until - now).total_seconds())
        now = lane.paused_until
        lane = after(lane, [Landing(now, Verdict.AGAIN)], LIMITS, now=now).lane
    assert pauses == [30, 60, 120, 240, 480, 900, 900, 900]


def test_failures_that_were_under_way_when_the_circuit_opened_do_not_lengthen_the_pause():
    once = after(Lane(), [FAIL] * 5, LIMITS, now=NOW).lane
    twice = after(once, [FAIL] * 5, LIMITS, now=NOW + timedelta(seconds=1)).lane
    assert twice.paused_until == once.paused_until
    assert twice.pauses == 1


def test_a_late_success_does_not_undo_a_retry_after():
    asked = after(Lane(), [replace(FAIL, retry_after_seconds=600.0)], LIMITS, now=NOW).lane
    assert after(asked, [GOOD], LIMITS, now=NOW).lane.paused_until == NOW + timedelta(seconds=600)


def test_a_410_disables_at_once_and_a_success_behind_it_changes_nothing():
    gone = Landing(NOW, Verdict.GONE)
    assert after(Lane(), [gone], LIMITS, now=NOW).disable == "gone"
    assert after(Lane(), [gone, GOOD], LIMITS, now=NOW).disable == "gone"


def test_warnings_are_given_once_each_and_taken_back_by_a_success():
    seen: list[Change] = []
    lane = Lane()
    for _ in range(19):
        seen.append(after(lane, [FAIL], LIMITS, now=NOW))
        lane = seen[-1].lane
    assert [change.warn_percent for change in seen if change.warn_percent] == [50, 90]
    change = after(lane, [GOOD], LIMITS, now=NOW)
    assert change.recovered
    assert change.lane.warned_percent == 0


@given(landings)
def test_counts_add_up_and_only_an_unbroken_run_of_failures_disables(some: list[Landing]):
    change = after(Lane(), some, LIMITS, now=NOW)

    good = sum(landing.verdict is Verdict.DELIVERED for landing in some)
    longest = run = 0
    for landing in some:
        run = 0 if landing.verdict is Verdict.DELIVERED else run + 1
        longest = max(longest, run)
    assert (change.lane.success_count, change.lane.failed_count) == (good, len(some) - good)
    assert change.lane.consecutive_failures == run
    assert (change.lane.first_failure_at is None) == (run == 0)
    assert (change.disable == "failures") == (longest >= 20)
    if run >= 5:
        assert change.lane.paused_until is not None


@given(landings, st.integers(0, 60))
def test_a_batch_is_worth_as_much_as_its_parts(some: list[Landing], cut: int):
    """How results fall into batches is chance: it must change neither counters nor the run of failures."""
    whole = after(Lane(), some, LIMITS, now=NOW)
    first = after(Lane(), some[:cut], LIMITS, now=NOW)
    second = after(first.lane, some[cut:], LIMITS, now=NOW)

    for name in ("success_count", "failed_count", "consecutive_failures", "first_failure_at", "last_delivery_status"):
        assert getattr(second.lane, name) == getattr(whole.lane, name)
    assert (first.disable or second.disable) == whole.disable


@given(landings, st.floats(1, 20_000))
def test_a_run_that_is_shorter_than_its_time_never_disables(some: list[Landing], span: float):
    ordered = sorted(some, key=lambda landing: landing.at)
    limits = replace(LIMITS, disable_after=1, disable_after_seconds=span)

    change = after(Lane(), ordered, limits, now=NOW)

    runs: list[list[Landing]] = [[]]
    for landing in ordered:
        if landing.verdict is Verdict.DELIVERED:
            runs.append([])
        else:
            runs[-1].append(landing)
    longest = max(((run[-1].at - run[0].at).total_seconds() for run in runs if run), default=-1.0)
    assert (change.disable == "failures") == (longest >= span)
