"""Work is one worker's at a time; what a dead one had is taken up, and what is asked for meanwhile is not forgotten."""

import pytest
from sqlalchemy import text

from shared.clock import after
from shared.db.engine import transaction
from shared.upstream_work import Kind
from tests.workers.sync.conftest import Rig
from workers.sync import claims
from workers.sync.claims import Claim


def take(rig: Rig) -> Claim | None:
    with transaction(rig.context.engine) as connection:
        return claims.take(connection, kinds=Kind, now=rig.now, lease_seconds=90)


def test_asked_for_often_it_is_done_once_and_no_later_than_the_soonest(rig: Rig) -> None:
    rig.ask(Kind.SYNC, in_seconds=30)
    rig.forward(seconds=20)
    rig.ask(Kind.SYNC, in_seconds=30)
    assert take(rig) is None
    rig.forward(seconds=10)
    assert take(rig) is not None
    assert take(rig) is None


def test_the_lease_of_a_dead_worker_ends_and_its_late_result_does_not_count(rig: Rig) -> None:
    rig.ask(Kind.SYNC)
    dead = take(rig)
    assert dead is not None
    with transaction(rig.context.engine) as connection:
        claims.advance(connection, dead, {"stage": "products"}, now=rig.now, lease_seconds=90)
    rig.forward(seconds=89)
    assert take(rig) is None
    rig.forward(seconds=1)
    again = take(rig)
    assert again is not None
    assert again.progress == {"stage": "products"}
    with transaction(rig.context.engine) as connection:
        assert not claims.hold(connection, dead)
        assert not claims.finish(connection, dead, {}, now=rig.now, again_at=None)
        assert claims.finish(connection, again, {"n": 1}, now=rig.now, again_at=None)
    assert rig.standing(Kind.SYNC)["result"] == {"n": 1}


def test_what_is_asked_for_while_it_runs_is_done_afterwards(rig: Rig) -> None:
    rig.ask(Kind.SYNC)
    claim = take(rig)
    assert claim is not None
    rig.ask(Kind.SYNC, in_seconds=30)
    assert rig.standing(Kind.SYNC)["state"] == "running"
    with transaction(rig.context.engine) as connection:
        claims.finish(connection, claim, {}, now=rig.now, again_at=after(rig.now, 86_400))
    assert rig.standing(Kind.SYNC)["due_at"] == after(rig.now, 30)


@pytest.mark.parametrize(("is_final", "kept"), [(False, {"stage": "products"}), (True, None)])
def test_a_failure_keeps_how_far_it_got_unless_it_is_final(
    rig: Rig, is_final: bool, kept: dict[str, str] | None
) -> None:
    rig.ask(Kind.SYNC)
    claim = take(rig)
    assert claim is not None
    with transaction(rig.context.engine) as connection:
        claims.advance(connection, claim, {"stage": "products"}, now=rig.now, lease_seconds=90)
        claims.fail(connection, claim, code="c", message="m", now=rig.now, is_final=is_final)
        found = connection.execute(text("SELECT progress, due_at FROM upstream_work")).one()
    assert found.progress == kept
    assert (found.due_at is None) == is_final
