"""What a sync has read of a shop so far: its pages, in `sync_pages`.

Comes in: pages, each with its stage and its number, from 0; and parts, numbered likewise, which are more of a list
within a node of a page. Left behind: a row for each, in the caller's transaction, where the progress counts it too. A
process that dies in the middle leaves what the last commit left.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import Connection, delete, select, text

from shared.db.upstream_tables import sync_pages
from workers.sync.shopify_files import Read
from workers.sync.shopify_reading import extend
from workers.sync.shopify_stages import STAGES, Stage

_PUT: Final = text("""
INSERT INTO sync_pages (integration_id, stage, number, body) VALUES (:integration_id, :stage, :number, :body)
ON CONFLICT (integration_id, stage, number) DO UPDATE SET body = excluded.body
""")
_PARTS: Final = {f"{stage.name}.{stage.inner.name}": stage for stage in STAGES if stage.inner}


def parts_of(stage: Stage) -> str:
    """The name that the parts of a stage's pages are kept under.

    Each is by itself, since a page that is written anew with every part of a collection of thousands would be most of
    what the database does.
    """
    return next(name for name, whose in _PARTS.items() if whose is stage)


def part(page: int, index: int, items: Sequence[Any]) -> list[dict[str, Any]]:
    """More of the list within the node `index` of the page, as `put` takes it."""
    return [{"page": page, "index": index, "items": items}]


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
    begins: dict[str, list[int]] = {}  # of each page, among the nodes of its stage
    parts: list[tuple[Stage, Mapping[str, Any]]] = []
    for row in connection.execute(query):
        if row.number != seen[row.stage]:
            return None
        seen[row.stage] += 1
        body = orjson.loads(row.body)
        if row.stage in _PARTS:
            parts += [(_PARTS[row.stage], one) for one in body]
            continue
        nodes = found.nodes.setdefault(row.stage, [])
        begins.setdefault(row.stage, []).append(len(nodes))
        nodes += body
    if seen != counts:
        return None
    for stage, one in parts:
        if stage.inner:
            extend(stage.inner, found.nodes[stage.name][begins[stage.name][one["page"]] + one["index"]], one["items"])
    return found
