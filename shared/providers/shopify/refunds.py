"""Shopify's refunds: refunds/create. A refund never changes afterwards.

Comes in: the body of a refund. Comes out: one change of one refund. Pure.
"""

from typing import Final

from shared.errors import PayloadUnexpected
from shared.providers import reading
from shared.providers.contract import JSON, Change, Identity, Outcome, Source
from shared.providers.shopify import resource
from shared.providers.shopify.resource import Body

_MAPPED: Final = frozenset(
    ("id", "admin_graphql_api_id", "order_id", "note", "processed_at", "refund_line_items", "transactions")
)
# The line itself stands with the order.
_LINE: Final = frozenset(("id", "line_item_id", "line_item", "quantity", "subtotal", "total_tax"))
# What of a transaction is kept: its receipt is the gateway's, and may speak of the payer.
_TRANSACTION: Final = ("id", "kind", "gateway", "status", "amount", "currency", "processed_at")


def snapshot(body: Body, identity: Identity, source: Source) -> Outcome:
    """The refund."""
    del identity, source
    refund_id = resource.identifier(body, "Refund")
    order_id = reading.identifier(body, "order_id")
    if "transactions" not in body and "refund_line_items" not in body:
        raise PayloadUnexpected("a refund has transactions or refund_line_items")
    version = reading.optional_instant(body, "processed_at") or reading.instant(body, "created_at")
    lines = resource.objects(body, "refund_line_items")
    code = _currency(body, lines)
    fields: dict[str, JSON] = {
        "order_external_id": order_id,
        "amount_minor": _amount(body, lines, code),
        "currency": code,
        "note": reading.optional_text(body, "note"),
        "line_items": resource.items(body, "refund_line_items", _line, _LINE),
        "refunded_at": version,
        "attributes": {
            **resource.rest(body, _MAPPED),
            "transactions": [
                reading.with_text_ids({name: item[name] for name in _TRANSACTION if name in item})
                for item in resource.objects(body, "transactions")
            ],
        },
    }
    return Outcome(changes=(Change("refund", "upsert", refund_id, version, fields),))


def _paid_back(body: Body) -> list[Body]:
    return [
        item
        for item in resource.objects(body, "transactions")
        if item.get("kind") == "refund" and item.get("status") == "success"
    ]


def _currency(body: Body, lines: list[Body]) -> str | None:
    """The currency that the money went back in; a transaction may leave it out, and then it is the shop's."""
    named = {code for item in _paid_back(body) if (code := resource.currency(item))}
    if len(named) > 1:
        raise PayloadUnexpected("the transactions are in several currencies")
    if named:
        return named.pop()
    sets = [(item, "subtotal_set") for item in lines] + [(body, "total_duties_set")]
    found = [money for item, name in sets if (money := resource.shop_money(item, name))]
    return found[0][1] if found else None


def _amount(body: Body, lines: list[Body], code: str | None) -> int | None:
    """What was paid back: the refunds that succeeded. A restock without money is 0.

    Only where the body does not speak of transactions is it reckoned from the lines and the adjustments.
    Source: shopify.dev, admin-rest, resources/refund, read 2026-11.
    """
    if code is None:
        return None
    if "transactions" in body:
        return sum(resource.minor(item, "amount", code) or 0 for item in _paid_back(body))
    adjustments = resource.objects(body, "order_adjustments")
    of_lines = sum(_line_amount(item) or 0 for item in lines)
    # Money that went back beside the lines, shipping for instance, is a negative adjustment.
    beside = sum(
        (resource.amount(item, "amount", code) or 0) + (resource.amount(item, "tax_amount", code) or 0)
        for item in adjustments
    )
    return of_lines - beside


def _line(item: Body) -> dict[str, JSON]:
    return {
        "id": reading.identifier(item),
        "lineItemId": reading.identifier(item, "line_item_id"),
        "quantity": reading.optional_integer(item, "quantity"),
        "amountMinor": _line_amount(item),
    }


def _line_amount(item: Body) -> int | None:
    """What a line is worth with its tax, in the shop's currency, which only the sets name."""
    subtotal, tax = resource.shop_money(item, "subtotal"), resource.shop_money(item, "total_tax")
    return None if subtotal is None else subtotal[0] + (tax[0] if tax else 0)
