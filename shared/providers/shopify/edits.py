"""Shopify's order edits: which lines became more or less, and not what the order came to.

Comes in: the body of orders/edited. Comes out: what is to be added to the lines that are known, and that the order is
to be asked for, since neither prices nor totals are told; orders/updated, which comes of an edit as well, or the answer
tells them. Pure.

Source: shopify.dev, webhooks topics reference, orders/edited, read 2026-11.
"""

from collections.abc import Iterator
from typing import Any, Final

from shared.errors import PayloadUnexpected
from shared.providers import reading
from shared.providers.contract import Change, Identity, Outcome, Source
from shared.providers.shopify import resource
from shared.providers.shopify.resource import Body

PIECES_MAX: Final = 1_000_000_000  # of one line in one edit


def edit(body: Body, identity: Identity, source: Source) -> Outcome:
    """What an edit that was committed makes of its order.

    Without the instant of its commit, which came with API version 2024-07, it cannot be told whether a snapshot has it
    already: then the order is asked for and nothing is added.
    """
    del source
    told = reading.as_object(body.get("order_edit"), "order_edit")
    edit_id, order_id = reading.identifier(told), reading.identifier(told, "order_id")
    committed_at = reading.optional_instant(told, "committed_at")
    lines = list(_lines(told))
    at = committed_at or identity.occurred_at
    changes = [Change("inquiry", "upsert", order_id, at, {"of": "order"})]
    if committed_at is not None and lines:
        fields = {"key": f"edit:{edit_id}", "line_items": lines}
        changes.insert(0, Change("order", "adjust", order_id, committed_at, fields))
    return Outcome(changes=tuple(changes))


def _lines(told: Body) -> Iterator[dict[str, Any]]:
    """What of each line was added and removed: one line may have both."""
    given = reading.as_object(told.get("line_items"), "line_items")
    found: dict[str, dict[str, Any]] = {}
    for theirs, ours in (("additions", "added"), ("removals", "removed")):
        for item in resource.objects(given, theirs):
            line_id = reading.identifier(item)
            line = found.setdefault(line_id, {"id": line_id, "added": 0, "removed": 0})
            line[ours] += _pieces(item)
    yield from found.values()


def _pieces(item: Body) -> int:
    pieces = reading.optional_integer(item, "delta")
    if pieces is None or not 0 <= pieces <= PIECES_MAX:
        raise PayloadUnexpected("delta is no number of pieces")
    return pieces
