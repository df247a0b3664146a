"""A shop that has no points left is not asked again at once, whether or not it says what a question costs."""

import pytest

from shared.upstream_work import Kind
from tests.doubles.shopify.shop import Bucket
from tests.workers.sync.conftest import Rig
from workers.sync.shopify_api import THROTTLED_SECONDS
from workers.sync.upstream import PATIENCE_SECONDS, TRYING_SECONDS


@pytest.mark.parametrize("tells_cost", [True, False])
def test_each_refusal_for_want_of_points_is_followed_by_a_wait_and_then_the_work_is_put_off(
    rig: Rig, *, tells_cost: bool
) -> None:
    rig.shop.tells_cost = tells_cost
    rig.shop.bucket = Bucket(maximum=10.0, restore_rate=0.5, available=0.0)
    standing = rig.do(Kind.SYNC)
    assert (standing["state"], standing["tries"], standing["error"]) == ("waiting", 0, None)
    assert (standing["due_at"] - rig.now).total_seconds() >= 60
    pauses = [slept for slept in rig.slept if slept >= THROTTLED_SECONDS]
    # The last refusal is not slept on: the work is put off.
    assert len(pauses) >= rig.shop.throttled - 1 > 0
    assert sum(rig.slept) <= TRYING_SECONDS + PATIENCE_SECONDS


def test_who_was_refused_together_does_not_come_again_together(rig: Rig) -> None:
    rig.shop.tells_cost = False
    rig.shop.bucket = Bucket(maximum=10.0, restore_rate=0.0, available=0.0)
    rig.do(Kind.SYNC)
    assert len(set(rig.slept)) == len(rig.slept) > 5
    assert all(THROTTLED_SECONDS <= slept <= 2 * THROTTLED_SECONDS for slept in rig.slept)
