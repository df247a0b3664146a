"""What messages left open: what a provider is to be asked for, each once however many messages tell of it."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE inquiries (
    integration_id uuid NOT NULL REFERENCES integrations ON DELETE CASCADE,
    subject text NOT NULL,                          -- order:<id> or shop:<domain>
    at timestamptz NOT NULL,                        -- as of when it is open: what is known since needs no asking
    times integer NOT NULL DEFAULT 1,               -- how often it was asked for: an answer counts for these alone
    PRIMARY KEY (integration_id, subject)
);
"""


def upgrade() -> None:
    """Create the table of inquiries."""
    op.execute(TABLES)


def downgrade() -> None:
    """Forget what was to be asked for; whole snapshots and the daily reading tell most of it."""
    op.execute("DROP TABLE inquiries")
