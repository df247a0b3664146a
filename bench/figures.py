"""The arithmetic of the report: percentiles, sustained rates and the reconciling of counts.

Pure; nothing is left behind, so there is nothing a dying process could lose.
"""

from collections.abc import Mapping, Sequence
from math import ceil


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile: the smallest value that at least `percent` % of the values do not exceed.

    `percent` is over 0 and up to 100. Of no values it is 0.0, since a stage that saw nothing has no latency.
    """
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[max(0, ceil(len(ordered) * percent / 100) - 1)]


def spread(values: Sequence[float]) -> dict[str, float]:
    """The figures of one latency: `{"p50", "p90", "p99", "max", "count"}`, rounded to 10 microseconds of a ms."""
    return {
        "p50": round(percentile(values, 50), 2),
        "p90": round(percentile(values, 90), 2),
        "p99": round(percentile(values, 99), 2),
        "max": round(max(values, default=0.0), 2),
        "count": len(values),
    }


def rate_within(instants_ns: Sequence[int], start_ns: int, end_ns: int) -> float:
    """Instants a second within [start, end): the sustained rate, with the warm-up and the tail cut off."""
    if end_ns <= start_ns:
        return 0.0
    return sum(start_ns <= at < end_ns for at in instants_ns) / ((end_ns - start_ns) / 1e9)


def steady_rate(instants_ns: Sequence[int], *, cut: float = 0.1) -> float:
    """Instants a second between the first and the last `cut` share of them."""
    if len(instants_ns) < 10:
        return 0.0
    ordered = sorted(instants_ns)
    low, high = int(len(ordered) * cut), int(len(ordered) * (1 - cut)) - 1
    return (high - low) / max((ordered[high] - ordered[low]) / 1e9, 1e-9)


def discrepancies(counts: Mapping[str, int]) -> list[str]:
    """What does not add up in the counts of one run, as sentences; empty when every webhook is accounted for.

    `counts` has `sent`, `accepted`, `refused`, `messages`, `deliveries`, `delivered`, `failed`, `waiting`,
    `received_unique` and `received_duplicate`.
    """
    sums = [
        ("sent", counts["sent"], "accepted + refused", counts["accepted"] + counts["refused"]),
        ("accepted", counts["accepted"], "messages", counts["messages"]),
        (
            "deliveries",
            counts["deliveries"],
            "delivered + failed + waiting",
            counts["delivered"] + counts["failed"] + counts["waiting"],
        ),
        ("delivered", counts["delivered"], "seen by the receiver", counts["received_unique"]),
    ]
    return [f"{left} ({a}) is not {right} ({b})" for left, a, right, b in sums if a != b]
