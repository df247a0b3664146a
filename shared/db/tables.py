"""The tables as SQLAlchemy Core sees them: names and types for writing queries, no ORM.

The migrations own the schema (constraints, indexes, partitions and comments are there); a test proves that these
columns are the database's. Nothing is left behind by importing this.
"""

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Double, Integer, LargeBinary, MetaData, Table, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP, UUID

from shared.record_kinds import RECORDS, Form, RecordKind

metadata = MetaData()


def _time() -> TIMESTAMP:
    return TIMESTAMP(timezone=True)


accounts = Table(
    "accounts",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("slug", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("created_at", _time(), nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("account_id", UUID(as_uuid=True)),
    Column("name", Text, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("key_hash", LargeBinary, nullable=False),
    Column("role", Text, nullable=False),
    Column("created_at", _time(), nullable=False),
    Column("last_used_at", _time()),
    Column("revoked_at", _time()),
)

sources = Table(
    "sources",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("account_id", UUID(as_uuid=True), nullable=False),
    Column("provider", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("any_tenant", Boolean, nullable=False),
    Column("settings", JSONB, nullable=False),
    Column("secrets", JSONB, nullable=False),
    Column("allowed_topics", ARRAY(Text)),
    Column("rate_per_second", Integer),
    Column("created_at", _time(), nullable=False),
    Column("updated_at", _time(), nullable=False),
)

integrations = Table(
    "integrations",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("account_id", UUID(as_uuid=True), nullable=False),
    Column("source_id", UUID(as_uuid=True), nullable=False),
    Column("external_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("credentials", Text),
    Column("detail", JSONB, nullable=False),
    Column("created_at", _time(), nullable=False),
    Column("updated_at", _time(), nullable=False),
    Column("installed_at", _time()),
)

message_keys = Table(
    "message_keys",
    metadata,
    Column("source_id", UUID(as_uuid=True), primary_key=True),
    Column("key", LargeBinary, primary_key=True),
    Column("message_id", UUID(as_uuid=True), nullable=False),
    Column("received_at", _time(), nullable=False),
)

messages = Table(
    "messages",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("account_id", UUID(as_uuid=True), nullable=False),
    Column("source_id", UUID(as_uuid=True), nullable=False),
    Column("provider", Text, nullable=False),
    Column("topic", Text),
    Column("tenant", Text, nullable=False),
    Column("delivery_key", Text),
    Column("method", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("headers", JSONB, nullable=False),
    Column("body", LargeBinary),
    Column("body_digest", LargeBinary, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason_code", Text),
    Column("reason", Text),
    Column("duplicate_of", UUID(as_uuid=True)),
    Column("events_count", Integer, nullable=False),
    Column("replays", Integer, nullable=False),
    Column("received_at", _time(), nullable=False),
    Column("occurred_at", _time()),
    Column("processed_at", _time(), nullable=False),
    Column("subjects", ARRAY(Text), nullable=False),
)

users = Table(
    "users",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("account_id", UUID(as_uuid=True), nullable=False),
    Column("provider", Text, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("version", _time()),
    Column("deleted_at", _time()),
    Column("manychat_id", Text),
    Column("instagram_username", Text),
    Column("instagram_id", Text),
    Column("first_name", Text),
    Column("last_name", Text),
    Column("full_name", Text),
    Column("email", Text),
    Column("phone", Text),
    Column("whatsapp_phone", Text),
    Column("gender", Text),
    Column("locale", Text),
    Column("timezone", Text),
    Column("profile_pic", Text),
    Column("roles", ARRAY(Text), nullable=False),
    Column("opt_ins", JSONB, nullable=False),
    Column("export_consent_given", Boolean, nullable=False),
    Column("export_consent_at", _time()),
    Column("tags", JSONB, nullable=False),
    Column("custom_fields", JSONB, nullable=False),
    Column("address", JSONB),
    Column("interactions", JSONB, nullable=False),
    Column("stats", JSONB, nullable=False),
    Column("attributes", JSONB, nullable=False),
    Column("subscribed_at", _time()),
    Column("created_at", _time(), nullable=False),
    Column("updated_at", _time(), nullable=False),
    Column("redacted_at", _time()),
)


def _column(name: str, form: Form) -> "Column[Any]":
    """A record's field as a column."""
    match form:
        case Form.TIME:
            return Column(name, _time())
        case Form.MINOR | Form.COUNT:
            return Column(name, BigInteger)
        case Form.NUMBER:
            return Column(name, Double)
        case Form.FLAG:
            return Column(name, Boolean, nullable=False)
        case Form.PART:
            return Column(name, JSONB)
        case Form.OBJECT | Form.CUSTOM | Form.FLAGS | Form.COUNTS | Form.ITEMS | Form.TAGS:
            return Column(name, JSONB, nullable=False)
        case Form.TEXTS:
            return Column(name, ARRAY(Text), nullable=False)
        case Form.TEXT | Form.ID:
            return Column(name, Text)


def _records(kind: RecordKind) -> Table:
    return Table(
        kind.table,
        metadata,
        Column("id", UUID(as_uuid=True), primary_key=True),
        Column("account_id", UUID(as_uuid=True), nullable=False),
        Column("provider", Text, nullable=False),
        Column("tenant", Text, nullable=False),
        Column("external_id", Text, nullable=False),
        Column("version", _time()),
        Column("deleted_at", _time()),
        Column("redacted_at", _time()),
        *(_column(field.name, field.form) for field in kind.fields),
        Column("created_at", _time(), nullable=False),
        Column("updated_at", _time(), nullable=False),
    )


# By kind, e.g. RECORD_TABLES["order"] is `orders`.
RECORD_TABLES = {"user": users} | {name: _records(kind) for name, kind in RECORDS.items()}

exports = Table(
    "exports",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("account_id", UUID(as_uuid=True), nullable=False),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", JSONB, nullable=False),
    Column("message_id", UUID(as_uuid=True)),
    Column("requested_at", _time(), nullable=False),
    Column("due_at", _time(), nullable=False),
    Column("finished_at", _time()),
    Column("path", Text),
    Column("sha256", Text),
    Column("bytes", BigInteger),
    Column("error", Text),
)

erasures = Table(
    "erasures",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("account_id", UUID(as_uuid=True), nullable=False),
    Column("state", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("orders", ARRAY(Text), nullable=False),
    Column("message_id", UUID(as_uuid=True)),
    Column("counts", JSONB, nullable=False),
    Column("requested_at", _time(), nullable=False),
    Column("due_at", _time(), nullable=False),
    Column("finished_at", _time()),
    Column("fence", BigInteger),
)

events = Table(
    "events",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("account_id", UUID(as_uuid=True), nullable=False),
    Column("message_id", UUID(as_uuid=True)),
    Column("source_id", UUID(as_uuid=True)),
    Column("type", Text, nullable=False),
    Column("subject_kind", Text),
    Column("subject_id", UUID(as_uuid=True)),
    Column("body", Text, nullable=False),
    Column("occurred_at", _time(), nullable=False),
    Column("created_at", _time(), nullable=False),
)

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("account_id", UUID(as_uuid=True), nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("destination", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("events", ARRAY(Text), nullable=False),
    Column("secrets", JSONB, nullable=False),
    Column("settings", JSONB, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("disabled_reason", Text),
    Column("disabled_at", _time()),
    Column("retry_attempts", Integer, nullable=False),
    Column("retry_delay_seconds", Double, nullable=False),
    Column("schedule", Text),
    Column("timeout_ms", Integer, nullable=False),
    Column("disable_after", Integer, nullable=False),
    Column("disable_after_seconds", Double, nullable=False),
    Column("max_in_flight", Integer, nullable=False),
    Column("ordering", Text, nullable=False),
    Column("created_at", _time(), nullable=False),
    Column("updated_at", _time(), nullable=False),
    Column("deleted_at", _time()),
)

lanes = Table(
    "lanes",
    metadata,
    Column("subscription_id", UUID(as_uuid=True), primary_key=True),
    Column("success_count", BigInteger, nullable=False),
    Column("failed_count", BigInteger, nullable=False),
    Column("last_delivery_status", Text),
    Column("last_delivery_at", _time()),
    Column("consecutive_failures", Integer, nullable=False),
    Column("first_failure_at", _time()),
    Column("pauses", Integer, nullable=False),
    Column("paused_until", _time()),
    Column("warned_percent", Integer, nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("account_id", UUID(as_uuid=True), nullable=False),
    Column("event_id", UUID(as_uuid=True), nullable=False),
    Column("subscription_id", UUID(as_uuid=True), nullable=False),
    Column("event_type", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("strict", Boolean, nullable=False),
    Column("record_id", UUID(as_uuid=True)),
    Column("tries", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", _time(), nullable=False),
    Column("claim_id", UUID(as_uuid=True)),
    Column("lease_until", _time()),
    Column("accepted_at", _time()),
    Column("created_at", _time(), nullable=False),
    Column("finished_at", _time()),
    Column("last_status", Integer),
    Column("last_error", Text),
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("account_id", UUID(as_uuid=True), nullable=False),
    Column("delivery_id", UUID(as_uuid=True), nullable=False),
    Column("subscription_id", UUID(as_uuid=True), nullable=False),
    Column("event_id", UUID(as_uuid=True), nullable=False),
    Column("number", Integer, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("status", Integer),
    Column("error_code", Text),
    Column("error", Text),
    Column("response_excerpt", Text),
    Column("duration_ms", Integer, nullable=False),
    Column("started_at", _time(), nullable=False),
)

alerts = Table(
    "alerts",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("account_id", UUID(as_uuid=True)),
    Column("kind", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("subject_id", UUID(as_uuid=True)),
    Column("message", Text, nullable=False),
    Column("detail", JSONB, nullable=False),
    Column("created_at", _time(), nullable=False),
    Column("resolved_at", _time()),
)

audit_log = Table(
    "audit_log",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("account_id", UUID(as_uuid=True)),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject_kind", Text, nullable=False),
    Column("subject_id", Text, nullable=False),
    Column("reason", Text),
    Column("detail", JSONB, nullable=False),
    Column("at", _time(), nullable=False),
)

replay_jobs = Table(
    "replay_jobs",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("account_id", UUID(as_uuid=True)),
    Column("target", Text, nullable=False),
    Column("filters", JSONB, nullable=False),
    Column("state", Text, nullable=False),
    Column("rate_per_second", Double),
    Column("total", BigInteger, nullable=False),
    Column("done", BigInteger, nullable=False),
    Column("skipped", BigInteger, nullable=False),
    Column("skipped_why", JSONB, nullable=False),
    Column("failed", BigInteger, nullable=False),
    Column("cursor", UUID(as_uuid=True)),
    Column("bound", UUID(as_uuid=True), nullable=False),
    Column("next_slice_at", _time(), nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("reason", Text),
    Column("created_at", _time(), nullable=False),
    Column("finished_at", _time()),
)
