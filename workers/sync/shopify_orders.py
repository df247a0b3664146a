"""Orders that were edited, as their shop says they are: what an edit's webhook leaves open.

Comes in: an order's id and the instant of the edit. Comes out: a change in the very words of the webhooks, but without
the person, whose data a webhook brings and an app may have no access to here. Nothing is left behind but by the caller;
a webhook that came meanwhile and is newer wins.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, select

from shared import money
from shared.clock import parse_instant
from shared.db.engine import transaction
from shared.db.tables import RECORD_TABLES
from shared.providers.contract import Change
from workers.inbound.learn import Learned
from workers.sync.job import Job
from workers.sync.shopify_api import ShopifyApi
from workers.sync.shopify_reading import whole
from workers.sync.shopify_records import learn_batch, number_of
from workers.sync.shopify_stages import Inner
from workers.sync.upstream import UpstreamFailed

_PAGE: Final = "pageInfo { hasNextPage endCursor }"
_MONEY: Final = "{ shopMoney { amount currencyCode } presentmentMoney { amount currencyCode } }"
_LINES: Final = f"""nodes {{ id sku title quantity currentQuantity product {{ id }} variant {{ id }}
        originalUnitPriceSet {{ shopMoney {{ amount }} }}
        discountAllocations {{ allocatedAmountSet {{ shopMoney {{ amount }} }} }} }} {_PAGE}"""
# Source: shopify.dev, GraphQL Admin API, Order, LineItem, read 2026-11. Of 50 lines it costs less than half of what one
# query may.
ORDER: Final = f"""query Order($id: ID!) {{
  order(id: $id) {{ id name updatedAt processedAt cancelledAt cancelReason closedAt test currencyCode tags discountCodes
    displayFinancialStatus displayFulfillmentStatus
    totalPriceSet {_MONEY} subtotalPriceSet {_MONEY} totalTaxSet {_MONEY} totalDiscountsSet {_MONEY}
    totalShippingPriceSet {_MONEY} currentTotalPriceSet {_MONEY}
    lineItems(first: 50) {{ {_LINES} }} }}
}}"""
_MORE: Final = Inner(
    (),
    (),
    "lineItems",
    "order",
    f"""query Lines($id: ID!, $inner: String) {{
  order(id: $id) {{ lineItems(first: 100, after: $inner) {{ {_LINES} }} }}
}}""",
)
_FINANCIAL: Final = frozenset(
    ("pending", "authorized", "partially_paid", "paid", "partially_refunded", "refunded", "voided")
)
# What their other words come to, a webhook tells: it knows of what is partly on its way, and these do not say.
_FULFILLMENT: Final[Mapping[str, str]] = {
    "UNFULFILLED": "unfulfilled",
    "PARTIALLY_FULFILLED": "partial",
    "FULFILLED": "fulfilled",
    "RESTOCKED": "returned",
}
_AMOUNTS: Final[Mapping[str, str]] = {
    "total_minor": "totalPriceSet",
    "subtotal_minor": "subtotalPriceSet",
    "tax_minor": "totalTaxSet",
    "discount_minor": "totalDiscountsSet",
    "shipping_minor": "totalShippingPriceSet",
}
_SEEN: Final[Mapping[str, str]] = {
    "totalMinor": "totalPriceSet",
    "subtotalMinor": "subtotalPriceSet",
    "taxMinor": "totalTaxSet",
    "discountMinor": "totalDiscountsSet",
    "shippingMinor": "totalShippingPriceSet",
}

Node = Mapping[str, Any]


def ask_order(job: Job, order_id: str, at: datetime) -> Callable[[Connection], Learned] | None:
    """Ask the shop for an order that is known and that no snapshot later than `at` has told; how the answer is kept.

    `None`: there is nothing to ask, or the order is not there any more, which a webhook of its own tells.

    Raises:
        UpstreamFailed: the shop could not be asked.
    """
    with transaction(job.context.engine) as connection:
        known = _known(connection, job, order_id)
    if known is None or (known["version"] is not None and known["version"] > at):
        return None
    api = ShopifyApi(job)
    node = api.run("inquiry.order", ORDER, {"id": f"gid://shopify/Order/{order_id}"}).get("order", False)
    if node is False:
        raise UpstreamFailed("answer_malformed", "The shop's answer has no order")
    if node is None:
        return None
    node = whole(api, _MORE, node)

    def keep(connection: Connection) -> Learned:
        row = _known(connection, job, order_id, lock=True)
        return Learned() if row is None else learn_batch(connection, job, [_change(order_id, node, row)])

    return keep


def _known(connection: Connection, job: Job, order_id: str, *, lock: bool = False) -> RowMapping | None:
    """The order as we have it; `None` when we do not, or it is gone."""
    table = RECORD_TABLES["order"]
    query = select(table.c.version, table.c.tags, table.c.line_items).where(
        table.c.account_id == job.integration["account_id"],
        table.c.provider == "shopify",
        table.c.tenant == job.tenant,
        table.c.external_id == order_id,
        table.c.deleted_at.is_(None),
    )
    query = query.with_for_update(key_share=True) if lock else query
    return connection.execute(query).mappings().one_or_none()


def _change(order_id: str, node: Node, known: RowMapping) -> Change:
    try:
        return Change("order", "upsert", order_id, _updated_at(node), _fields(node, known))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        # What no order of Shopify's is: its name, and never the value, which may be personal.
        raise UpstreamFailed("answer_unexpected", f"order: {type(error).__name__}", is_final=True) from error


def _updated_at(node: Node) -> datetime:
    at = parse_instant(node["updatedAt"])
    if at is None:
        raise ValueError("updatedAt is no time")
    return at


def _fields(node: Node, known: RowMapping) -> dict[str, Any]:
    code = node["currencyCode"]
    fields: dict[str, Any] = {
        "number": node["name"],
        "currency": code,
        "status": "cancelled" if node["cancelledAt"] else "closed" if node["closedAt"] else "open",
        "cancelled_at": node["cancelledAt"],
        "cancel_reason": node["cancelReason"].lower() if node["cancelReason"] else None,
        "placed_at": node["processedAt"],
        "is_test": node["test"],
        "discount_codes": node["discountCodes"],
        # The same words in another order are no news.
        "tags": known["tags"] if sorted(known["tags"]) == sorted(node["tags"]) else node["tags"],
        "presentment": _presentment(node),
        "line_items": _lines(node["lineItems"], code, known["line_items"]),
        "attributes": _attributes(node, code),
        # But for the total, a shop may know none of them.
        **{
            ours: _minor(amount["shopMoney"]["amount"], code)
            for ours, theirs in _AMOUNTS.items()
            if (amount := node[theirs]) is not None
        },
    }
    if (financial := _financial(node)) in _FINANCIAL:
        fields["financial_status"] = financial
    if (fulfillment := _FULFILLMENT.get(node["displayFulfillmentStatus"])) is not None:
        fields["fulfillment_status"] = fulfillment
    return fields


def _attributes(node: Node, code: str) -> dict[str, Any]:
    """What webhooks tell in words that we have no field for, in the same words: they would be news again else."""
    told: dict[str, Any] = {} if (financial := _financial(node)) is None else {"financial_status": financial}
    left = _minor(node["currentTotalPriceSet"]["shopMoney"]["amount"], code)
    # A webhook writes it with its currency's decimals, and how many those are is not known then.
    return told if left is None else told | {"current_total_price": money.to_text(left, code)}


def _financial(node: Node) -> str | None:
    word: str | None = node["displayFinancialStatus"]
    return None if word is None else word.lower()


def _minor(amount: str, code: str) -> int | None:
    """The amount in minor units; `None` where we do not know the currency, as a webhook's is read."""
    return money.to_minor(amount, code) if money.is_known(code) else None


