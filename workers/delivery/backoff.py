"""When a failed delivery is tried again, or that it is not.

Comes in: how often it was tried and the subscription's policy. Comes out: seconds to wait, or None for giving up. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

JITTER = 0.2  # each wait is stretched or shrunk by at most this share, so that a crowd of failures spreads out
MAX_DELAY_SECONDS = 86_400.0  # a doubling delay stops growing at a day

# Waits after the first try, second try, ... in seconds.
# Source: standard-webhooks, spec/standard-webhooks.md, "Retries", read 2026-11.
SCHEDULES: Mapping[str, tuple[float, ...]] = {
    "standard": (  # try | wait before it | since the first
        5.0,  #      2   |   5 s          |        5 s
        300.0,  #    3   |   5 min        |    5 min 5 s
        1_800.0,  #  4   |  30 min        |   35 min 5 s
        7_200.0,  #  5   |   2 h          |  2 h 35 min
        18_000.0,  # 6   |   5 h          |  7 h 35 min
        36_000.0,  # 7   |  10 h          | 17 h 35 min
        50_400.0,  # 8   |  14 h          | 31 h 35 min
        72_000.0,  # 9   |  20 h          | 51 h 35 min
        86_400.0,  # 10  |  24 h          | 75 h 35 min
    )
}


@dataclass(frozen=True, slots=True)
class Policy:
    """How a subscription wants failures tried again."""

    retry_attempts: int  # tries after the first
    retry_delay_seconds: float
    schedule: str | None = None  # a name in SCHEDULES, instead of the two above


def next_delay(tries: int, policy: Policy, *, retry_after_seconds: float | None, rng: Random) -> float | None:
    """Seconds until the next try after `tries` failed ones (from 1); None when that was the last.

    Never less than what the receiver asked for with Retry-After.
    """
    schedule = SCHEDULES.get(policy.schedule or "")
    if schedule is not None:
        if tries > len(schedule):
            return None
        delay = schedule[tries - 1]
    else:
        if tries > policy.retry_attempts:
            return None
        delay = min(policy.retry_delay_seconds * 2.0 ** min(tries - 1, 60), MAX_DELAY_SECONDS)
    jittered = delay * rng.uniform(1 - JITTER, 1 + JITTER)
    return max(jittered, retry_after_seconds or 0.0)
