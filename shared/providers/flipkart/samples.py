"""Realistic bodies of Flipkart's topics.

Comes in: a topic, a number and an instant. Comes out: what Flipkart would send about that shipment, return, order or
payment then; the same for the same arguments. Pure.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, Final

from shared.providers import people
from shared.providers.contract import JSON
from shared.providers.flipkart import TOPICS
from shared.providers.turns import turn

_INDIA: Final = timezone(timedelta(hours=5, minutes=30))
_TITLES: Final = ("Steel Bottle 1 l", "Baumwolltuch – groß", "सूती कुर्ता", "Lámpara de mesa", "竹の箸 🥢")
_WORDS: Final = {
    "shipment_unhold": "PACKED",
    "shipment_dispatch_dates_changed": None,
    "shipment_hold": None,
}


def _time(at: datetime) -> str:
    return at.astimezone(_INDIA).isoformat(timespec="seconds")


def _frame(topic: str, at: datetime, attributes: dict[str, Any]) -> dict[str, Any]:
    return {
        "eventType": topic,
        "source": "flipkart",
        "version": "v3",
        "timestamp": _time(at),
        "locationId": "LOC7c20",
        "attributes": attributes,
    }


def shipment_id(number: int) -> str:
    """The id of the shipment of a number."""
    return f"5f0c1e{number:06x}-7a21-4c3d-9b44-0d6a5e8f{number % 65_536:04x}"


def _order_id(number: int) -> str:
    return f"OD4{number:017d}"


def _items(number: int, at: datetime) -> list[dict[str, Any]]:
    return [
        {
            "orderItemId": f"{3_300_000_000_000_000 + number * 10 + place}",
            "orderId": _order_id(number),
            "orderDate": _time(at - timedelta(hours=3)),
            "paymentType": "COD" if number % 2 else "PREPAID",
            "status": "APPROVED",
            "quantity": place + 1,
            "fsn": f"BTLF{number % 1000:04d}ZK{place}",
            "sku": f"SKU-{number % 500:03d}-{place}",
            "listingId": f"LSTBTLF{number % 1000:04d}{place}",
            "hsn": None,
            "title": _TITLES[(number + place) % len(_TITLES)],
            "priceComponents": {
                "sellingPrice": 249.5 + place,
                "totalPrice": (249.5 + place) * (place + 1),
                "shippingCharge": 40.0 if place == 0 else 0.0,
                "customerPrice": 249.5 + place,
                "flipkartDiscount": 0.0,
            },
            "is_replacement": False,
        }
        for place in range(1 + number % 3)
    ]


def _shipment_created(topic: str, number: int, at: datetime) -> JSON:
    attributes = {
        "dispatchAfterDate": _time(at + timedelta(hours=1)),
        "dispatchByDate": _time(at + timedelta(days=2)),
        "updatedAt": _time(at),
        "hold": False,
        "mps": False,
        "subShipments": [{"subShipmentId": "SS-1", "packages": []}],
        "orderItems": _items(number, at),
        "forms": [],
        "dispatchLocation": None,
    }
    return _frame(topic, at, attributes) | {"shipmentId": shipment_id(number)}


def _shipment(topic: str, number: int, at: datetime) -> JSON:
    word = _WORDS.get(topic, topic.removeprefix("shipment_").upper())
    attributes: dict[str, Any] = {} if word is None else {"status": word}
    item = _items(number, at)[0]["orderItemId"]
    if topic == "shipment_hold":
        attributes["orderItems"] = [{"orderItemId": item, "holdQuantity": 1}]
    if topic == "shipment_cancelled":
        reason = {"reason": "seller_cancellation", "subReason": "not_enough_inventory"}
        attributes["orderItems"] = [{"orderItemId": item, "quantity": 1, **reason}]
    if topic == "shipment_dispatch_dates_changed":
        attributes |= {"dispatchAfterDate": _time(at), "dispatchByDate": _time(at + timedelta(days=3))}
    if topic == "shipment_form_failed":
        attributes["forms"] = ["FORM12KA"]
    return _frame(topic, at, attributes) | {"shipmentId": shipment_id(number)}


def _return(topic: str, number: int, at: datetime) -> JSON:
    item: dict[str, Any] = {"orderItemId": _items(number, at)[0]["orderItemId"]}
    attributes: dict[str, Any] = {"returnItems": [item]}
    if topic == "return_created":
        item |= {
            "returnId": f"{40_100_000_000_000_000 + number}",
            "source": "customer_return",
            "action": "refund",
            "quantity": 1,
            "courierName": "Ekart Logistics",
            "reason": "DEFECTIVE_PRODUCT",
            "subReason": "NOT_WORKING",
            "trackingId": f"FMPR{number:010d}",
            "shipmentId": shipment_id(number),
            "comments": "Der Deckel schließt nicht 😕" if number % 2 else "",
            "completionDate": None,
            "productId": f"BTLF{number % 1000:04d}ZK0",
            "listingId": f"LSTBTLF{number % 1000:04d}0",
            "expectedDate": _time(at + timedelta(days=7)),
        }
    elif topic == "return_expected_date_changed":
        item["expectedDate"] = _time(at + timedelta(days=9))
    elif topic == "return_item_tracking_id_update":
        item |= {"trackingId": f"FMPR9{number:09d}", "courierName": "Ekart Logistics"}
    if topic in ("return_created", "return_picked_up", "return_completed", "return_cancelled"):
        attributes["status"] = topic.upper()
    return _frame(topic, at, attributes) | {"returnId": f"{40_100_000_000_000_000 + number}"}


def _order(topic: str, number: int, at: datetime) -> JSON:
    first, last, email, phone = people.person(number)
    attributes: dict[str, Any] = {
        "status": "APPROVED" if topic == "ORDER_CREATED" else ("SHIPPED", "CANCELLED", "DELIVERED")[number % 3],
        "paymentType": "COD" if number % 2 else "PREPAID",
        "orderDate": _time(at - timedelta(hours=3)),
        "currency": "INR",
        "totalAmount": f"{289.5 + number % 900:.2f}",
        "shippingAmount": "40.00",
        "buyer": {"id": f"ACC{number:012d}", "email": email, "phone": phone} if number % 4 else None,
        "deliveryAddress": {
            "firstName": first,
            "lastName": last,
            "addressLine1": f"{number % 300 + 1} MG Road",
            "addressLine2": None,
            "city": "Pune",
            "state": "Maharashtra",
            "pinCode": "411001",
            "contactNumber": phone,
        },
        "orderItems": _items(number, at),
    }
    if attributes["status"] == "CANCELLED":
        attributes |= {"cancelledAt": _time(at), "cancelReason": "customer changed their mind"}
    return _frame(topic, at, attributes) | {"orderId": _order_id(number)}


def _payment(topic: str, number: int, at: datetime) -> JSON:
    status = ("SETTLED", "PENDING", "REVERSED")[(number + turn(at, 3)) % 3]
    attributes = {
        "status": status,
        "amount": f"{250 + number % 900}.25",
        "currency": "INR",
        "method": "NEFT" if number % 2 else "UPI",
        "paidAt": _time(at) if status == "SETTLED" else None,
        "settlementRef": f"NFT{number:09d}",
        "updatedAt": _time(at),
    }
    return _frame(topic, at, attributes) | {"paymentId": f"PMT{number:010d}", "orderId": _order_id(number)}


_OTHERS: Final[Mapping[str, Callable[[str, int, datetime], JSON]]] = {
    "shipment_created": _shipment_created,
    "SHIPMENT_CREATED": _shipment_created,
    "ORDER_CREATED": _order,
    "ORDER_UPDATED": _order,
    "PAYMENT_UPDATED": _payment,
}
MAKERS: Final[Mapping[str, Callable[[str, int, datetime], JSON]]] = {
    topic: _OTHERS.get(topic, _return if topic.startswith("return_") else _shipment) for topic in TOPICS
}
