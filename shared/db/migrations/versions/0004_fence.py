"""Erasures look a second time, once everybody who could not see their marks yet has finished."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A transaction's id: the second look waits until all before it have ended. NULL: the first is not over."""
    op.execute("ALTER TABLE erasures ADD COLUMN fence bigint")


def downgrade() -> None:
    """Open erasures begin anew."""
    op.execute("UPDATE erasures SET counts = '{}' WHERE state = 'requested'")
    op.execute("ALTER TABLE erasures DROP COLUMN fence")
