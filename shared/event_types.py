"""The vocabulary: every event type a subscription can name, and which patterns match which type.

Pure; nothing is left behind by importing this.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from shared.event_examples import AT, GONE_USER, USER, gone, record


@dataclass(frozen=True, slots=True)
class EventType:
    """One event type, for the catalogue, for validation and for test deliveries."""

    description: str
    data: Mapping[str, Any]  # an example of the envelope's `data`
    action: str  # the envelope's `metadata.action`
    reserved: bool = False  # True: may be subscribed to already, but nothing emits it yet


_BOOKING = {"id": "0195c1a2-7f00-7a11-8b22-000000000002", "status": "pending", "startTime": "2026-03-20T18:00:00.000Z"}
_QR_CODE = {"id": "0195c1a2-7f00-7a11-8b22-000000000003", "code": "TABLE-7"}
_STATUS_CHANGE = {"status": {"old": "pending", "new": "confirmed"}}
_SUBSCRIPTION = {
    "id": "0195c1a2-7f00-7a11-8b22-000000000004",
    "name": "My CRM",
    "host": "crm.example",
    "reason": "failures",
    "disabledAt": "2026-03-14T09:26:53.589Z",
    "consecutiveFailures": 20,
}

CATALOGUE: Final[Mapping[str, EventType]] = {
    "user.created": EventType("New user created", {"user": USER}, "created"),
    "user.updated": EventType(
        "User data updated",
        {"user": USER, "changes": {"phone": {"old": None, "new": "+46701234567"}}},
        "updated",
    ),
    "user.deleted": EventType("User deleted at the provider", {"user": GONE_USER}, "deleted"),
    "tag.added": EventType("Tag added to user", {"user": USER, "tag": USER["tags"][0]}, "added"),
    "tag.removed": EventType("Tag removed from user", {"user": USER, "tag": USER["tags"][0]}, "removed"),
    "customfield.updated": EventType(
        "Custom field value changed",
        {"user": USER, "field": {"name": "favourite_tea", "old": None, "new": "Sencha"}},
        "updated",
    ),
    "order.created": EventType("New order", {"order": record("order")}, "created"),
    "order.updated": EventType(
        "Order data updated",
        {"order": record("order"), "changes": {"tags": {"old": [], "new": ["gift"]}}},
        "updated",
    ),
    "order.paid": EventType("Order came to be paid in full", {"order": record("order")}, "paid"),
    "order.fulfilled": EventType(
        "Order came to be fulfilled in full",
        {"order": record("order", fulfillment_status="fulfilled")},
        "fulfilled",
    ),
    "order.cancelled": EventType(
        "Order came to be cancelled",
        {"order": record("order", status="cancelled", cancel_reason="customer", cancelled_at=AT)},
        "cancelled",
    ),
    "order.deleted": EventType("Order deleted at the provider", {"order": gone("order")}, "deleted"),
    "refund.created": EventType("New refund", {"refund": record("refund")}, "created"),
    "refund.updated": EventType(
        "Refund data updated: its money went back, or did not",
        {"refund": record("refund"), "changes": {"amountMinor": {"old": None, "new": 1450}}},
        "updated",
    ),
    "product.created": EventType("New product", {"product": record("product")}, "created"),
    "product.updated": EventType(
        "Product data updated",
        {"product": record("product"), "changes": {"title": {"old": "Sencha", "new": "Sencha Fukujyu"}}},
        "updated",
    ),
    "product.deleted": EventType("Product deleted at the provider", {"product": gone("product")}, "deleted"),
    "inventory.updated": EventType(
        "Stock of an item at a location became known or changed",
        {"inventory": record("inventory"), "changes": {"available": {"old": 13, "new": 12}}},
        "updated",
    ),
    "shipment.created": EventType("New shipment", {"shipment": record("shipment")}, "created"),
    "shipment.updated": EventType(
        "Shipment data updated",
        {
            "shipment": record("shipment"),
            "changes": {"status": {"old": "shipped", "new": "in_transit"}},
        },
        "updated",
    ),
    "shipment.delivered": EventType(
        "Shipment came to be delivered",
        {"shipment": record("shipment", status="delivered", provider_status="DELIVERED", delivered_at=AT)},
        "delivered",
    ),
    "shipment.returned": EventType(
        "Shipment came back",
        {"shipment": record("shipment", status="returned", provider_status="RTO")},
        "returned",
    ),
    "payment.updated": EventType(
        "Payment became known or changed",
        {"payment": record("payment"), "changes": {"status": {"old": "pending", "new": "paid"}}},
        "updated",
    ),
    "feed.finished": EventType("A feed ended: done, cancelled or failed", {"report": record("report")}, "finished"),
    "report.finished": EventType(
        "A report ended: done, cancelled or failed",
        {"report": record("report", report_kind="report", report_type="GET_MERCHANT_LISTINGS_ALL_DATA")},
        "finished",
    ),
    "article.created": EventType("New article", {"article": record("article")}, "created"),
    "article.updated": EventType(
        "Article data updated",
        {"article": record("article"), "changes": {"stock": {"old": 4.5, "new": 2.5}}},
        "updated",
    ),
    "booking.created": EventType("New booking created", {"booking": _BOOKING, "user": USER}, "created", reserved=True),
    "booking.updated": EventType(
        "Booking updated", {"booking": _BOOKING, "changes": _STATUS_CHANGE}, "updated", reserved=True
    ),
    "booking.cancelled": EventType("Booking cancelled", {"booking": _BOOKING}, "cancelled", reserved=True),
    "booking.completed": EventType("Booking completed", {"booking": _BOOKING}, "completed", reserved=True),
    "qr.scanned": EventType(
        "QR code scanned", {"qrCode": _QR_CODE, "user": USER, "scannedBy": "door-2"}, "scanned", reserved=True
    ),
    "qr.validated": EventType("QR code validated", {"qrCode": _QR_CODE, "user": USER}, "validated", reserved=True),
    "subscription.disabled": EventType(
        "Another of the account's subscriptions was disabled", {"subscription": _SUBSCRIPTION}, "disabled"
    ),
    "webhook.test": EventType("A test that a person asked for", {"message": "This is a test from Crossdock."}, "test"),
}


def patterns_of(event_type: str) -> list[str]:
    """Every pattern that matches the type: `a.b.c` is matched by `*`, `a.*`, `a.b.*` and `a.b.c`."""
    parts = event_type.split(".")
    return ["*", *(".".join(parts[:count]) + ".*" for count in range(1, len(parts))), event_type]


def matches(patterns: Iterable[str], event_type: str) -> bool:
    """Whether a subscription with these patterns wants the type."""
    return not set(patterns).isdisjoint(patterns_of(event_type))
