"""The sources as the drain needs them, read from their tables.

Comes in: a connection. Comes out: every source by id, switched off or not: what was accepted is processed. Nothing is
left behind.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from shared.crypto import KeyRing
from shared.directory import Listing, listing

# Tenants are the ingress's business: whoever was let in is read.
_SOURCES = text("""
SELECT json_build_object('id', id, 'account_id', account_id, 'provider', provider, 'active', active, 'tenants', NULL,
                         'settings', settings, 'secrets', secrets, 'allowed_topics', allowed_topics,
                         'rate_per_second', coalesce(rate_per_second, 0))
FROM sources
""")


def load_listings(connection: Connection, ring: KeyRing, now: datetime) -> dict[UUID, Listing]:
    """Every source by id, secrets opened; one whose secrets cannot be opened has none."""
    listings = (listing(entry, ring, now=now) for entry in connection.execute(_SOURCES).scalars())
    return {UUID(made.source.id): made for made in listings}
