"""A delivery of an ordered lane knows whose record its event is about, so that order can be kept record by record."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add it, for ordered lanes alone: the index costs the others nothing. Destinations that keep state take it up."""
    op.execute("ALTER TABLE deliveries ADD COLUMN record_id uuid")
    op.execute("""
        CREATE INDEX deliveries_record ON deliveries (subscription_id, record_id, state, event_id)
        WHERE record_id IS NOT NULL
    """)
    # What they had was never chosen: it was all there was.
    op.execute("""
        UPDATE subscriptions SET ordering = 'record'
        WHERE (destination, ordering) IN (('hubspot', 'none'), ('xwanai', 'strict'))
    """)
    op.execute(
        "UPDATE deliveries SET strict = false WHERE strict AND subscription_id IN "
        "(SELECT id FROM subscriptions WHERE ordering = 'record')"
    )
    op.execute("""
        UPDATE deliveries d SET record_id = e.subject_id
        FROM events e, subscriptions s
        WHERE e.id = d.event_id AND s.id = d.subscription_id AND s.ordering <> 'none'
    """)


def downgrade() -> None:
    """Back to the two orderings there were."""
    op.execute(
        "UPDATE subscriptions SET ordering = CASE destination WHEN 'xwanai' THEN 'strict' ELSE 'none' END "
        "WHERE ordering = 'record'"
    )
    op.execute("""
        UPDATE deliveries d SET strict = true
        FROM subscriptions s
        WHERE s.id = d.subscription_id AND s.ordering = 'strict' AND d.state IN ('pending', 'leased', 'held')
    """)
    op.execute("DROP INDEX deliveries_record")
    op.execute("ALTER TABLE deliveries DROP COLUMN record_id")
