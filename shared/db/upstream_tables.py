"""What we do at providers, as queries see it; the migrations 0003, 0004, 0006 and 0010 are the truth.

Nothing is left behind by importing this.
"""

from sqlalchemy import TIMESTAMP, BigInteger, Column, Integer, Table, Text
from sqlalchemy.dialects.postgresql import JSONB, UUID

from shared.db.tables import metadata


def _time() -> TIMESTAMP:
    return TIMESTAMP(timezone=True)


upstream_work = Table(
    "upstream_work",
    metadata,
    Column("integration_id", UUID(as_uuid=True), primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("due_at", _time()),
    Column("asked_for", _time()),
    Column("not_before", _time()),
    Column("left_alone_until", _time()),
    Column("claim_id", UUID(as_uuid=True)),
    Column("lease_until", _time()),
    Column("tries", Integer, nullable=False),
    Column("progress", JSONB),
    Column("progressed_at", _time()),
    Column("result", JSONB, nullable=False),
    Column("error_code", Text),
    Column("error", Text),
    Column("started_at", _time()),
    Column("finished_at", _time()),
)

registrations = Table(
    "registrations",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("integration_id", UUID(as_uuid=True), nullable=False),
    Column("topic", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("external_id", Text),
    Column("address", Text),
    Column("note", Text),
    Column("drops", Integer, nullable=False),
    Column("registered_at", _time()),
    Column("checked_at", _time(), nullable=False),
)

sync_pages = Table(
    "sync_pages",
    metadata,
    Column("integration_id", UUID(as_uuid=True), primary_key=True),
    Column("stage", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("body", Text, nullable=False),
)

inquiries = Table(
    "inquiries",
    metadata,
    Column("integration_id", UUID(as_uuid=True), primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("at", _time(), nullable=False),
    Column("times", Integer, nullable=False),
)

documents = Table(
    "documents",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("account_id", UUID(as_uuid=True), nullable=False),
    Column("path", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("created_at", _time(), nullable=False),
    Column("updated_at", _time(), nullable=False),
)
