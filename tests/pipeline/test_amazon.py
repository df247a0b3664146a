"""A seller's orders, feeds and reports from messages that SNS signed to deliveries; SNS is the stand-in."""

import json
from datetime import timedelta

from cli.sns_stand_in import furnish
from shared.clock import utc_now
from shared.providers import samples, sns
from shared.providers.amazon import AMAZON
from shared.providers.contract import Sample
from tests.doubles.crm import Crm
from tests.doubles.shop import Webhook
from tests.doubles.sns import TOPIC
from tests.pipeline.merchant import Merchant

SETTINGS = {"topicArns": [TOPIC]}


def webhook(merchant: Merchant, path: str, topic: str, *, number: int, minute: int = 0, status: str = "") -> Webhook:
    """What Amazon says of an order, feed or report, as of `minute` minutes after half an hour ago."""
    folder = merchant.stack.settings.sns_stand_in
    assert folder is not None
    now = utc_now()
    body = samples.make("amazon", topic, number=number, at=now + timedelta(minutes=minute - 30))
    if status:
        told = json.loads(body)
        told["Payload"]["OrderChangeNotification"]["Summary"]["OrderStatus"] = status
        body = json.dumps(told).encode()
    delivery_id = f"{topic}-{number}-{minute}"
    sample = Sample(topic, body, furnish(folder, now=now), "", delivery_id, now, settings=SETTINGS)
    headers, posted = AMAZON.post(sample)
    return Webhook(f"/api/webhooks/{path}", dict(headers), posted, delivery_id)


def test_an_order_a_feed_and_a_report_are_told_once_each(merchant: Merchant, crm: Crm) -> None:
    merchant.subscribe(crm, "/")
    _, path, _ = merchant.source("amazon", settings=SETTINGS)
    sent = [
        webhook(merchant, path, "ORDER_CHANGE", number=1, minute=1, status="Unshipped"),
        webhook(merchant, path, "ORDER_CHANGE", number=1, minute=3, status="Shipped"),
        webhook(merchant, path, "ORDER_CHANGE", number=1, minute=2, status="Pending"),  # late, and so says nothing
        webhook(merchant, path, "FEED_PROCESSING_FINISHED", number=3),
        webhook(merchant, path, "REPORT_PROCESSING_FINISHED", number=3),
    ]
    merchant.post(*sent, *sent)
    assert merchant.wait_messages(10) == {"processed": 4, "stale": 1, "duplicate": 5}
    expected = {"order.created": 1, "order.updated": 1, "order.fulfilled": 1, "feed.finished": 1, "report.finished": 1}
    assert merchant.events() == expected
    merchant.wait_delivered(sum(expected.values()))
    assert crm.refused() == []
    told = {body["event"]: body["data"] for body in (json.loads(receipt.body) for receipt in crm.at("/"))}
    assert told["order.fulfilled"]["order"]["status"] == "closed"
    assert told["order.fulfilled"]["order"]["email"] is None
    assert told["feed.finished"]["report"]["status"] == "done"


def test_what_another_signs_or_another_topic_says_is_refused(merchant: Merchant) -> None:
    _, path, _ = merchant.source("amazon", settings=SETTINGS)
    genuine = webhook(merchant, path, "ORDER_CHANGE", number=2)
    body = json.loads(genuine.body)
    for changed in (
        {"Message": body["Message"].replace("A1NORTHQUAY01", "A2SOUTHQUAY02")},
        {"SigningCertURL": body["SigningCertURL"].replace("sns.eu-west-1", "sns.us-east-1")},
        {"TopicArn": TOPIC.replace("000000000000", "999999999999")},
        {"Type": sns.SUBSCRIPTION},
    ):
        forged = Webhook(genuine.path, genuine.headers, json.dumps(body | changed).encode(), "forged")
        assert merchant.post(forged).refused == [401]
    assert merchant.post(genuine).accepted
    assert merchant.wait_messages(1) == {"processed": 1}
