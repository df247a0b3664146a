"""The arithmetic of the benchmark's report."""

import pytest

from bench.figures import discrepancies, percentile, rate_within, spread, steady_rate

SUMS = {
    "sent": 12,
    "accepted": 10,
    "refused": 2,
    "messages": 10,
    "deliveries": 20,
    "delivered": 15,
    "failed": 2,
    "waiting": 3,
    "received_unique": 15,
    "received_duplicate": 4,
}


@pytest.mark.parametrize(
    ("percent", "expected"), [(1, 1.0), (50, 50.0), (90, 90.0), (99, 99.0), (99.5, 100.0), (100, 100.0)]
)
def test_a_percentile_is_the_nearest_rank(percent: float, expected: float) -> None:
    assert percentile([float(value) for value in range(100, 0, -1)], percent) == expected


def test_a_percentile_of_one_value_is_that_value() -> None:
    assert percentile([7.0], 50) == percentile([7.0], 99) == 7.0


def test_a_spread_of_nothing_is_zero_and_says_that_it_counted_nothing() -> None:
    assert spread([]) == {"p50": 0.0, "p90": 0.0, "p99": 0.0, "max": 0.0, "count": 0}


def test_a_rate_counts_only_what_lies_within_the_window() -> None:
    every_millisecond = [number * 1_000_000 for number in range(5000)]
    assert rate_within(every_millisecond, 1_000_000_000, 3_000_000_000) == 1000.0


def test_an_empty_window_has_no_rate() -> None:
    assert rate_within([1, 2, 3], 5, 5) == 0.0


def test_a_steady_rate_is_not_moved_by_a_slow_start_or_a_slow_end() -> None:
    steady = [number * 1_000_000 for number in range(1000)]
    with_edges = [-60_000_000_000, *steady, 90_000_000_000]
    assert steady_rate(with_edges) == pytest.approx(1000.0, rel=0.01)


def test_counts_that_add_up_have_no_discrepancy() -> None:
    assert discrepancies(SUMS) == []


@pytest.mark.parametrize(
    ("name", "blamed"),
    [
        ("sent", "accepted + refused"),
        ("messages", "messages"),
        ("deliveries", "delivered + failed + waiting"),
        ("received_unique", "seen by the receiver"),
    ],
)
def test_a_lost_webhook_is_named_where_it_was_lost(name: str, blamed: str) -> None:
    (found,) = discrepancies(SUMS | {name: SUMS[name] - 1})
    assert blamed in found


def test_what_a_receiver_saw_twice_is_no_discrepancy() -> None:
    assert discrepancies(SUMS | {"received_duplicate": 99}) == []
