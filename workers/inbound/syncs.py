"""Has a shop or a page read after a message that leaves something open: once, however many tell of it.

Those are messages about a shop's products, and any of a ManyChat page, which may tell little of a subscriber. Comes in:
a batch, inside the drain's transaction. Left behind: the sync due a little later, unless it was due sooner anyway. A
process that dies before the commit leaves nothing, and the batch comes again.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, TextClause, text

from shared import upstream_work
from shared.directory import Listing
from shared.providers.registry import PROVIDERS
from shared.upstream_work import Kind
from workers.inbound.reading import Inbound

# provider -> the headers that name the topic, and the topics that are about what a sync reads
_TOPICS: Final[Mapping[str, tuple[tuple[str, ...], frozenset[str]]]] = {
    "shopify": (
        ("x-shopify-topic", "shopify-topic"),
        frozenset({"products/create", "products/update", "products/delete"}),
    ),
}
# Their messages may tell as little of a person as their sender likes, and name the page in the body alone.
_SPARSE: Final = frozenset({"manychat"})
_PAGES: Final = text("""
SELECT id FROM integrations
WHERE source_id = ANY(CAST(:sources AS uuid[])) AND state = 'active' AND credentials IS NOT NULL
ORDER BY id
""")
_INTEGRATIONS: Final = text("""
SELECT i.id FROM unnest(CAST(:sources AS uuid[]), CAST(:tenants AS text[])) AS told (source_id, tenant)
JOIN integrations i ON i.source_id = told.source_id AND i.external_id = told.tenant
WHERE i.state = 'active' AND i.credentials IS NOT NULL
ORDER BY i.id
""")


def ask_syncs(
    connection: Connection,
    batch: Sequence[Inbound],
    listings: Mapping[UUID, Listing],
    *,
    now: datetime,
    in_seconds: float,
) -> int:
    """How many shops and pages are to be read, no later than `in_seconds` from now. Idempotent."""
    pages = {
        str(inbound.source_id)
        for inbound in batch
        if (listing := listings.get(inbound.source_id)) is not None and listing.source.provider in _SPARSE
    }
    count = _ask(connection, _PAGES, {"sources": sorted(pages)}, now=now, in_seconds=in_seconds) if pages else 0
    told = {
        (str(inbound.source_id), tenant)
        for inbound in batch
        if (listing := listings.get(inbound.source_id)) is not None
        and (tenant := _changed(inbound, listing)) is not None
    }
    if not told:
        return count
    values = {"sources": [source for source, _ in told], "tenants": [tenant for _, tenant in told]}
    return count + _ask(connection, _INTEGRATIONS, values, now=now, in_seconds=in_seconds)


def _ask(
    connection: Connection, query: TextClause, values: Mapping[str, Any], *, now: datetime, in_seconds: float
) -> int:
    found = connection.execute(query, values).scalars().all()
    if found:
        upstream_work.ask(connection, found, Kind.SYNC, now=now, in_seconds=in_seconds)
    return len(found)


def _changed(inbound: Inbound, listing: Listing) -> str | None:
    """The shop whose products changed; `None` when it is about something else."""
    known = _TOPICS.get(listing.source.provider)
    if known is None:
        return None
    headers, topics = known
    if not any(inbound.request.headers.get(name) in topics for name in headers):
        return None
    return PROVIDERS[listing.source.provider].route(inbound.request, listing.source)
