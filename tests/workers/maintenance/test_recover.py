"""Recovery brings the directory and the leases back to what the tables say, and leaves alone what is right."""

from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from shared import directory, ids, queues
from shared.db.engine import transaction
from tests.workers import rows
from tests.workers.rows import NOW
from workers.maintenance.recover import recover


@pytest.fixture
def listed(context, engine):
    """A source with a shop, published."""
    account = rows.account(engine)
    source = rows.source(engine, account, path="shopify", any_tenant=False)
    with transaction(engine) as connection:
        for shop in ("b.myshopify.com", "a.myshopify.com"):
            connection.execute(
                text("""
                    INSERT INTO integrations (id, account_id, source_id, external_id, created_at, updated_at)
                    VALUES (:id, :account, :source, :shop, :now, :now)
                """),
                {"id": ids.new_id(), "account": account, "source": source, "shop": shop, "now": NOW},
            )
        directory.publish(connection, context.client)
    return source


def test_a_directory_that_is_right_is_left_alone(context, listed):
    before = directory.version(context.client)
    assert [recover(context, now=NOW)["published"] for _ in range(3)] == [0, 0, 0]
    assert directory.version(context.client) == before


def flush(context, engine):
    context.client.flushall()


def lose_the_version(context, engine):
    context.client.delete(queues.DIRECTORY_VERSION)


def commit_without_publishing(context, engine):
    with transaction(engine) as connection:
        connection.execute(text("UPDATE sources SET active = false"))


def add_a_shop_without_publishing(context, engine):
    with transaction(engine) as connection:
        connection.execute(
            text("""
                INSERT INTO integrations (id, account_id, source_id, external_id, created_at, updated_at)
                SELECT :id, account_id, id, 'c.myshopify.com', now(), now() FROM sources
            """),
            {"id": uuid4()},
        )


def delete_without_publishing(context, engine):
    with transaction(engine) as connection:
        connection.execute(text("DELETE FROM sources"))


@pytest.mark.parametrize(
    "accident",
    [
        flush,
        lose_the_version,
        commit_without_publishing,
        add_a_shop_without_publishing,
        delete_without_publishing,
    ],
)
def test_a_directory_that_differs_from_the_tables_is_published_once(context, engine, ring, listed, accident):
    accident(context, engine)
    assert [recover(context, now=NOW)["published"] for _ in range(2)] == [1, 0]
    with engine.connect() as connection:
        wanted = {row.path: row.active for row in connection.execute(text("SELECT path, active FROM sources"))}
    held = directory.load(context.client, ring, now=NOW)
    assert {path: listing.active for path, listing in held.items()} == wanted
    assert directory.version(context.client) > 0


def test_an_expired_lease_is_given_back_and_a_dispatch_ordered(context, engine, orders_sent):
    account = rows.account(engine)
    crm = rows.subscription(engine, account)
    lost = rows.delivery(engine, account, crm, state="leased", claim_id=ids.new_id(), lease_until=NOW)
    live = rows.delivery(
        engine, account, crm, state="leased", claim_id=ids.new_id(), lease_until=NOW + timedelta(seconds=1)
    )
    assert recover(context, now=NOW)["expired"] == 1
    assert rows.states(engine) == {lost: "pending", live: "leased"}
    assert orders_sent() == [(queues.DISPATCH, [])]
