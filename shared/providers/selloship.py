"""Selloship: where a parcel is, by its waybill.

Comes in: `{"Status", "waybillDetails": {...}}`, with a token in a header or proved as the source agreed otherwise. An
`event` in the body names the topic; without one it is the bare waybill status. Comes out: one change of one shipment.

Selloship publishes no documentation: the proof is settable, and every field but the waybill may be absent. Pure.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from shared.errors import PayloadUnexpected
from shared.providers import agreed, leftovers, reading
from shared.providers.contract import (
    JSON,
    Change,
    Evidence,
    Identity,
    Outcome,
    Provider,
    Refusal,
    Request,
    Sample,
    Source,
    no_tenant,
)

WAYBILL_STATUS: Final = "WAYBILL_STATUS"
# What a topic says by itself, when the state is missing or none that we know.
_BY_TOPIC: Final[Mapping[str, str | None]] = {
    "SHIPMENT_CREATED": "pending",
    "SHIPMENT_UPDATED": None,
    "SHIPMENT_DELIVERED": "delivered",
    "SHIPMENT_RTO": "returned",
    WAYBILL_STATUS: None,
}
TOPICS: Final = tuple(_BY_TOPIC)
# Their states in the order a parcel goes through them: of two with the same second, the later one counts.
_STATES: Final[Mapping[str, str]] = {
    "READY_TO_SHIP": "ready",
    "MANIFESTED": "ready",
    "PICKUP_SCHEDULED": "ready",
    "PICKED_UP": "shipped",
    "IN_TRANSIT": "in_transit",
    "OUT_FOR_DELIVERY": "out_for_delivery",
    "NDR": "on_hold",  # nobody was there: the seller says whether they try again
    "DELIVERED": "delivered",
    "CANCELLED": "cancelled",
    "RTO": "returned",  # on its way back
    "RETURN_RECEIVED": "returned",
}
_RANKS: Final = {state: rank for rank, state in enumerate(_STATES, start=1)}
INDIA: Final = timedelta(hours=5, minutes=30)  # their times carry no zone
USUAL: Final = agreed.Usual(
    verification="token",
    hmac={"header": "X-Webhook-Signature"},
    token={"header": "X-Webhook-Token"},
)
_FRAME: Final = frozenset(("event", "waybillDetails"))
_ITEM: Final = frozenset(("id", "sku", "title", "quantity"))
_MAPPED: Final = frozenset(
    ("waybill", "currentStatus", "statusDate", "orderId", "courier", "trackingUrl", "expectedDeliveryDate", "items")
)


def verify(request: Request, source: Source, evidence: Evidence) -> Refusal | None:
    """Passes what is proved as agreed."""
    return agreed.verify(USUAL, request, source, now=evidence.now)


def identify(request: Request, source: Source, payload: JSON) -> Identity:
    """The waybill, its state and since when: they send no id of the delivery.

    Raises:
        PayloadUnexpected: of a topic that is handled there is no waybill.
    """
    del source
    body = reading.as_object(payload, "the body")
    topic = reading.optional_text(body, "event") or WAYBILL_STATUS
    return reading.identified(topic, TOPICS, request, lambda: _identity(topic, body, request))


def _identity(topic: str, body: Mapping[str, Any], request: Request) -> Identity:
    details = _details(body)
    waybill = reading.identifier(details, "waybill")
    since = reading.optional_local_instant(details, "statusDate", INDIA)
    state = reading.optional_text(details, "currentStatus")
    if since is None or state is None:
        key = reading.unique_key(waybill, request.body, topic)
    else:
        key = f"{topic}\n{waybill}\n{state}\n{since.isoformat()}".encode("utf-8", "surrogatepass")
    return Identity(topic=topic, key=key, delivery_id=None, tenant="", occurred_at=since)


def transform(identity: Identity, payload: JSON, source: Source) -> Outcome:
    """The shipment as it is now.

    Raises:
        PayloadUnexpected: there is no waybill, or a field is of another kind.
    """
    del source
    body = reading.as_object(payload, "the body")
    if identity.topic not in _BY_TOPIC:
        return Outcome(ignored=f"topic {identity.topic} is not handled")
    details = _details(body)
    waybill = reading.identifier(details, "waybill")
    word = reading.optional_text(details, "currentStatus")
    state = word.upper().replace(" ", "_").replace("-", "_") if word else ""
    status = _STATES.get(state) or _BY_TOPIC[identity.topic]
    since = reading.optional_local_instant(details, "statusDate", INDIA)
    fields: dict[str, JSON] = {
        "tracking_number": waybill,
        "attributes": {**reading.rest(body, _FRAME), **reading.rest(details, _MAPPED)},
    }
    if status is not None:
        fields["status"] = status
    if word is not None:
        fields["provider_status"] = word
    if since is not None and state == "PICKED_UP":
        fields["shipped_at"] = since
    if since is not None and status == "delivered":
        fields["delivered_at"] = since
    fields |= _said(details)
    try:
        version = since + timedelta(microseconds=_RANKS.get(state, 0)) if since else None
    except OverflowError as error:
        raise PayloadUnexpected("statusDate is no time") from error
    return Outcome(changes=(Change("shipment", "upsert", waybill, version, fields),))


def _details(body: Mapping[str, Any]) -> Mapping[str, Any]:
    return reading.as_object(body.get("waybillDetails"), "waybillDetails")


def _said(details: Mapping[str, Any]) -> dict[str, JSON]:
    """What only some bodies have."""
    fields: dict[str, JSON] = {}
    if "orderId" in details:
        fields["order_external_id"] = reading.optional_identifier(details, "orderId")
    if "courier" in details:
        fields["carrier"] = reading.optional_text(details, "courier")
    if "trackingUrl" in details:
        fields["tracking_url"] = reading.optional_text(details, "trackingUrl")
    if "expectedDeliveryDate" in details:
        fields["expected_at"] = reading.optional_local_instant(details, "expectedDeliveryDate", INDIA)
    if "items" in details:
        fields["line_items"] = [
            {
                "id": reading.optional_identifier(item, "id"),
                "sku": reading.optional_text(item, "sku"),
                "title": reading.optional_text(item, "title"),
                "quantity": reading.optional_integer(item, "quantity"),
                "attributes": leftovers.of(item, _ITEM),
            }
            for item in reading.objects(details, "items")
        ]
    return fields


def sign(sample: Sample) -> list[tuple[str, str]]:
    """The headers of a genuine call."""
    return agreed.sign(USUAL, sample, [("Content-Type", "application/json")])


SELLOSHIP = Provider(
    name="selloship",
    title="Selloship",
    verify=verify,
    route=no_tenant,  # there is no tenant: an endpoint belongs to one seller
    identify=identify,
    transform=transform,
    topics=TOPICS,
    sign=sign,
    check_settings=lambda settings: agreed.problems(agreed.Agreement, USUAL, settings),
    in_words=lambda settings: agreed.in_words(USUAL, settings),
    secret_headers=lambda source: agreed.secret_headers(USUAL, source),
    path_token=lambda source: agreed.path_token(USUAL, source),
    call=lambda sample: ("POST", agreed.beneath(USUAL, sample)),
)
