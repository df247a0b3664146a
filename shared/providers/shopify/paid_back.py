"""What a refund paid back: in the shop's money, and in what the customer saw.

Comes in: a refund's body. Comes out: one amount in two currencies, or none while it is not settled. A transaction is in
the currency that was paid in, and does not say what that is in the shop's; the lines, the shipping and the adjustments
say both. Pure.

Source: shopify.dev, admin-rest, resources/refund and resources/transaction, read 2026-11.
"""

from collections.abc import Callable
from dataclasses import dataclass

from shared import money
from shared.errors import PayloadUnexpected
from shared.providers import reading
from shared.providers.contract import JSON
from shared.providers.shopify import resource
from shared.providers.shopify.resource import Body

# Reads an amount of an object, by the name that its set has without `_set`; `None` when it is not there.
_Read = Callable[[Body, str], int | None]


@dataclass(frozen=True, slots=True)
class PaidBack:
    """What went back. `currency` is the shop's; `amount_minor` is in it, and `None` while nobody knows."""

    currency: str | None
    amount_minor: int | None = None
    presentment: dict[str, JSON] | None = None


def paid_back(body: Body, lines: list[Body], code: str | None) -> PaidBack:
    """What the refund of these lines paid back: its transactions that succeeded, or nothing while one is pending.

    Nor is it known where an amount is in a currency that we do not know.

    `code` is the shop's currency where that is known, as it is of a refund within its order.

    Raises:
        PayloadUnexpected: the transactions are in several currencies, or an amount is none.
    """
    refunds = [item for item in resource.objects(body, "transactions") if item.get("kind") == "refund"]
    named = {found for item in refunds if (found := reading.optional_currency(item))}
    if len(named) > 1:
        raise PayloadUnexpected("the transactions are in several currencies")
    shops, customers = _currencies(body, lines)
    paid_in = named.pop() if named else None
    code = code or shops or paid_in
    is_readable = code is not None and all(map(money.is_known, {code, paid_in or code}))
    if code is None or not is_readable or any(item.get("status") == "pending" for item in refunds):
        return PaidBack(code)
    seen_in = paid_in if paid_in not in (None, code) else customers or code
    shop = _reckoned(body, lines, lambda item, name: resource.amount(item, name, code))
    seen = shop if seen_in == code else _reckoned(body, lines, lambda item, name: _seen(item, name, seen_in))
    if "transactions" not in body:
        return PaidBack(code, shop, _presentment(seen_in, seen))
    paid = sum(
        resource.minor(item, "amount", paid_in or code) or 0 for item in refunds if item.get("status") == "success"
    )
    if paid == 0:  # a restock without money, or one whose transactions failed
        return PaidBack(code, 0, _presentment(seen_in, 0))
    if paid_in in (None, code):
        return PaidBack(code, paid, _presentment(seen_in, paid if seen_in == code else seen if shop == paid else None))
    return PaidBack(code, shop if seen == paid else None, _presentment(seen_in, paid))


def _presentment(code: str | None, amount: int | None) -> dict[str, JSON] | None:
    is_read = amount is not None and code is not None and money.is_known(code)
    return {"currency": code, "amountMinor": amount} if is_read else None


def _currencies(body: Body, lines: list[Body]) -> tuple[str | None, str | None]:
    """The shop's currency and the one that the customer saw, as far as an amount of the refund says them."""
    parts = [(line, "subtotal") for line in lines]
    parts += [(item, "amount") for item in resource.objects(body, "order_adjustments")]
    parts += [(item, "subtotal_amount") for item in resource.objects(body, "refund_shipping_lines")]
    parts.append((body, "total_duties"))
    for item, name in parts:
        if (shop := resource.code_of(item, name, "shop_money")) is not None:
            return shop, resource.code_of(item, name, "presentment_money")
    return None, None


def _seen(item: Body, name: str, code: str | None) -> int | None:
    found = resource.presentment_money(item, name)
    return found[0] if found is not None and found[1] == code else None


def _reckoned(body: Body, lines: list[Body], read: _Read) -> int:
    """What all of it comes to: the lines with their tax, shipping and duties, less what was kept back."""
    adjustments = resource.objects(body, "order_adjustments")
    parts = [(line, name) for line in lines for name in ("subtotal", "total_tax")]
    # An older body has the shipping among the adjustments, and a newer one may have it in both places.
    if not any(item.get("kind") == "shipping_refund" for item in adjustments):
        parts += [(item, "subtotal_amount") for item in resource.objects(body, "refund_shipping_lines")]
    parts += [(body, "total_duties"), (body, "total_additional_fees")]
    # An adjustment is negative where more went back than the lines are worth.
    kept_back = [(item, name) for item in adjustments for name in ("amount", "tax_amount")]
    return sum(read(*part) or 0 for part in parts) - sum(read(*part) or 0 for part in kept_back)
