"""The first schema: accounts, sources, the inbox's rows, users, events, deliveries, replays, audit.

messages, events and attempts are partitioned by id: a UUIDv7 rises with time, so a week is a range of ids, a look-up
by id touches one partition, and retention drops a table instead of deleting rows.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE accounts (
    id uuid PRIMARY KEY,
    slug text NOT NULL UNIQUE,
    title text NOT NULL,
    created_at timestamptz NOT NULL
);

CREATE TABLE api_keys (
    id uuid PRIMARY KEY,
    account_id uuid REFERENCES accounts,            -- NULL: every account (superuser)
    name text NOT NULL,
    prefix text NOT NULL UNIQUE,                    -- the visible, unsecret part
    key_hash bytea NOT NULL,                        -- SHA-256 of the whole key, which has 256 random bits
    role text NOT NULL,
    created_at timestamptz NOT NULL,
    last_used_at timestamptz,
    revoked_at timestamptz
);

CREATE TABLE sources (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES accounts,
    provider text NOT NULL,
    path text NOT NULL UNIQUE,                      -- below /api/webhooks/
    name text NOT NULL,
    active boolean NOT NULL DEFAULT true,
    any_tenant boolean NOT NULL DEFAULT false,      -- false: the tenant must be one of its integrations
    settings jsonb NOT NULL DEFAULT '{}',           -- the provider's own, e.g. the generic scheme
    secrets jsonb NOT NULL DEFAULT '[]',            -- [{"id", "sealed", "createdAt", "expiresAt"}], newest first
    allowed_topics text[],                          -- NULL: all
    rate_per_second integer,                        -- NULL: no limit
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX sources_account ON sources (account_id, id);

CREATE TABLE integrations (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES accounts,
    source_id uuid NOT NULL REFERENCES sources ON DELETE CASCADE,
    external_id text NOT NULL,                      -- the shop or seller as the provider names it
    state text NOT NULL DEFAULT 'active',
    credentials text,                               -- sealed
    detail jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    UNIQUE (source_id, external_id)
);
CREATE INDEX integrations_account ON integrations (account_id, id);

CREATE TABLE message_keys (                         -- what a repeat is recognised by; outlives no partition
    source_id uuid NOT NULL,
    key bytea NOT NULL,
    message_id uuid NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (source_id, key)
);
CREATE INDEX message_keys_age ON message_keys (received_at);

CREATE TABLE messages (
    id uuid NOT NULL PRIMARY KEY,                   -- made by the ingress and told to the provider
    account_id uuid NOT NULL,
    source_id uuid NOT NULL,
    provider text NOT NULL,
    topic text,
    tenant text NOT NULL DEFAULT '',
    delivery_key text,                              -- the provider's own delivery id, for people
    method text NOT NULL DEFAULT 'POST',
    path text NOT NULL DEFAULT '',                  -- with the query string, as received
    headers jsonb NOT NULL DEFAULT '{}',
    body bytea,                                     -- NULL for a duplicate
    body_digest bytea NOT NULL,                     -- SHA-256
    state text NOT NULL,
    reason_code text,                               -- why failed, ignored, stale
    reason text,
    duplicate_of uuid,
    events_count integer NOT NULL DEFAULT 0,
    replays integer NOT NULL DEFAULT 0,
    received_at timestamptz NOT NULL,
    occurred_at timestamptz,
    processed_at timestamptz NOT NULL
) PARTITION BY RANGE (id);
CREATE INDEX messages_account ON messages (account_id, id);
CREATE INDEX messages_source ON messages (source_id, id);
CREATE INDEX messages_failed ON messages (account_id, id) WHERE state = 'failed';

CREATE TABLE users (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES accounts,
    provider text NOT NULL,                         -- whose record it is
    tenant text NOT NULL DEFAULT '',                -- the shop it belongs to there
    external_id text NOT NULL,                      -- its id there
    version timestamptz,                            -- the provider's updated_at: older never overwrites newer
    deleted_at timestamptz,                         -- a tombstone: an older update cannot revive it
    manychat_id text,
    instagram_username text,
    instagram_id text,
    first_name text,
    last_name text,
    full_name text,
    email text,
    phone text,
    whatsapp_phone text,
    gender text,
    locale text,
    timezone text,
    profile_pic text,
    roles text[] NOT NULL DEFAULT '{}',
    opt_ins jsonb NOT NULL DEFAULT '{}',            -- {"messenger": bool, "instagram", "whatsapp", "telegram"}
    export_consent_given boolean NOT NULL DEFAULT false,
    export_consent_at timestamptz,
    tags jsonb NOT NULL DEFAULT '[]',               -- [{"id", "name", "appliedAt"}]
    custom_fields jsonb NOT NULL DEFAULT '{}',      -- {name: text}
    address jsonb,
    interactions jsonb NOT NULL DEFAULT '{}',
    stats jsonb NOT NULL DEFAULT '{}',
    attributes jsonb NOT NULL DEFAULT '{}',         -- what the provider also says and we have no column for
    subscribed_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    UNIQUE (account_id, provider, tenant, external_id)
);
CREATE INDEX users_account ON users (account_id, id);
CREATE INDEX users_updated ON users (account_id, updated_at);
CREATE INDEX users_tags ON users USING gin (tags jsonb_path_ops);

CREATE TABLE events (
    id uuid NOT NULL PRIMARY KEY,                   -- the webhook-id of every delivery of it
    account_id uuid NOT NULL,
    message_id uuid,                                -- NULL: our own (subscription.disabled, a test)
    source_id uuid,
    type text NOT NULL,
    subject_kind text,                              -- e.g. user
    subject_id uuid,
    body text NOT NULL,                             -- sent byte for byte the same on every attempt
    occurred_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL
) PARTITION BY RANGE (id);
CREATE INDEX events_account ON events (account_id, id);
CREATE INDEX events_message ON events (message_id);
CREATE INDEX events_subject ON events (subject_id);

CREATE TABLE subscriptions (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES accounts,
    name text NOT NULL,
    description text NOT NULL DEFAULT '',
    destination text NOT NULL DEFAULT 'webhook',
    url text NOT NULL,
    events text[] NOT NULL,                         -- types, `order.*` or `*`
    secrets jsonb NOT NULL DEFAULT '[]',            -- [{"id", "sealed", "createdAt", "expiresAt"}], newest first
    settings jsonb NOT NULL DEFAULT '{}',           -- the destination's own
    active boolean NOT NULL DEFAULT true,
    disabled_reason text,                           -- why not active: a code such as `gone`, `failures`, `by_hand`
    disabled_at timestamptz,
    retry_attempts integer NOT NULL,                -- tries after the first
    retry_delay_seconds double precision NOT NULL,
    schedule text,                                  -- a named schedule instead of the two above
    timeout_ms integer NOT NULL,
    disable_after integer NOT NULL,
    disable_after_seconds double precision NOT NULL,
    max_in_flight integer NOT NULL,
    ordering text NOT NULL DEFAULT 'none',          -- none or strict
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz
);
CREATE INDEX subscriptions_account ON subscriptions (account_id, id) WHERE deleted_at IS NULL;

CREATE TABLE lanes (                                -- what changes with every attempt, apart from what people set
    subscription_id uuid PRIMARY KEY REFERENCES subscriptions ON DELETE CASCADE,
    success_count bigint NOT NULL DEFAULT 0,
    failed_count bigint NOT NULL DEFAULT 0,         -- failed attempts
    last_delivery_status text,                      -- success or failed
    last_delivery_at timestamptz,
    consecutive_failures integer NOT NULL DEFAULT 0,
    first_failure_at timestamptz,                   -- of the present run of failures
    pauses integer NOT NULL DEFAULT 0,              -- circuit pauses in the present run of failures
    paused_until timestamptz,                       -- no claim before; circuit or Retry-After
    warned_percent integer NOT NULL DEFAULT 0       -- 0, 50 or 90: the warning given in the present run
) WITH (fillfactor = 50);

CREATE TABLE deliveries (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL,
    event_id uuid NOT NULL,
    subscription_id uuid NOT NULL,
    event_type text NOT NULL,
    state text NOT NULL,
    strict boolean NOT NULL DEFAULT false,          -- copied from the subscription's ordering
    tries integer NOT NULL DEFAULT 0,               -- attempts since it was created or last replayed
    attempts integer NOT NULL DEFAULT 0,            -- attempts ever
    next_attempt_at timestamptz NOT NULL,
    claim_id uuid,                                  -- whose result counts
    lease_until timestamptz,
    accepted_at timestamptz,                        -- when the ingress took its message, for the latency
    created_at timestamptz NOT NULL,
    finished_at timestamptz,
    last_status integer,
    last_error text,                                -- a code such as `timeout`, `http_500`, `address_refused`
    UNIQUE (subscription_id, event_id)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX deliveries_due ON deliveries (subscription_id, next_attempt_at, id) WHERE state = 'pending';
CREATE INDEX deliveries_leased ON deliveries (subscription_id, lease_until) WHERE state = 'leased';
CREATE INDEX deliveries_strict ON deliveries (subscription_id, event_id)
    WHERE strict AND state IN ('pending', 'leased');
CREATE INDEX deliveries_resting ON deliveries (subscription_id, id) WHERE state IN ('held', 'dead');
CREATE INDEX deliveries_account ON deliveries (account_id, id);

CREATE TABLE attempts (
    id uuid NOT NULL PRIMARY KEY,
    account_id uuid NOT NULL,
    delivery_id uuid NOT NULL,
    subscription_id uuid NOT NULL,
    event_id uuid NOT NULL,
    number integer NOT NULL,                        -- from 1
    verdict text NOT NULL,                          -- delivered, again, dead, gone, later
    status integer,                                 -- the HTTP status, if there was a reply
    error_code text,
    error text,
    response_excerpt text,
    duration_ms integer NOT NULL,
    started_at timestamptz NOT NULL
) PARTITION BY RANGE (id);
CREATE INDEX attempts_delivery ON attempts (delivery_id, number);

CREATE TABLE alerts (
    id uuid PRIMARY KEY,
    account_id uuid,
    kind text NOT NULL,                             -- e.g. subscription.failing, subscription.disabled
    severity text NOT NULL,                         -- warning or error
    subject_id uuid,
    message text NOT NULL,
    detail jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL,
    resolved_at timestamptz
);
CREATE INDEX alerts_open ON alerts (account_id, id) WHERE resolved_at IS NULL;

CREATE TABLE audit_log (
    id uuid PRIMARY KEY,
    account_id uuid,
    actor text NOT NULL,                            -- `key:<prefix>`, `cli:<login>` or `system`
    action text NOT NULL,                           -- e.g. replay.created, subscription.rotated
    subject_kind text NOT NULL,
    subject_id text NOT NULL,
    reason text,
    detail jsonb NOT NULL DEFAULT '{}',
    at timestamptz NOT NULL
);
CREATE INDEX audit_account ON audit_log (account_id, id);

CREATE TABLE replay_jobs (
    id uuid PRIMARY KEY,
    account_id uuid,                                -- NULL: every account (CLI, superuser)
    target text NOT NULL,                           -- deliveries, messages or events
    filters jsonb NOT NULL DEFAULT '{}',
    state text NOT NULL,
    rate_per_second double precision,               -- NULL: as fast as it goes
    total bigint NOT NULL,
    done bigint NOT NULL DEFAULT 0,                 -- items replayed
    skipped bigint NOT NULL DEFAULT 0,              -- items passed over: in flight, expired, without a body
    skipped_why jsonb NOT NULL DEFAULT '{}',        -- {"gone": 3, "in_flight": 1}: skipped, by reason
    failed bigint NOT NULL DEFAULT 0,               -- messages that failed again
    cursor uuid,                                    -- the last item done; moves in the transaction that does it
    bound uuid NOT NULL,                            -- items created after the job are not its own
    next_slice_at timestamptz NOT NULL,
    asked_by text NOT NULL,
    reason text,
    created_at timestamptz NOT NULL,
    finished_at timestamptz
);
CREATE INDEX replay_jobs_running ON replay_jobs (next_slice_at) WHERE state = 'running';
CREATE INDEX replay_jobs_account ON replay_jobs (account_id, id);
"""


def upgrade() -> None:
    """Create everything, with a default partition each, so that no row is ever without a place."""
    op.execute(TABLES)
    for table in ("messages", "events", "attempts"):
        op.execute(f"CREATE TABLE {table}_default PARTITION OF {table} DEFAULT")


def downgrade() -> None:
    """There is nothing before the first schema."""
    raise RuntimeError("the first schema cannot be taken back; drop the database instead")
