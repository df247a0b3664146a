"""Lists of deliveries stay quick, however many went well."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, event, text

from shared import deliveries, ids
from tests.workers import rows

WELL = 20_000


@pytest.fixture
def account(engine: Engine) -> UUID:
    """Thousands of deliveries that went well, after two that did not."""
    account = rows.account(engine)
    crm = rows.subscription(engine, account)
    message, source = ids.new_id(), ids.new_id()
    for status, error in ((503, "http_503"), (None, "timeout")):
        made = rows.event(engine, account, message_id=message, source_id=source)
        rows.delivery(engine, account, crm, event_id=made, last_status=status, last_error=error)
    with engine.begin() as connection:
        connection.execute(
            text("""
                INSERT INTO deliveries (id, account_id, event_id, subscription_id, event_type, state, next_attempt_at,
                                        created_at, last_status)
                SELECT uuidv7(), :account, uuidv7(), :crm, 'user.created', 'delivered', now(), now(), 200
                FROM generate_series(1, :well)
            """),
            {"account": account, "crm": crm, "well": WELL},
        )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))
        connection.execute(text("VACUUM deliveries"))
    return account


def pages_read(engine: Engine, account: UUID | None, **wanted: Any) -> int:
    """How much of the database the list reads; it finds both."""
    told: list[Any] = []

    def explain(connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if statement.startswith("SELECT deliveries."):
            query = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}"
            told.append(connection.exec_driver_sql(query, values).scalar_one()[0]["Plan"])

    with engine.connect() as connection:
        event.listen(engine, "before_cursor_execute", explain)
        try:
            found = deliveries.list_deliveries(connection, account_id=account, **wanted)
        finally:
            event.remove(engine, "before_cursor_execute", explain)
    assert {row["last_error"] for row in found} <= {"http_503", "timeout"}
    assert found
    (plan,) = told
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


@pytest.mark.parametrize("whose", ["one account's", "every account's"])
def test_the_few_that_did_not_go_well_are_found_without_reading_those_that_did(
    engine: Engine, account: UUID, whose: str
) -> None:
    mine = account if whose == "one account's" else None
    assert pages_read(engine, mine, error_codes=["timeout", "http_503"]) < 100
    assert pages_read(engine, mine, status_codes=["5xx", "404"]) < 100


def test_what_a_message_meant_is_found_without_reading_the_rest(engine: Engine, account: UUID) -> None:
    with engine.connect() as connection:
        message = connection.execute(text("SELECT message_id FROM events LIMIT 1")).scalar_one()
    assert pages_read(engine, account, message_id=message) < 100
    assert pages_read(engine, None, message_id=message) < 100
