"""Has a shop read anew after its products changed: once, however many webhooks tell of it.

Comes in: a batch, inside the drain's transaction. Left behind: the shop's sync due a little later, unless it was due
sooner anyway. A process that dies before the commit leaves nothing, and the batch comes again.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, text

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
_INTEGRATIONS: Final = text("""
SELECT i.id FROM unnest(CAST(:sources AS uuid[]), CAST(:tenants AS text[])) AS told (source_id, tenant)
JOIN integrations i ON i.source_id = told.source_id AND i.external_id = told.tenant AND i.state = 'active'
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
    """How many shops are to be read, no later than `in_seconds` from now. Idempotent."""
    told = {
        (str(inbound.source_id), tenant)
        for inbound in batch
        if (listing := listings.get(inbound.source_id)) is not None
        and (tenant := _changed(inbound, listing)) is not None
    }
    if not told:
        return 0
    values = {"sources": [source for source, _ in told], "tenants": [tenant for _, tenant in told]}
    found = connection.execute(_INTEGRATIONS, values).scalars().all()
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
