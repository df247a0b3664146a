"""Records of every kind, what a message is about, and the privacy requests: exports and erasures.

Each record table has the same frame (whose record it is, the provider's version, a tombstone, a redaction) around its
own fields; docs and tests read both from shared/record_kinds.py.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_FRAME = """
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES accounts,
    provider text NOT NULL,                         -- whose record it is
    tenant text NOT NULL DEFAULT '',                -- the shop or seller it belongs to there
    external_id text NOT NULL,                      -- its id there
    version timestamptz,                            -- the provider's updated_at: older never overwrites newer
    deleted_at timestamptz,                         -- a tombstone: an older update cannot revive it
    redacted_at timestamptz,                        -- its person is erased: nothing personal ever comes back
"""
_END = """
    attributes jsonb NOT NULL DEFAULT '{}',         -- what the provider also says and we have no column for
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    UNIQUE (account_id, provider, tenant, external_id)
"""
FIELDS = {
    "orders": """
    number text,                                    -- what people call it, e.g. #1001
    status text,
    financial_status text,
    fulfillment_status text,
    currency text,                                  -- ISO 4217
    total_minor bigint,                             -- money in the currency's smallest unit
    subtotal_minor bigint,
    tax_minor bigint,
    discount_minor bigint,
    shipping_minor bigint,
    presentment jsonb,                              -- {"currency", "totalMinor"} as the customer saw it
    customer_external_id text,                      -- NULL: a guest
    email text,
    phone text,
    billing_address jsonb,
    shipping_address jsonb,
    line_items jsonb NOT NULL DEFAULT '[]',
    discount_codes text[] NOT NULL DEFAULT '{}',
    tags text[] NOT NULL DEFAULT '{}',
    cancelled_at timestamptz,
    cancel_reason text,
    placed_at timestamptz,
    is_test boolean NOT NULL DEFAULT false,""",
    "refunds": """
    order_external_id text,
    amount_minor bigint,
    currency text,
    note text,
    line_items jsonb NOT NULL DEFAULT '[]',
    refunded_at timestamptz,""",
    "products": """
    title text,
    handle text,
    status text,
    vendor text,
    product_type text,
    tags text[] NOT NULL DEFAULT '{}',
    published_at timestamptz,
    variants jsonb NOT NULL DEFAULT '[]',
    options jsonb NOT NULL DEFAULT '[]',""",
    "inventory_levels": """
    item_external_id text,
    location_external_id text,
    available bigint,                               -- NULL: not tracked
    sku text,""",
    "shipments": """
    order_external_id text,
    status text,
    provider_status text,                           -- the provider's own word
    tracking_number text,
    tracking_url text,
    carrier text,
    line_items jsonb NOT NULL DEFAULT '[]',
    shipped_at timestamptz,
    delivered_at timestamptz,
    expected_at timestamptz,""",
    "payments": """
    order_external_id text,
    status text,
    amount_minor bigint,
    currency text,
    method text,
    paid_at timestamptz,""",
    "reports": """
    report_kind text,                               -- feed or report
    report_type text,
    status text,
    document_id text,
    finished_at timestamptz,""",
    "articles": """
    number text,
    name text,
    description text,
    price_minor bigint,
    currency text,
    stock double precision,
    unit text,
    status text,""",
}
MORE = """
CREATE INDEX orders_customer ON orders (account_id, provider, tenant, customer_external_id)
    WHERE customer_external_id IS NOT NULL;
CREATE INDEX refunds_order ON refunds (account_id, provider, tenant, order_external_id);
CREATE INDEX shipments_order ON shipments (account_id, provider, tenant, order_external_id);
CREATE INDEX payments_order ON payments (account_id, provider, tenant, order_external_id);

ALTER TABLE users ADD COLUMN redacted_at timestamptz;

-- When the shop was last connected: an older uninstall, which comes late, must not switch a newer install off.
ALTER TABLE integrations ADD COLUMN installed_at timestamptz;

-- What it spoke of, as kind:external_id. Without an index, for only an erasure asks, and only of one account's recent
-- messages.
ALTER TABLE messages ADD COLUMN subjects text[] NOT NULL DEFAULT '{}';

CREATE TABLE exports (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES accounts,
    kind text NOT NULL,                             -- data_request
    state text NOT NULL,                            -- requested, done or failed
    provider text NOT NULL,
    tenant text NOT NULL DEFAULT '',
    subject text NOT NULL,                          -- the provider's id of the customer
    detail jsonb NOT NULL DEFAULT '{}',             -- what was asked for, e.g. {"orders": [...]}
    message_id uuid,
    requested_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    finished_at timestamptz,
    path text,                                      -- below the data directory
    sha256 text,
    bytes bigint,
    error text,
    UNIQUE (message_id, subject)
);
CREATE INDEX exports_account ON exports (account_id, id);
CREATE INDEX exports_open ON exports (id) WHERE state = 'requested';

CREATE TABLE erasures (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES accounts,
    state text NOT NULL,                            -- requested or done
    provider text NOT NULL,
    tenant text NOT NULL DEFAULT '',
    subject text NOT NULL,                          -- the provider's id of the customer, or * for the whole shop
    orders text[] NOT NULL DEFAULT '{}',            -- the orders that were named
    message_id uuid,
    counts jsonb NOT NULL DEFAULT '{}',             -- what was erased, by noun
    requested_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    finished_at timestamptz,
    UNIQUE (message_id, subject)
);
CREATE INDEX erasures_account ON erasures (account_id, id);
CREATE INDEX erasures_open ON erasures (id) WHERE state = 'requested';
"""


def upgrade() -> None:
    """Create the record tables, and what privacy requests need."""
    for table, fields in FIELDS.items():
        op.execute(f"CREATE TABLE {table} ({_FRAME}{fields}{_END})")
        op.execute(f"CREATE INDEX {table}_account ON {table} (account_id, id)")
        op.execute(f"CREATE INDEX {table}_updated ON {table} (account_id, updated_at)")
    op.execute(MORE)


def downgrade() -> None:
    """Back to users alone; what the records held is lost."""
    for table in (*FIELDS, "exports", "erasures"):
        op.execute(f"DROP TABLE {table}")
    op.execute("ALTER TABLE users DROP COLUMN redacted_at")
    op.execute("ALTER TABLE integrations DROP COLUMN installed_at")
    op.execute("ALTER TABLE messages DROP COLUMN subjects")
