"""Claiming and settling cost what is claimed, not what waits, whatever the planner was last told of the table.

Statistics of a table that is worked off are old by nature: gathered while nothing was due they say that nothing ever
is, and a plan that is quick for no rows is quadratic for a backlog.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine, event, text

from shared.clock import after
from shared.destinations.contract import Answer, Judgement, Verdict
from shared.ids import new_id
from shared.settings import Settings
from tests.workers import rows
from workers.delivery import outcome
from workers.delivery.claim import Claim, claim, survey
from workers.delivery.outcome import Result

LANES = 4
SETTLED = 20_000
WAITING = 2_000  # of each lane
WANTED = 50  # of each lane
PAGES = 30  # for each delivery that is claimed: an index or two of its own, its event, what is written
ADD = text("""
WITH made AS (
    INSERT INTO events (id, account_id, type, body, occurred_at, created_at)
    SELECT uuidv7(), :account, 'user.created', '{}', :now, :now FROM generate_series(1, :count) RETURNING id
)
INSERT INTO deliveries (id, account_id, event_id, subscription_id, event_type, state, next_attempt_at, created_at,
    record_id)
SELECT uuidv7(), :account, id, :subscription, 'user.created', :state, :now, :now,
    CASE WHEN :by_record THEN uuidv7() END FROM made
""")


@pytest.fixture(params=["none", "record", "strict"])
def ordering(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def lanes(engine: Engine, ordering: str) -> list[UUID]:
    """Lanes with a backlog of which the statistics know nothing."""
    account = rows.account(engine)
    made = [rows.subscription(engine, account, ordering=ordering, max_in_flight=WANTED) for _ in range(LANES)]

    def add(state: str, count: int) -> None:
        with engine.begin() as connection:
            for lane in made:
                about = {"account": account, "subscription": lane, "state": state, "count": count, "now": rows.NOW}
                connection.execute(ADD, about | {"by_record": ordering == "record"})
                if ordering == "strict" and state == "pending":
                    connection.execute(text("UPDATE deliveries SET strict = true WHERE state = 'pending'"))

    add("delivered", SETTLED // LANES)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
    add("pending", WAITING)
    return made


@contextmanager
def pages_read(connection: Connection) -> Iterator[Callable[[], int]]:
    """How many pages the statements of the block read; each is run once more for it, and undone."""
    pages: list[int] = []

    def explain(_: Any, _cursor: Any, statement: str, values: Any, *__: Any) -> None:
        if statement.lstrip().startswith(("SAVEPOINT", "ROLLBACK", "EXPLAIN")):
            return
        connection.exec_driver_sql("SAVEPOINT plan")
        query = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}"
        (found,) = connection.exec_driver_sql(query, values).scalar_one()
        connection.exec_driver_sql("ROLLBACK TO SAVEPOINT plan")
        pages.append(found["Plan"]["Shared Hit Blocks"] + found["Plan"]["Shared Read Blocks"])

    event.listen(connection, "before_cursor_execute", explain)
    try:
        yield lambda: sum(pages)
    finally:
        event.remove(connection, "before_cursor_execute", explain)


def claimed(connection: Connection, lanes: list[UUID]) -> Claim:
    return claim(
        connection,
        {str(lane): WANTED for lane in lanes},
        claim_id=str(new_id()),
        our_claims=[],
        circuit_failures=5,
        in_flight=WANTED,
        most_bytes=32_000_000,
        now=rows.NOW,
        lease_until=after(rows.NOW, 60),
    )


def test_looking_claiming_and_settling_read_no_backlog(engine: Engine, lanes: list[UUID], ordering: str):
    expected = LANES * (1 if ordering == "strict" else WANTED)
    with engine.begin() as connection:
        with pages_read(connection) as pages:
            assert len(survey(connection, now=rows.NOW, in_flight=WANTED).due) == LANES
            assert pages() < 100 * LANES

        with pages_read(connection) as pages:
            made = claimed(connection, lanes)
            assert len(made.taken) == expected
            assert pages() < PAGES * expected + 300

        done = Answer(200), Judgement(Verdict.DELIVERED)
        results = [Result(one, *done, rows.NOW, rows.NOW) for one in made.taken]
        with pages_read(connection) as pages:
            recorded = outcome.record(connection, results, settings=Settings(), now=rows.NOW, rng=None)  # type: ignore[arg-type]  # nothing is drawn for what was delivered
            assert recorded.counts["delivered"] == expected
            assert pages() < PAGES * expected + 300
