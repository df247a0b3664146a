"""What did not go well is found among millions of deliveries that did."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Index it, newest first within an account. A delivery that goes well is never in it, and costs nothing more."""
    op.execute("""
        CREATE INDEX deliveries_troubled ON deliveries (account_id, id)
        WHERE last_error IS NOT NULL OR last_status >= 300
    """)


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP INDEX deliveries_troubled")
