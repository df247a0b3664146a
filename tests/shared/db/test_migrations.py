"""What a migration makes of what is there."""

from datetime import datetime
from uuid import UUID

import pytest
from alembic import command
from sqlalchemy import Engine, text

from shared.db.migrate import _config, migrate
from shared.ids import new_id
from tests.workers import rows

NOW = datetime.fromisoformat("2026-03-02T12:00:00+00:00")


def to(engine: Engine, revision: str) -> None:
    config = _config()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, revision)


@pytest.mark.parametrize(
    ("destination", "ordering", "becomes", "knows"),
    [
        ("hubspot", "none", "record", True),
        ("xwanai", "strict", "record", True),
        ("webhook", "none", "none", False),
        ("webhook", "strict", "strict", True),
    ],
)
def test_subscriptions_that_keep_state_come_to_be_ordered_by_record_with_what_they_owe(
    engine: Engine, destination: str, ordering: str, becomes: str, knows: bool
) -> None:
    account, user = rows.account(engine), new_id()
    to(engine, "0004")
    with engine.begin() as connection:
        subscription: UUID = rows.subscription(engine, account, destination=destination, ordering=ordering)
        values = {"a": str(account), "s": str(subscription), "u": str(user), "e": str(new_id()), "now": NOW}
        connection.execute(
            text("""
                INSERT INTO events (id, account_id, type, subject_kind, subject_id, body, occurred_at, created_at)
                VALUES (:e, :a, 'user.updated', 'user', :u, '{}', :now, :now)
            """),
            values,
        )
        connection.execute(
            text("""
                INSERT INTO deliveries (id, account_id, event_id, subscription_id, event_type, state, strict,
                                        next_attempt_at, created_at)
                VALUES (:e, :a, :e, :s, 'user.updated', 'pending', :strict, :now, :now)
            """),
            values | {"strict": ordering == "strict"},
        )
    migrate(engine, now=NOW)
    query = text("SELECT s.ordering, d.record_id, d.strict FROM deliveries d JOIN subscriptions s ON true")
    with engine.connect() as connection:
        found = connection.execute(query).one()
    assert tuple(found) == (becomes, user if knows else None, becomes == "strict")
    to(engine, "0004")
    with engine.connect() as connection:
        query = text("SELECT s.ordering, d.strict FROM deliveries d JOIN subscriptions s ON true")
        assert tuple(connection.execute(query).one()) == (ordering, ordering == "strict")
