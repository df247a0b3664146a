"""A topic that nobody here handles is kept under its name and ignored, whatever else its message has or lacks."""

from typing import Any

import orjson
import pytest

from shared.errors import PayloadUnexpected
from shared.providers.contract import Headers, Request, Source
from shared.providers.registry import PROVIDERS

ODD: tuple[Any, ...] = (None, 7, "x", [], {"a": 1})


def judged(provider: str, body: Any) -> tuple[str, str | None]:
    """The topic, and why it is ignored."""
    raw = orjson.dumps(body)
    request, source = Request("POST", "/", Headers(), raw), Source("s", provider, (b"secret",))
    identity = PROVIDERS[provider].identify(request, source, orjson.loads(raw))
    outcome = PROVIDERS[provider].transform(identity, orjson.loads(raw), source)
    assert not outcome.changes
    return identity.topic, outcome.ignored


@pytest.mark.parametrize(
    ("provider", "body", "topic", "others"),
    [
        ("selloship", {"event": "WAREHOUSE_CLOSED"}, "WAREHOUSE_CLOSED", ("waybillDetails", "Status")),
        ("robaws", {"event": "ping"}, "ping", ("id", "data")),
        (
            "flipkart",
            {"eventType": "seller_suspended"},
            "seller_suspended",
            ("timestamp", "shipmentId", "orderId", "attributes"),
        ),
        (
            "amazon",
            {"notificationType": "PRICING_HEALTH"},
            "PRICING_HEALTH",
            ("payload", "notificationMetadata", "eventTime"),
        ),
        ("manychat", {"event": "broadcast.sent"}, "broadcast.sent", ("data", "subscriber", "id")),
    ],
)
def test_an_unknown_topic_is_ignored_under_its_name(provider: str, body: Any, topic: str, others: tuple[str, ...]):
    for more in ({}, *({name: value} for name in others for value in ODD)):
        found, ignored = judged(provider, body | more)
        assert found == topic, more
        assert ignored, more


@pytest.mark.parametrize("detail", ODD)
def test_what_eventbridge_tells_of_others_is_ignored(detail: Any):
    assert judged("amazon", {"detail-type": "Scheduled Event", "detail": detail})[1]


@pytest.mark.parametrize(
    ("provider", "body"),
    [
        ("selloship", {"event": "SHIPMENT_CREATED"}),
        ("robaws", {"event": "client.created"}),
        ("flipkart", {"eventType": "ORDER_CREATED", "timestamp": 7}),
        ("amazon", {"notificationType": "ORDER_CHANGE"}),
        ("manychat", {"event": "subscriber.created", "data": "x"}),
    ],
)
def test_a_known_topic_has_to_have_its_form(provider: str, body: Any):
    with pytest.raises(PayloadUnexpected):
        judged(provider, body)
