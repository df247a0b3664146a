"""Upstream work knows who asked while it was at it, how old its progress is, and how long to leave its provider alone.

What is under way when this is applied has begun at its beginning, as far as anybody can tell.
"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

COLUMNS = """
ALTER TABLE upstream_work
    ADD COLUMN asked_for timestamptz,               -- somebody asked since it began, for then; NULL: nobody
    ADD COLUMN progressed_at timestamptz,           -- as of when the progress is
    ADD COLUMN not_before timestamptz,              -- no sooner, whatever a message asks for; NULL: at any time
    ADD COLUMN left_alone_until timestamptz         -- no sooner, whoever asks: the provider has said so
"""
# What had failed for good was never looked at again, though it is to be done daily.
GIVEN_UP = """
UPDATE upstream_work SET due_at = now()
WHERE kind IN ('registration', 'sync') AND state = 'failed' AND due_at IS NULL
  AND error_code NOT IN ('credentials_missing', 'refresh_refused', 'refresh_ended')
"""


def upgrade() -> None:
    """Add them; an ask that waits for a running one to end is kept in `due_at` until now."""
    op.execute(COLUMNS)
    op.execute("UPDATE upstream_work SET progressed_at = started_at WHERE progress IS NOT NULL")
    op.execute("UPDATE upstream_work SET not_before = due_at WHERE state = 'failed' AND tries > 0")
    op.execute(GIVEN_UP)
    op.execute("UPDATE upstream_work SET asked_for = due_at, due_at = NULL WHERE state = 'running'")


def downgrade() -> None:
    """Back to where an ask counts once, by its time."""
    op.execute("UPDATE upstream_work SET due_at = asked_for WHERE state = 'running'")
    op.execute(
        "ALTER TABLE upstream_work DROP COLUMN asked_for, DROP COLUMN progressed_at, DROP COLUMN not_before,"
        " DROP COLUMN left_alone_until"
    )
