"""Amazon's notifications as they would be sent, for `crossdock simulate`, the demo, the bench and the tests.

Comes in: a topic, an order's, feed's or report's number and an instant. Comes out: the notification, or for SNS's own
messages what is in them, yet unsigned; the same for the same arguments. Pure.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from shared.clock import to_json
from shared.providers.contract import JSON

_APPLICATION: Final = "amzn1.sellerapps.app.5f0e2d3c-1111-4a6b-8c3d-0a1b2c3d4e5f"
_SELLERS: Final = ("A1NORTHQUAY01", "A2SOUTHQUAY02")
_ARN: Final = "arn:aws:sns:eu-west-1:000000000000:simulated"
_STATES: Final = ("Pending", "Unshipped", "PartiallyShipped", "Shipped", "Canceled")


def _notification_id(topic: str, number: int, at: datetime) -> str:
    milliseconds, place = int(at.timestamp() * 1000), sum(topic.encode()) << 40 | number
    return str(UUID(int=(milliseconds << 80) | (0x7 << 76) | (0x2 << 62) | place))


def _order_change(topic: str, number: int, at: datetime) -> JSON:
    state = _STATES[number % len(_STATES)]
    ordered = number % 3 + 1
    shipped = {"PartiallyShipped": 1, "Shipped": ordered}.get(state, 0)
    items = [
        {
            "OrderItemId": f"{51_000_000_000_000 + number * 10 + place}",
            "SellerSKU": f"QUAY-{number % 90 + place:03d}-Ø",
            "SupplySourceId": None,
            "OrderItemStatus": state,
            "Quantity": ordered,
            "QuantityShipped": shipped,
            "IsBuyerRequestedCancel": False,
        }
        for place in range(number % 4 + 1)
    ]
    return {
        "NotificationVersion": "1.0",
        "NotificationType": topic,
        "PayloadVersion": "1.0",
        "EventTime": to_json(at),
        "Payload": {
            "OrderChangeNotification": {
                "NotificationLevel": "OrderLevel",
                "SellerId": _SELLERS[number % len(_SELLERS)],
                "AmazonOrderId": f"{700 + number % 100:03d}-{number:07d}-{7_000_000 + number:07d}",
                "OrderChangeType": "OrderStatusChange",
                "OrderChangeTrigger": {
                    "TimeOfOrderChange": to_json(at),
                    "ChangeReason": "Buyer Requested Cancel" if state == "Canceled" else None,
                },
                "Summary": {
                    "MarketplaceId": "A1PA6795UKMFR9",
                    "OrderStatus": state,
                    "PurchaseDate": to_json(at - timedelta(hours=number % 48)),
                    "DestinationPostalCode": f"{10_000 + number % 80_000}",
                    "FulfillmentType": "MFN" if number % 2 else "AFN",
                    "OrderType": "StandardOrder",
                    "NumberOfItemsShipped": shipped * len(items),
                    "NumberOfItemsUnshipped": (ordered - shipped) * len(items),
                    "OrderPrograms": ["Business"] if number % 5 == 0 else [],
                    "OrderItems": items,
                },
            }
        },
        "NotificationMetadata": {
            "ApplicationId": _APPLICATION,
            "SubscriptionId": "b7a1c2d3-2222-4e5f-9a8b-7c6d5e4f3a2b",
            "PublishTime": to_json(at),
            "NotificationId": _notification_id(topic, number, at),
        },
    }


def _finished(topic: str, number: int, at: datetime) -> JSON:
    kind = "feed" if topic.startswith("FEED") else "report"
    document = {"feed": "resultFeedDocumentId", "report": "reportDocumentId"}[kind]
    state = ("DONE", "CANCELLED", "FATAL")[number % 3]
    body: dict[str, Any] = {
        "accountId": f"amzn1.merchant.o.{_SELLERS[number % len(_SELLERS)]}",
        f"{kind}Id": str(60_000_000_000 + number),
        f"{kind}Type": {"feed": "JSON_LISTINGS_FEED", "report": "GET_MERCHANT_LISTINGS_ALL_DATA"}[kind],
        "processingStatus": state,
    }
    if number % 4:
        body["sellerId"] = _SELLERS[number % len(_SELLERS)]
    if state == "DONE":
        body[document] = f"amzn1.tortuga.4.eu.{_notification_id(topic, number, at)}.T{number}"
    return {
        "notificationVersion": "2020-09-04",
        "notificationType": topic,
        "payloadVersion": "2020-09-04",
        "eventTime": to_json(at),
        "payload": {f"{kind}ProcessingFinishedNotification": body},
        "notificationMetadata": {
            "applicationId": _APPLICATION,
            "subscriptionId": "0c9d8e7f-3333-4a5b-8c6d-1f2e3d4c5b6a",
            "publishTime": to_json(at),
            "notificationId": _notification_id(topic, number, at),
        },
    }


def _confirmation(topic: str, number: int, at: datetime) -> JSON:
    token = f"{number:064x}"
    act = "subscribe to" if topic.startswith("Sub") else "deactivate a subscription of"
    return {
        "Type": topic,
        "MessageId": _notification_id(topic, number, at),
        "Token": token,
        "TopicArn": _ARN,
        "Message": f"You have chosen to {act} the topic {_ARN}.",
        "SubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription"
        f"&TopicArn={_ARN}&Token={token}",
        "Timestamp": to_json(at),
    }


MAKERS: Final[Mapping[str, Callable[[str, int, datetime], JSON]]] = {
    "ORDER_CHANGE": _order_change,
    "FEED_PROCESSING_FINISHED": _finished,
    "REPORT_PROCESSING_FINISHED": _finished,
    "SubscriptionConfirmation": _confirmation,
    "UnsubscribeConfirmation": _confirmation,
}
SETTINGS: Final[Mapping[str, JSON]] = {"topicArns": [_ARN]}
