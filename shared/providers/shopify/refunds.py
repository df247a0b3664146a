"""Shopify's refunds: refunds/create, and the refunds within an order, which go on where the former leaves off.

Comes in: the body of a refund. Comes out: one change of one refund. A refund's own webhook comes once, and may come
before its money went back; that it did, only the order tells. Pure.
"""

from datetime import datetime
from typing import Final

from shared.errors import PayloadUnexpected
from shared.providers import reading
from shared.providers.contract import JSON, Change, Identity, Outcome, Source
from shared.providers.shopify import resource
from shared.providers.shopify.paid_back import paid_back
from shared.providers.shopify.resource import Body

_MAPPED: Final = frozenset(
    (
        "id",
        "admin_graphql_api_id",
        "order_id",
        "note",
        "created_at",
        "processed_at",
        "refund_line_items",
        "transactions",
    )
)
_PARTS: Final = ("transactions", "refund_line_items")  # without either it says nothing of what was refunded
# The line itself stands with the order.
_LINE: Final = frozenset(("id", "line_item_id", "line_item", "quantity", "subtotal", "total_tax"))
# What of a transaction is kept: its receipt is the gateway's, and may speak of the payer.
_TRANSACTION: Final = ("id", "kind", "gateway", "status", "amount", "currency", "processed_at")


def snapshot(body: Body, identity: Identity, source: Source) -> Outcome:
    """The refund as it was made."""
    del identity, source
    resource.identifier(body, "Refund")
    if not any(name in body for name in _PARTS):
        raise PayloadUnexpected("a refund has transactions or refund_line_items")
    order_id = reading.identifier(body, "order_id")
    refunded_at = reading.optional_instant(body, "processed_at") or reading.instant(body, "created_at")
    return Outcome(changes=(_change(body, order_id, None, refunded_at),))


def within_order(body: Body, order_id: str, code: str | None, version: datetime) -> list[Change]:
    """The refunds of an order as they are now, in the order's currency and of its version.

    One that a subscription asks for a few fields of only is left alone.
    """
    return [
        _change(refund, order_id, code, version)
        for refund in resource.objects(body, "refunds")
        if any(name in refund for name in _PARTS)
    ]


def _change(body: Body, order_id: str, code: str | None, version: datetime) -> Change:
    refund_id = resource.identifier(body, "Refund")
    lines = resource.objects(body, "refund_line_items")
    paid = paid_back(body, lines, code)
    fields: dict[str, JSON] = {
        "order_external_id": order_id,
        "amount_minor": paid.amount_minor,
        "currency": paid.currency,
        "presentment": paid.presentment,
        "attributes": {
            **reading.rest(body, _MAPPED),
            "transactions": [
                reading.with_text_ids({name: item[name] for name in _TRANSACTION if name in item})
                for item in resource.objects(body, "transactions")
            ],
        },
    }
    if "note" in body:
        fields["note"] = reading.optional_text(body, "note")
    if "refund_line_items" in body:
        fields["line_items"] = resource.items(
            body,
            "refund_line_items",
            lambda item: _line(item, paid.currency),
            resource.read_beside(_LINE, ("subtotal", "total_tax"), paid.currency),
        )
    made_at = reading.optional_instant(body, "created_at")
    at = reading.optional_instant(body, "processed_at") or made_at
    fields |= {name: value for name, value in (("created_at", made_at), ("refunded_at", at)) if value is not None}
    return Change("refund", "upsert", refund_id, version, fields)


def _line(item: Body, code: str | None) -> dict[str, JSON]:
    return {
        "id": reading.identifier(item),
        "lineItemId": reading.identifier(item, "line_item_id"),
        "quantity": reading.optional_integer(item, "quantity"),
        "amountMinor": _line_amount(item, code),
    }


def _line_amount(item: Body, code: str | None) -> int | None:
    """What a line is worth with its tax, in the shop's currency."""
    subtotal = resource.amount(item, "subtotal", code)
    return None if subtotal is None else subtotal + (resource.amount(item, "total_tax", code) or 0)
