"""Realistic bodies of Selloship's and Myntra's topics, and of Robaws's articles.

Comes in: a topic, a number and an instant. Comes out: what they would send about that parcel, order or article then;
the same for the same arguments. Pure.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, Final
from uuid import UUID

from shared.clock import to_json
from shared.providers import myntra, people, robaws, selloship
from shared.providers.contract import JSON
from shared.providers.turns import turn

_INDIA: Final = timezone(timedelta(hours=5, minutes=30))
_STATES: Final = ("READY_TO_SHIP", "PICKED_UP", "IN_TRANSIT", "OUT_FOR_DELIVERY", "NDR", "RETURN_RECEIVED")
_STATE_OF: Final = {
    "SHIPMENT_CREATED": "MANIFESTED",
    "SHIPMENT_UPDATED": "IN_TRANSIT",
    "SHIPMENT_DELIVERED": "DELIVERED",
    "SHIPMENT_RTO": "RTO",
}


def _selloship(topic: str, number: int, at: datetime) -> JSON:
    details: dict[str, Any] = {
        "waybill": f"SLSP{number:010d}",
        "currentStatus": _STATE_OF.get(topic, _STATES[number % len(_STATES)]),
        # Their clock shows Indian time, and does not say so.
        "statusDate": at.astimezone(_INDIA).strftime("%Y-%m-%d %H:%M:%S"),
    }
    if topic == selloship.WAYBILL_STATUS:
        return {"Status": "SUCCESS", "waybillDetails": details}
    details |= {
        "orderId": 880_000 + number if number % 3 == 0 else f"{880_000 + number}",
        "courier": "Blue Dart" if number % 2 else None,
        "trackingUrl": f"https://track.example/{number}",
        "expectedDeliveryDate": (at + timedelta(days=4)).astimezone(_INDIA).strftime("%Y-%m-%d %H:%M:%S"),
        "items": [{"id": f"{number}-1", "sku": "KURTA-M", "title": "सूती कुर्ता", "quantity": 1 + number % 3}],
        "hub": "Pune",
    }
    return {"event": topic, "waybillDetails": details}


def _myntra_time(at: datetime) -> str:
    return at.astimezone(_INDIA).isoformat(timespec="milliseconds")


def _myntra_lines(number: int) -> list[dict[str, Any]]:
    sizes = ("S", "M", "L")
    return [
        {"orderLineId": f"{70_000_000 + number * 10 + place}", "sku": f"DRESS-{sizes[place]}", "quantity": 1}
        for place in range(1 + number % 3)
    ]


def _myntra_order(topic: str, number: int, at: datetime) -> JSON:
    first, last, _, phone = people.person(number)
    action = topic.partition("/")[2]
    body: dict[str, Any] = {
        "sellerOrderId": f"{2_240_000_000_000_000 + number}",
        "orderLineEntries": _myntra_lines(number),
        "eventTime": _myntra_time(at),
    }
    if action == "create":
        return body | {
            "receiverName": f"{first} {last}",
            "mobile": phone,
            "address": f"{number % 200 + 1} Linking Road",
            "city": "Mumbai",
            "state": "MH",
            "zipcode": "400050",
            "warehouse": "WH7",
            "paymentMethod": "COD" if number % 2 else "ONLINE",
        }
    if action in ("accept", "reject", "onhold", "unhold", "cancelItems", "itemCancellation"):
        return body | {"reason": "out of stock"} if action == "reject" else body
    return body | {"packetId": f"PKT{number:08d}", "trackingNumber": f"MYN{number:09d}", "courierCode": "EK"}


def _myntra_return(topic: str, number: int, at: datetime) -> JSON:
    word = "created" if topic == "return/create" else ("picked_up", "in_transit", "received")[number % 3]
    return {
        "id": f"RT{number:08d}",
        "type": "COURIER_RETURN" if number % 2 else "CUSTOMER_RETURN",
        "status": f"cou_{word}" if number % 2 else f"ret_{word}",
        "sellerOrderId": f"{2_240_000_000_000_000 + number}",
        "orderLineId": f"{70_000_000 + number * 10}",
        "quantity": 1,
        "createdOn": _myntra_time(at),
        "reason": "RTO" if number % 2 else "Größe passt nicht",
        "returnWarehouseCode": "WH7",
    }


def _robaws_article(topic: str, number: int, at: datetime) -> JSON:
    milliseconds, place = int(at.timestamp() * 1000), (robaws.TOPICS.index(topic) + 1) << 48 | number
    price = 12.5 + number % 100 if number % 5 else None
    stock = number % 40 - 2
    if topic == "article.updated":
        price = 12.75 + turn(at, 10_000)
    if topic == "article.stock-changed":
        stock = 40 + turn(at, 10_000)
    return {
        "id": str(UUID(int=(milliseconds << 80) | (0x7 << 76) | (0x2 << 62) | place)),
        "event": topic,
        "data": {
            "id": str(90_000 + number) if number % 3 else 90_000 + number,
            "articleNumber": f"A-{number:05d}",
            "name": ("Dakpan Größe L", "Vis 5 × 40", "Isolatieplaat")[number % 3],
            "description": None if number % 2 else "Per stuk verpakt",
            "salePrice": price,
            "currency": "EUR",
            "stock": stock,
            "unit": "st",
            "active": number % 7 != 0,
            "articleGroup": {"id": 12, "name": "Dak"},
            "createdAt": "2025-06-11T09:00:00Z",
            "updatedAt": to_json(at),
        },
    }


Makers = Mapping[str, Callable[[str, int, datetime], JSON]]

SELLOSHIP: Final[Makers] = dict.fromkeys(selloship.TOPICS, _selloship)
MYNTRA: Final[Makers] = {
    topic: _myntra_return if topic.startswith("return/") else _myntra_order for topic in myntra.TOPICS
}
ROBAWS_ARTICLES: Final[Makers] = dict.fromkeys(robaws.ARTICLE_TOPICS, _robaws_article)