def _presentment(node: Node) -> dict[str, Any] | None:
    """The amounts as the customer saw them, those that are in the currency of the total."""
    code = node["totalPriceSet"]["presentmentMoney"]["currencyCode"]
    if not money.is_known(code):
        return None
    seen: dict[str, Any] = {"currency": code}
    for name, theirs in _SEEN.items():
        if node[theirs] is None:
            continue
        money_seen = node[theirs]["presentmentMoney"]
        if money_seen["currencyCode"] == code:
            seen[name] = money.to_minor(money_seen["amount"], code)
    return seen


def _lines(nodes: Sequence[Node], code: str, known: Sequence[Node]) -> list[dict[str, Any]]:
    """The lines as webhooks tell them; how far each is on its way, which an edit does not change, as they told it."""
    on_its_way = {line.get("id"): line.get("status") for line in known}
    return [_line(node, code, on_its_way) for node in nodes]


def _line(node: Node, code: str, on_its_way: Mapping[Any, Any]) -> dict[str, Any]:
    line_id, quantity = number_of(node["id"]), node["quantity"]
    price = _minor(node["originalUnitPriceSet"]["shopMoney"]["amount"], code)
    taken_off = [one["allocatedAmountSet"]["shopMoney"]["amount"] for one in node["discountAllocations"]]
    discount = sum(_minor(amount, code) or 0 for amount in taken_off)
    return {
        "id": line_id,
        "sku": node["sku"] or None,
        "title": node["title"],
        "quantity": quantity,
        "currentQuantity": node["currentQuantity"],
        "priceMinor": price,
        "totalMinor": None if price is None else price * quantity - discount,
        "productId": number_of(node["product"]["id"]) if node["product"] else None,
        "variantId": number_of(node["variant"]["id"]) if node["variant"] else None,
        "status": on_its_way.get(line_id) or "unfulfilled",
    }
