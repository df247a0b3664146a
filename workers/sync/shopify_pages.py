"""What a sync has read of a shop so far: its pages, in `sync_pages`.

Comes in: pages, each with its stage and its number, from 0. Left behind: a row for each, in the caller's transaction,
where the progress counts it too. A process that dies in the middle leaves what the last commit left.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import Connection, delete, select, text

from shared.db.upstream_tables import sync_pages
from workers.sync.shopify_files import Read

_PUT: Final = text("""
INSERT INTO sync_pages (integration_id, stage, number, body) VALUES (:integration_id, :stage, :number, :body)
ON CONFLICT (integration_id, stage, number) DO UPDATE SET body = excluded.body
""")


def put(connection: Connection, integration_id: UUID, stage: str, number: int, nodes: Sequence[Any]) -> None:
    """Keep a page; again is no harm."""
    values = {"integration_id": str(integration_id), "stage": stage, "number": number}
    connection.execute(_PUT, values | {"body": orjson.dumps(nodes).decode()})


def forget(connection: Connection, integration_id: UUID) -> None:
    """Have none any more."""
    connection.execute(delete(sync_pages).where(sync_pages.c.integration_id == integration_id))


def read(connection: Connection, integration_id: UUID, counts: Mapping[str, int]) -> Read | None:
    """Every page; `None` unless there are as many of each stage as `counts` says, numbered without a gap.

    What is not in the reading is taken to be gone from the shop, so a reading with a hole must not be taken for one.
    """
    query = (
        select(sync_pages.c.stage, sync_pages.c.number, sync_pages.c.body)
        .where(sync_pages.c.integration_id == integration_id)
        .order_by(sync_pages.c.stage, sync_pages.c.number)
    )
    found, seen = Read(), Counter[str]()
    for row in connection.execute(query):
        if row.number != seen[row.stage]:
            return None
        seen[row.stage] += 1
        found.nodes.setdefault(row.stage, []).extend(orjson.loads(row.body))
    return found if seen == counts else None
