"""Notifications of Amazon's Selling Partner API: what they look like, and what they mean.

Comes in: parsed JSON, a notification itself or one that EventBridge wrapped. Comes out: one change. Some types write
their names in PascalCase and some in camelCase, so case says nothing here. They hold no prices and no buyer. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from shared.errors import PayloadUnexpected
from shared.providers import leftovers, reading
from shared.providers.contract import JSON, Change, Outcome

ORDER_CHANGE: Final = "ORDER_CHANGE"
FEED_FINISHED: Final = "FEED_PROCESSING_FINISHED"
REPORT_FINISHED: Final = "REPORT_PROCESSING_FINISHED"
TOPICS: Final = (ORDER_CHANGE, FEED_FINISHED, REPORT_FINISHED)

Body = Mapping[str, Any]

# Source: developer-docs.amazon.com/sp-api, orders-api-v0-reference, OrderStatus, read 2026-11. Unfulfillable is for
# orders of other channels and no end. (status, financial_status, fulfillment_status); None: they do not say.
_ORDER: Final[Mapping[str, tuple[str, str | None, str | None]]] = {
    "pendingavailability": ("open", "pending", "unfulfilled"),
    "pending": ("open", "pending", "unfulfilled"),
    "unshipped": ("open", "authorized", "unfulfilled"),
    "partiallyshipped": ("open", "authorized", "partial"),
    "invoiceunconfirmed": ("open", "authorized", "unfulfilled"),
    "shipped": ("closed", "authorized", "fulfilled"),
    "canceled": ("cancelled", None, None),
    "cancelled": ("cancelled", None, None),
    "unfulfillable": ("open", None, None),
}
# Source: github.com/amzn/selling-partner-api-models, schemas/notifications, processingStatus, read 2026-11.
_ENDED: Final[Mapping[str, str]] = {"done": "done", "cancelled": "cancelled", "fatal": "failed"}


# What has a field of ours, in lower case; `orderstatus` is ours in part only, so theirs is kept beside it.
_TOLD: Final = frozenset(("amazonorderid", "orderchangetrigger", "summary", "purchasedate", "timeoforderchange"))
_ITEM: Final = frozenset(("orderitemid", "sellersku", "quantity"))
_ENDED_TOLD: Final = frozenset(
    ("feedid", "feedtype", "resultfeeddocumentid", "reportid", "reporttype", "reportdocumentid")
)
# Their names as documented, since one record must not have one thing twice, in two cases.
_WORDS: Final = {
    name.casefold(): name
    for name in """SellerId NotificationLevel OrderChangeType ChangeReason MarketplaceId OrderStatus OrderType
    FulfillmentType DestinationPostalCode NumberOfItemsShipped NumberOfItemsUnshipped EarliestShipDate LatestShipDate
    EarliestDeliveryDate LatestDeliveryDate OrderPrograms ShippingPrograms OrderItems OrderItemStatus QuantityShipped
    SupplySourceId IsBuyerRequestedCancel""".split()  # noqa: SIM905  # shorter than a name a line
}
_ENDED_WORDS: Final = {name.casefold(): name for name in ("processingStatus", "accountId", "sellerId")}


@dataclass(frozen=True, slots=True)
class Notification:
    """One notification, the names in its objects in lower case."""

    type: str
    id: str | None
    at: datetime | None
    seller: str
    payload: Body


def find(value: JSON) -> Notification | None:
    """The notification that `value` is or holds as EventBridge wraps it; `None` when there is none.

    Raises:
        PayloadUnexpected: it says that it is one of `TOPICS`, and is not in the form of one.
    """
    if not isinstance(value, dict):
        return None
    body = folded(value, "the notification")
    if "detail" in body and "detail-type" in body:
        if not isinstance(body["detail"], dict):
            return None  # EventBridge has events of others too
        body = folded(body["detail"], "detail")
    if "notificationtype" not in body:
        return None
    kind = reading.text(body, "notificationtype")
    try:
        return _notification(kind, body)
    except PayloadUnexpected:
        if kind in TOPICS:
            raise
        return Notification(kind, None, None, "", {})


def _notification(kind: str, body: Body) -> Notification:
    payload = folded(body.get("payload"), "payload")
    about = folded(body.get("notificationmetadata") or {}, "notificationmetadata")
    return Notification(
        type=kind,
        id=reading.optional_text(about, "notificationid"),
        at=reading.optional_instant(body, "eventtime") or reading.optional_instant(about, "publishtime"),
        seller=_seller(payload),
        payload=payload,
    )


def meaning(notification: Notification) -> Outcome:
    """What a notification says of our records.

    Raises:
        PayloadUnexpected: it does not have its documented shape.
    """
    if notification.type == ORDER_CHANGE:
        return Outcome(changes=(_order(notification),))
    if notification.type == FEED_FINISHED:
        return Outcome(changes=(_ended(notification, "feed", "resultfeeddocumentid"),))
    if notification.type == REPORT_FINISHED:
        return Outcome(changes=(_ended(notification, "report", "reportdocumentid"),))
    return Outcome(ignored=f"topic {notification.type} is not handled")


def folded(value: JSON, what: str) -> dict[str, Any]:
    """An object by its names in lower case.

    Raises:
        PayloadUnexpected: it is no object, or two of its names are the same but for their case.
    """
    given = reading.as_object(value, what)
    found = {name.casefold(): item for name, item in given.items()}
    if len(found) != len(given):
        raise PayloadUnexpected(f"{what} has a name twice, in different case")
    return found


def _seller(payload: Body) -> str:
    """Whose it is: the seller's id, or where a notification has none the account's; "" when it says neither."""
    inside = [payload, *(folded(item, name) for name, item in payload.items() if isinstance(item, dict))]
    for name in ("sellerid", "accountid"):
        for one in inside:
            if found := reading.optional_text(one, name):
                return found
    return ""


def _order(notification: Notification) -> Change:
    change = folded(notification.payload.get("orderchangenotification"), "orderchangenotification")
    trigger = folded(change.get("orderchangetrigger") or {}, "orderchangetrigger")
    summary = folded(change.get("summary"), "summary")
    order_id = reading.text(change, "amazonorderid")
    version = reading.optional_instant(trigger, "timeoforderchange") or notification.at
    word = reading.optional_text(summary, "orderstatus")
    status, paid, shipped = _ORDER.get((word or "").casefold(), (None, None, None))
    fields: dict[str, JSON] = {
        "number": order_id,
        "placed_at": reading.optional_instant(summary, "purchasedate"),
    }
    if status is not None:
        fields["status"] = status
    if status == "cancelled":
        fields |= {"cancelled_at": version, "cancel_reason": reading.optional_text(trigger, "changereason")}
    # An end of the order does not say what became of the money, nor of what was sent before.
    fields |= {
        name: word for name, word in (("financial_status", paid), ("fulfillment_status", shipped)) if word is not None
    }
    # At the level of an item only that item is certain to be listed: the others stay as they are known.
    level = (reading.optional_text(change, "notificationlevel") or "").casefold()
    is_listed = "orderitems" in summary and level != "orderitemlevel"
    if is_listed:
        fields["line_items"] = [_line(item) for item in reading.optional_list(summary, "orderitems") or ()]
    mapped = _TOLD | {"orderitems"} if is_listed else _TOLD
    whole = (notification.payload["orderchangenotification"], change.get("orderchangetrigger"), change["summary"])
    rest = {name: item for one in whole for name, item in _others(one, mapped, _WORDS).items()}
    # What an earlier one said of an item alone is over once all are listed.
    fields["attributes"] = reading.with_text_ids(rest) | ({"OrderItems": None} if is_listed else {})
    return Change("order", "upsert", order_id, version, fields)


def _line(item: JSON) -> dict[str, JSON]:
    given = folded(item, "orderitems")
    word = reading.optional_text(given, "orderitemstatus")
    return {
        "id": reading.identifier(given, "orderitemid"),
        "sku": reading.optional_text(given, "sellersku"),
        "title": None,
        "quantity": reading.optional_integer(given, "quantity"),
        "priceMinor": None,
        "totalMinor": None,
        "productId": None,
        "variantId": None,
        "status": _ORDER.get((word or "").casefold(), (None, None, None))[2],
        "attributes": leftovers.of(_others(item, _ITEM, _WORDS), ()),
    }


def _others(given: JSON, mapped: frozenset[str], words: Mapping[str, str]) -> dict[str, JSON]:
    """What of an object has no field of ours, and says something."""
    found = reading.as_object(given or {}, "the notification")
    return {
        words.get(lower, name): item
        for name, item in found.items()
        if (lower := name.casefold()) not in mapped and item is not None
    }


def _ended(notification: Notification, kind: str, document: str) -> Change:
    """A feed or a report that came to its end. Ids of the two are counted apart, so ours says which it is."""
    name = f"{kind}processingfinishednotification"
    body = folded(notification.payload.get(name), name)
    word = reading.text(body, "processingstatus")
    fields: dict[str, JSON] = {
        "report_kind": kind,
        "report_type": reading.optional_text(body, f"{kind}type"),
        "document_id": reading.optional_text(body, document),
        "finished_at": notification.at,
        "attributes": reading.with_text_ids(_others(notification.payload[name], _ENDED_TOLD, _ENDED_WORDS)),
    }
    if word.casefold() in _ENDED:
        fields["status"] = _ENDED[word.casefold()]
    return Change("report", "upsert", f"{kind}:{reading.identifier(body, f'{kind}id')}", notification.at, fields)
