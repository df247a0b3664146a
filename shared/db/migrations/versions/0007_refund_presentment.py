"""What a refund paid back as the customer saw it, beside the shop's money."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.execute("ALTER TABLE refunds ADD COLUMN presentment jsonb")  # {"currency", "amountMinor"}


def downgrade() -> None:
    """Drop it; what the shop paid back in its own money stays."""
    op.execute("ALTER TABLE refunds DROP COLUMN presentment")
