from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.delivery.backoff import MAX_DELAY_SECONDS, SCHEDULES, Policy, next_delay

waits = st.one_of(st.none(), st.floats(0, 86_400))


@given(
    tries=st.integers(1, 200),
    attempts=st.integers(0, 100),
    delay=st.one_of(st.just(0.0), st.floats(0.001, 1e6)),
    retry_after=waits,
    seed=st.integers(),
)
def test_a_delay_stays_within_its_jitter_and_never_below_retry_after(
    tries: int, attempts: int, delay: float, retry_after: float | None, seed: int
):
    found = next_delay(tries, Policy(attempts, delay), retry_after_seconds=retry_after, rng=Random(seed))

    assert (found is None) == (tries > attempts), "there are as many retries as were asked for, and no more"
    if found is not None:
        nominal = min(delay * 2 ** (tries - 1), MAX_DELAY_SECONDS)
        floor = retry_after or 0.0
        assert found >= floor
        assert max(nominal * 0.8, floor) * (1 - 1e-9) <= found <= max(nominal * 1.2, floor) * (1 + 1e-9)


@pytest.mark.parametrize(("tries", "seconds"), list(enumerate(SCHEDULES["standard"], start=1)))
def test_k23_the_standard_schedule_is_the_specifications(tries: int, seconds: float):
    found = next_delay(tries, Policy(0, 1.0, "standard"), retry_after_seconds=None, rng=Random(tries))
    assert found is not None
    assert 0.8 * seconds <= found <= 1.2 * seconds


def test_the_standard_schedule_ends_after_ten_tries():
    assert next_delay(10, Policy(99, 1.0, "standard"), retry_after_seconds=None, rng=Random(1)) is None
    assert sum(SCHEDULES["standard"]) == 272_105  # 75 h 35 min 5 s
