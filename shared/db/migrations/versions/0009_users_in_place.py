"""Users change in place: no index holds what changes with every webhook, and their pages have room for the new row.

Nothing read users by their last change or their tags, and both indexes were written anew with each change of a user,
as were all the others then.
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Drop them, and leave room on pages that are filled from now on."""
    op.execute("DROP INDEX users_updated")
    op.execute("DROP INDEX users_tags")
    op.execute("ALTER TABLE users SET (fillfactor = 80)")


def downgrade() -> None:
    """Back to what was."""
    op.execute("ALTER TABLE users RESET (fillfactor)")
    op.execute("CREATE INDEX users_tags ON users USING gin (tags jsonb_path_ops)")
    op.execute("CREATE INDEX users_updated ON users (account_id, updated_at)")
