"""What Flipkart's notifications say: of shipments, returns, orders and payments.

Comes in: the parsed body of an authentic notification. Comes out: changes. Pure.

Flipkart tells of orders through their shipments: an order that is sent in two has two `shipment_created`, each with its
own items, and what becomes of it is told of the shipments alone. So each is a part of the order, and the shipment names
its orders: the drain has them follow it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self

from shared import money
from shared.errors import PayloadUnexpected
from shared.providers import leftovers, reading
from shared.providers.contract import JSON, Change
from shared.providers.flipkart import orders

Body = Mapping[str, Any]

# Topic -> the state it brings, in the order a shipment goes through them: of two at the same second, the later counts.
# Source: flipkart.github.io/fk-api-platform-docs, order-management-notifications, read 2026-11.
_SHIPMENTS: Final[Mapping[str, str | None]] = {
    "shipment_created": "pending",
    "shipment_dispatch_dates_changed": None,
    "shipment_form_failed": "on_hold",  # the seller has to act
    "shipment_hold": "on_hold",
    "shipment_unhold": "pending",
    "shipment_packed": "ready",
    "shipment_ready_to_dispatch": "ready",
    "shipment_pickup_complete": "shipped",
    "shipment_shipped": "shipped",
    "shipment_delivered": "delivered",
    "shipment_cancelled": "cancelled",
}
_RETURNS: Final[Mapping[str, str | None]] = {
    "return_created": "pending",
    "return_expected_date_changed": None,
    "return_item_tracking_id_update": None,
    "return_picked_up": "in_transit",
    "return_completed": "returned",
    "return_cancelled": "cancelled",
}
_RANKS: Final = {topic: rank for names in (_SHIPMENTS, _RETURNS) for rank, topic in enumerate(names, start=1)}
# Where a shipment stands again once it is off hold, by attributes.status.
_WORDS: Final[Mapping[str | None, str]] = {
    "APPROVED": "pending",
    "PACKING_IN_PROGRESS": "pending",
    "PACKED": "ready",
    "READY_TO_DISPATCH": "ready",
    "PICKUP_COMPLETE": "shipped",
    "SHIPPED": "shipped",
}
_FRAME: Final = frozenset(("eventType", "source", "version", "timestamp", "attributes", "shipmentId", "returnId"))
_TOLD_ABOVE: Final = ("orderItemId", "trackingId", "courierName", "expectedDate")
_REFUND: Final = "refund"  # what a returned item is for, as return_created has it; a word that we do not know is none
# Told once, a refund does not change: as of before anything that they can send, it gives way to a word against it.
_REFUND_VERSION: Final = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Notification:
    """The parts that every notification has."""

    topic: str
    body: Body
    attributes: Body
    at: datetime | None
    version: datetime | None

    @classmethod
    def of(cls, body: Body, topic: str) -> Self:
        """The parts of a body."""
        at = reading.optional_instant(body, "timestamp")
        try:
            version = at + timedelta(microseconds=_RANKS.get(topic, 0)) if at else None
        except OverflowError as error:
            raise PayloadUnexpected("timestamp is no time") from error
        return cls(topic, body, reading.optional_object(body, "attributes") or {}, at, version)

    def rest(self, *mapped: str) -> dict[str, JSON]:
        """What has no field of ours."""
        kept = {name: item for name, item in self.body.items() if name not in _FRAME and name not in mapped}
        kept |= {name: item for name, item in self.attributes.items() if name not in mapped}
        found: dict[str, JSON] = reading.with_text_ids(kept)
        return found


def _shipment(told: Notification) -> Iterator[Change]:
    shipment_id = reading.identifier(told.body, "shipmentId")
    word = reading.optional_text(told.attributes, "status")
    status = _SHIPMENTS[told.topic]
    fields: dict[str, JSON] = {
        "provider_status": word or told.topic,
        "attributes": told.rest("status"),
    }
    if told.topic == "shipment_unhold":
        status = _WORDS.get(word, status)
    if status is not None:
        fields["status"] = status
    if told.topic == "shipment_shipped":
        fields["shipped_at"] = told.at
    if told.topic == "shipment_delivered":
        fields["delivered_at"] = told.at
    if told.topic == "shipment_cancelled":
        reasons = [reading.optional_text(item, "reason") for item in reading.objects(told.attributes, "orderItems")]
        fields["attributes"]["cancelReason"] = next((reason for reason in reasons if reason), None)
    yield Change("shipment", "upsert", shipment_id, told.version, fields)


def _shipment_created(told: Notification) -> Iterator[Change]:
    shipment_id = reading.identifier(told.body, "shipmentId")
    items = reading.objects(told.attributes, "orderItems")
    by_order: dict[str, list[Body]] = {}
    for item in items:
        by_order.setdefault(reading.identifier(item, "orderId"), []).append(item)
    fields: dict[str, JSON] = {
        "status": "pending",
        "provider_status": reading.optional_text(told.attributes, "status") or told.topic,
        "line_items": [orders.line(item, orders.RUPEES) for item in items],
        "attributes": told.rest("status", "orderItems", "orderId"),
    }
    named = reading.optional_identifier(told.body, "orderId")
    if named is not None or by_order:
        fields["order_external_id"] = named or next(iter(by_order))
    fields["attributes"] |= {"orderIds": list(by_order)}
    # The orders first: the shipment, which may have gone on already, has them follow it.
    for order_id, mine in by_order.items():
        part = f"shipment_{shipment_id}"
        yield Change("order", "upsert", order_id, told.version, orders.of_shipment(order_id, mine), part=part)
    yield Change("shipment", "upsert", shipment_id, told.version, fields)
    yield _contents(shipment_id, told, fields)


def _contents(shipment_id: str, told: Notification, fields: Mapping[str, JSON]) -> Change:
    """What is in it, said once and never again: it counts even where a later state came first."""
    said = {name: fields[name] for name in ("order_external_id", "line_items") if name in fields}
    if order_ids := fields["attributes"].get("orderIds"):
        said["attributes"] = {"orderIds": order_ids}
    return Change("shipment", "upsert", shipment_id, told.version, said, part="contents")


def _return(told: Notification) -> Iterator[Change]:
    """A return is a shipment back: its status ends with `returned`, and with it comes the refund.

    Its end names the items and not what they are for: that stands in return_created alone. So a return that was made
    for a replacement buries its refund, whichever of the two comes first.
    """
    return_id = reading.identifier(told.body, "returnId")
    items = reading.objects(told.attributes, "returnItems")
    refunded = [item for item in items if (reading.optional_text(item, "action") or _REFUND).lower() == _REFUND]
    is_refund = bool(refunded) or not items
    status = _RETURNS[told.topic]
    fields: dict[str, JSON] = {
        "provider_status": reading.optional_text(told.attributes, "status") or told.topic,
        "attributes": told.rest("status", "returnItems") | {"direction": "return"},
    }
    if status is not None:
        fields["status"] = status
    for ours, theirs, read in (
        ("tracking_number", "trackingId", reading.optional_text),
        ("carrier", "courierName", reading.optional_text),
        ("expected_at", "expectedDate", reading.optional_instant),
    ):
        if present := [item for item in items if theirs in item]:
            fields[ours] = read(present[0], theirs)
    if told.topic == "return_created":
        fields["line_items"] = [_returned_line(item) for item in items]
    elif more := [rest for item in items if (rest := leftovers.of(item, _TOLD_ABOVE if len(items) == 1 else ()))]:
        # Under the event's name: the lines keep what was said of them when the return was made.
        fields["attributes"] |= {told.topic: more}
    if told.topic == "return_completed":
        fields["delivered_at"] = told.at
    yield Change("shipment", "upsert", return_id, told.version, fields)
    if told.topic == "return_created":
        yield _contents(return_id, told, fields)
        if not is_refund:
            yield Change("refund", "delete", return_id, told.version)
    if told.topic == "return_completed" and is_refund:
        yield Change("refund", "upsert", return_id, _REFUND_VERSION, _refund(refunded, told))


def _returned_line(item: Body) -> dict[str, JSON]:
    return {
        "id": reading.optional_identifier(item, "orderItemId"),
        "sku": None,
        "title": None,
        "quantity": reading.optional_integer(item, "quantity"),
        "productId": reading.optional_identifier(item, "productId"),
        "variantId": reading.optional_identifier(item, "listingId"),
        "attributes": leftovers.of(item, ("orderItemId", "quantity", "productId", "listingId")),
    }


def _refund(items: list[Body], told: Notification) -> dict[str, JSON]:
    """The refund of a completed return; they do not say how much."""
    reasons = [reason for item in items if (reason := reading.optional_text(item, "reason"))]
    return {
        "currency": orders.RUPEES,
        "note": reasons[0] if reasons else None,
        "line_items": [
            {
                "id": reading.optional_identifier(item, "orderItemId"),
                "lineItemId": reading.optional_identifier(item, "orderItemId"),
                "quantity": reading.optional_integer(item, "quantity"),
                "amountMinor": None,
                "attributes": leftovers.of(item, ("orderItemId", "quantity")),
            }
            for item in items
        ],
        "refunded_at": told.at,
    }


def _order(told: Notification) -> Iterator[Change]:
    order_id = reading.identifier(told.body, "orderId")
    fields = orders.whole(order_id, told.attributes)
    fields["attributes"] = told.rest("orderId", *orders.MAPPED) | fields["attributes"]
    yield Change("order", "upsert", order_id, told.version, fields)


def _payment(told: Notification) -> Iterator[Change]:
    payment_id = reading.identifier(told.body, "paymentId")
    currency = orders.currency(told.attributes)
    fields: dict[str, JSON] = {
        "order_external_id": reading.optional_identifier(told.body, "orderId"),
        "currency": currency,
        "attributes": told.rest("paymentId", "orderId", "status", "amount", "currency", "method", "paidAt"),
    }
    if word := reading.optional_text(told.attributes, "status"):
        fields["status"] = word.lower()
    if "amount" in told.attributes:
        fields["amount_minor"] = reading.optional_minor(told.attributes, "amount", currency)
        if not money.is_known(currency):
            fields["attributes"] |= {"amount": told.attributes["amount"]}
    if "method" in told.attributes:
        fields["method"] = reading.optional_text(told.attributes, "method")
    if "paidAt" in told.attributes:
        fields["paid_at"] = reading.optional_instant(told.attributes, "paidAt")
    yield Change("payment", "upsert", payment_id, told.version, fields)


READERS: Final[Mapping[str, Callable[[Notification], Iterator[Change]]]] = {
    **dict.fromkeys(_SHIPMENTS, _shipment),
    "shipment_created": _shipment_created,
    **dict.fromkeys(_RETURNS, _return),
    # Not in Flipkart's public documentation; sellers' own middlemen send these.
    "ORDER_CREATED": _order,
    "ORDER_UPDATED": _order,
    "SHIPMENT_CREATED": _shipment_created,
    "PAYMENT_UPDATED": _payment,
}
