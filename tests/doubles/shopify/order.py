"""An order of the double: its lines, what became of them in edits, and how its shop tells of it in either API."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

PLACED = datetime(2026, 11, 1, 10, 0, tzinfo=UTC)


@dataclass
class Line:
    """One line. What is removed from it was ordered once all the same."""

    id: int
    sku: str
    cents: int
    quantity: int
    removed: int = 0

    @property
    def current(self) -> int:
        return self.quantity - self.removed


@dataclass
class Order:
    """An order's state, which tests read and change."""

    id: int
    lines: list[Line] = field(default_factory=list)
    updated_at: datetime = PLACED
    edits: int = 0
    currency: str = "EUR"

    def add(self, sku: str, cents: int, quantity: int) -> Line:
        """Put a line on the order."""
        line = Line(self.id * 100 + len(self.lines) + 1, sku, cents, quantity)
        self.lines.append(line)
        return line

    def edit(self, *, more: Mapping[int, int] = {}, less: Mapping[int, int] = {}, at: datetime) -> dict[str, Any]:
        """Change pieces by line and commit; the body of orders/edited. Takes no more away than there is."""
        known = {line.id: line for line in self.lines}
        for line_id, pieces in more.items():
            known[line_id].quantity += pieces
        for line_id, pieces in less.items():
            if not 0 < pieces <= known[line_id].current:
                raise ValueError(f"line {line_id} has no {pieces} pieces")
            known[line_id].removed += pieces
        return self.commit(added=more, removed=less, at=at)

    def put(self, sku: str, cents: int, quantity: int, *, at: datetime) -> dict[str, Any]:
        """Add a line in an edit and commit; the body of orders/edited."""
        return self.commit(added={self.add(sku, cents, quantity).id: quantity}, removed={}, at=at)

    def commit(self, *, added: Mapping[int, int], removed: Mapping[int, int], at: datetime) -> dict[str, Any]:
        """An edit that is done; the body of orders/edited."""
        self.edits += 1
        self.updated_at = at
        return {
            "order_edit": {
                "id": self.id * 100 + 50 + self.edits,
                "order_id": self.id,
                "created_at": at.isoformat(),
                "committed_at": at.isoformat(),
                "line_items": {
                    "additions": [{"id": line_id, "delta": pieces} for line_id, pieces in added.items()],
                    "removals": [{"id": line_id, "delta": pieces} for line_id, pieces in removed.items()],
                },
            }
        }

    @property
    def cents(self) -> int:
        return sum(line.cents * line.current for line in self.lines)

    def snapshot(self) -> dict[str, Any]:
        """The order as orders/updated tells it."""
        return {
            "id": self.id,
            "admin_graphql_api_id": f"gid://shopify/Order/{self.id}",
            "name": f"#{self.id}",
            "created_at": PLACED.isoformat(),
            "processed_at": PLACED.isoformat(),
            "updated_at": self.updated_at.isoformat(),
            "cancelled_at": None,
            "closed_at": None,
            "cancel_reason": None,
            "currency": self.currency,
            "email": "zoe@lindenhof.example",
            "financial_status": "paid",
            "fulfillment_status": None,
            "tags": "b2b, gift",
            "test": False,
            "discount_codes": [],
            **{f"{name}_set": _both(self.cents, self.currency) for name in ("total_price", "subtotal_price")},
            **{
                f"{name}_set": _both(0, self.currency)
                for name in ("total_tax", "total_discounts", "total_shipping_price")
            },
            "current_total_price": _text(self.cents),
            "line_items": [
                {
                    "id": line.id,
                    "sku": line.sku,
                    "title": f"Kettle {line.sku}",
                    "price": _text(line.cents),
                    "quantity": line.quantity,
                    "current_quantity": line.current,
                    "product_id": 7,
                    "variant_id": None,
                }
                for line in self.lines
            ],
        }

    def node(self) -> dict[str, Any]:
        """The order as the GraphQL API shows it; of its lines, all."""
        return {
            "id": f"gid://shopify/Order/{self.id}",
            "name": f"#{self.id}",
            "updatedAt": self.updated_at.isoformat(),
            "processedAt": PLACED.isoformat(),
            "cancelledAt": None,
            "cancelReason": None,
            "closedAt": None,
            "test": False,
            "currencyCode": self.currency,
            "tags": ["gift", "b2b"],
            "discountCodes": [],
            "displayFinancialStatus": "PAID",
            "displayFulfillmentStatus": "UNFULFILLED",
            **{
                f"{name}Set": _money(self.cents, self.currency)
                for name in ("totalPrice", "subtotalPrice", "currentTotalPrice")
            },
            **{f"{name}Set": _money(0, self.currency) for name in ("totalTax", "totalDiscounts", "totalShippingPrice")},
            "lineItems": [
                {
                    "id": f"gid://shopify/LineItem/{line.id}",
                    "sku": line.sku,
                    "title": f"Kettle {line.sku}",
                    "quantity": line.quantity,
                    "currentQuantity": line.current,
                    "product": {"id": "gid://shopify/Product/7"},
                    "variant": None,
                    "originalUnitPriceSet": _money(line.cents, self.currency),
                    "discountAllocations": [],
                }
                for line in self.lines
            ],
        }


def _text(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02}"


def _both(cents: int, code: str) -> dict[str, Any]:
    money = {"amount": _text(cents), "currency_code": code}
    return {"shop_money": money, "presentment_money": money}


def _money(cents: int, code: str) -> dict[str, Any]:
    # Without the zeros at the end, as GraphQL's decimals come.
    money = {"amount": str(cents / 100), "currencyCode": code}
    return {"shopMoney": money, "presentmentMoney": money}
