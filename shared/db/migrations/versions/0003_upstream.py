"""What we do at providers: work that is due, the webhooks registered there, the pages read and the documents made.

`upstream_work` is its own schedule: a row a kind of work and integration, due or not, leased while a worker is at it.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE upstream_work (
    integration_id uuid NOT NULL REFERENCES integrations ON DELETE CASCADE,
    kind text NOT NULL,                             -- registration, trial or sync
    state text NOT NULL,                            -- waiting, running, done or failed
    due_at timestamptz,                             -- NULL: nobody wants it
    claim_id uuid,                                  -- a result only counts with its claim
    lease_until timestamptz,
    tries integer NOT NULL DEFAULT 0,               -- straight failures
    progress jsonb,                                 -- where to go on; NULL: at the beginning
    result jsonb NOT NULL DEFAULT '{}',             -- of the last time it was done
    error_code text,                                -- of the last time it failed
    error text,
    started_at timestamptz,
    finished_at timestamptz,                        -- when it was last done
    PRIMARY KEY (integration_id, kind)
);
CREATE INDEX upstream_work_due ON upstream_work (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX upstream_work_running ON upstream_work (lease_until) WHERE state = 'running';

CREATE TABLE registrations (
    id uuid PRIMARY KEY,
    integration_id uuid NOT NULL REFERENCES integrations ON DELETE CASCADE,
    topic text NOT NULL,                            -- the provider's word, as in its webhooks
    state text NOT NULL,                            -- registered, refused, or by_hand: a person enters it there
    external_id text,                               -- its id there
    address text,
    note text,                                      -- why refused, or what to enter where
    drops integer NOT NULL DEFAULT 0,               -- how often it was gone and put back
    registered_at timestamptz,
    checked_at timestamptz NOT NULL,
    UNIQUE (integration_id, topic)
);

CREATE TABLE sync_pages (                           -- what a running sync has read so far
    integration_id uuid NOT NULL REFERENCES integrations ON DELETE CASCADE,
    stage text NOT NULL,
    number integer NOT NULL,
    body text NOT NULL,                             -- a JSON array
    PRIMARY KEY (integration_id, stage, number)
);

CREATE TABLE documents (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES accounts,
    path text NOT NULL UNIQUE,                      -- users/<account>/shopify/<shop>/shop_products.json
    body text NOT NULL,
    sha256 text NOT NULL,
    bytes bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX documents_account ON documents (account_id, id);
"""


def upgrade() -> None:
    """Create the tables of upstream work."""
    op.execute(TABLES)


def downgrade() -> None:
    """Forget what is registered and read; the providers keep their registrations."""
    for table in ("documents", "sync_pages", "registrations", "upstream_work"):
        op.execute(f"DROP TABLE {table}")
