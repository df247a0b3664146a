"""Flipkart: shipments, returns, and the orders and payments of sellers whose calls carry them.

Comes in: a v3 notification whose headers are signed and whose body is not, or one signed whole by HMAC, as the source
says. Comes out: changes of shipments, orders, refunds and payments. `proof` has the signatures, `notifications` what is
told. Pure.
"""

from collections.abc import Mapping
from typing import Any

from shared.providers import reading
from shared.providers.contract import JSON, Identity, Outcome, Provider, Request, Source, no_tenant
from shared.providers.flipkart import proof
from shared.providers.flipkart.notifications import READERS, Notification

TOPICS = tuple(READERS)
_SUBJECTS = ("returnId", "paymentId", "shipmentId", "orderId")  # what a notification is about, the nearest first


def identify(request: Request, source: Source, payload: JSON) -> Identity:
    """What the notification says; they send no id of the delivery.

    Raises:
        PayloadUnexpected: there is no eventType, or nothing that it is about.
    """
    del source
    body = reading.as_object(payload, "the body")
    topic = reading.text(body, "eventType")
    return reading.identified(topic, TOPICS, request, lambda: _identity(topic, body, request))


def _identity(topic: str, body: Mapping[str, Any], request: Request) -> Identity:
    subject = next((found for name in _SUBJECTS if (found := reading.optional_identifier(body, name))), None)
    at = reading.optional_instant(body, "timestamp")
    if subject is None or at is None:
        key = reading.unique_key(subject, request.body, topic)
    else:
        key = f"{topic}\n{subject}\n{at.isoformat()}".encode("utf-8", "surrogatepass")
    return Identity(topic=topic, key=key, delivery_id=None, tenant="", occurred_at=at)


def transform(identity: Identity, payload: JSON, source: Source) -> Outcome:
    """What the notification says of its shipment, return, order or payment.

    Raises:
        PayloadUnexpected: the body does not have the topic's shape.
    """
    del source
    body = reading.as_object(payload, "the body")
    read = READERS.get(identity.topic)
    if read is None:
        return Outcome(ignored=f"topic {identity.topic} is not handled")
    return Outcome(changes=tuple(read(Notification.of(body, identity.topic))))


FLIPKART = Provider(
    name="flipkart",
    title="Flipkart",
    verify=proof.verify,
    route=no_tenant,  # there is no tenant: a registered URL belongs to one seller
    identify=identify,
    transform=transform,
    topics=TOPICS,
    sign=proof.sign,
    check_settings=proof.check_settings,
    in_words=proof.in_words,
    secret_headers=proof.secret_headers,
)
