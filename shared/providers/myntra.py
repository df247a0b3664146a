"""Myntra: the calls it makes to a seller's order system, PPMP/Omni V4.

Comes in: `POST|PUT <source>/storefront/v4/order/{id}[/{action}]` or `.../return/{id}[/update]`: the path says what it
is, the body only what goes with it. Comes out: changes of the order and of its packets, which are shipments; a return
is a shipment back. The answer is in Myntra's own words.

A token is how Myntra proves itself (`access_token`, which the seller issues); an HMAC over method, URL and body can be
agreed on instead. Source: mmip.myntrainfo.com, PPMP/Omni V4, read 2026-11. The bodies of the PUT calls are public in
part only: whatever but the ids may be absent. Pure.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import orjson

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
    Reply,
    Request,
    Sample,
    Source,
    no_tenant,
)
from shared.strict_json import unstorable

Body = Mapping[str, Any]


class _Action(NamedTuple):
    """What a call means: for the packet, and for the order itself."""

    shipment: str | None = None
    order: str | None = None
    whole: bool = False  # without a packet in the body, the order goes as one


# In the order an order goes through them: of two at the same instant, the later counts.
_ACTIONS: Final[Mapping[str, _Action]] = {
    "create": _Action(order="open"),
    "accept": _Action(order="open"),
    "reject": _Action(order="cancelled"),
    "onhold": _Action("on_hold"),
    "unhold": _Action("pending"),
    "itemCancellation": _Action(),  # of some items; which, is kept under attributes
    "cancelItems": _Action(),
    "pack": _Action("ready", whole=True),
    "readyToDispatch": _Action("ready", whole=True),
    "shipped": _Action("shipped", whole=True),
    "lost": _Action("failed", whole=True),
    "delivered": _Action("delivered", whole=True),
}
_RANKS: Final = {action: rank for rank, action in enumerate(_ACTIONS, start=1)}
# The end of a return's status, e.g. cou_created; a word that we do not have stays where they wrote it.
_RETURNS: Final[Mapping[str, str]] = {
    "created": "pending",
    "approved": "pending",
    "picked": "in_transit",
    "shipped": "in_transit",
    "transit": "in_transit",
    "received": "returned",
    "delivered": "returned",
    "completed": "returned",
    "cancelled": "cancelled",
    "declined": "cancelled",
    "rejected": "cancelled",
}
TOPICS: Final = (*(f"order/{action}" for action in _ACTIONS), "return/create", "return/update")
USUAL: Final = agreed.Usual(
    verification="token",
    # The path decides what a call means, so it is signed too.
    hmac={"header": "X-Myntra-Signature", "template": "{method}\n{url}\n{body}"},
    token={"header": "access_token"},
)
INDIA: Final = timedelta(hours=5, minutes=30)
_TIMES: Final = ("eventTime", "updatedOn", "createdOn")  # the first there is
_PATH: Final = re.compile(r"/storefront/v4/(order|return)/([^/]+)(?:/([A-Za-z]+))?/?")
_RECEIVER: Final = frozenset(("receiverName", "mobile", "address", "city", "state", "zipcode", "email"))
_FRAME: Final = frozenset(("orderLineEntries", *_TIMES))
_LINE: Final = frozenset(("orderLineId", "sku", "quantity"))
_ACCEPTED: Final = orjson.dumps({"statusCode": 1000, "statusMessage": "Accepted", "statusType": "SUCCESS"})


def verify(request: Request, source: Source, evidence: Evidence) -> Refusal | None:
    """Passes what carries the token, or is proved as agreed, and goes to a path beneath the source's.

    A call whose path we do not know is kept. One without any is no call: it was sent to the base address itself, and to
    tell Myntra that it succeeded would lose whatever it was.
    """
    if refusal := agreed.verify(USUAL, request, source, now=evidence.now):
        return refusal
    _, *parts = request.beneath.split("/")
    if not any(parts[1:] if agreed.path_token(USUAL, source) else parts):
        return Refusal("call_missing", "The path names no call: Myntra adds its own to the base address.", 404)
    return None


def identify(request: Request, source: Source, payload: JSON) -> Identity:
    """What the path says. They send no id of the delivery: a repeat is the same call with the same body.

    `delivery_id` is the id in the path, which people search by and which transform needs.

    Raises:
        PayloadUnexpected: the body is no JSON object.
    """
    del source
    body = reading.as_object(payload, "the body")
    path = request.path.partition("?")[0]
    match = _PATH.search(path)
    if match is None or match.end() != len(path):
        topic, subject = "/".join(path.strip("/").split("/")[-2:]), None
    else:
        noun, subject, action = match.groups()
        topic = f"{noun}/{action or 'create'}"
    key = reading.unique_key(subject, request.body, request.method, topic)
    return Identity(topic=topic, key=key, delivery_id=subject, tenant="", occurred_at=_at(body))


def transform(identity: Identity, payload: JSON, source: Source) -> Outcome:
    """What the call says of its order, packet or return.

    Raises:
        PayloadUnexpected: the body contradicts the path, or a field is of another kind.
    """
    del source
    body = reading.as_object(payload, "the body")
    if identity.topic not in TOPICS or identity.delivery_id is None:
        return Outcome(ignored=f"topic {identity.topic} is not handled")
    if flaw := unstorable(identity.delivery_id):  # %00 in a path is a NUL
        raise PayloadUnexpected(f"the id in the path holds {flaw}")
    noun, _, action = identity.topic.partition("/")
    own = ("id", "returnId") if noun == "return" else ("sellerOrderId",)
    for name in own:
        if reading.optional_identifier(body, name) not in (None, identity.delivery_id):
            raise PayloadUnexpected(f"{name} is not the id in the path")
    if noun == "return":
        return Outcome(changes=(_return(identity.delivery_id, body),))
    return Outcome(changes=tuple(_order(identity.delivery_id, action, body)))


def _order(order_id: str, action: str, body: Body) -> Iterator[Change]:
    means = _ACTIONS[action]
    version = _version(body, action)
    packet_id = reading.optional_identifier(body, "packetId")
    if means.shipment and (packet_id or means.whole):
        yield Change("shipment", "upsert", packet_id or order_id, version, _packet(order_id, action, body))
        return
    fields: dict[str, JSON] = {"number": order_id}
    if means.order is not None:
        fields["status"] = means.order
    if action == "create":
        fields |= _created(body) | {"attributes": reading.rest(body, _RECEIVER | _FRAME)}
    else:
        # Under the call's name, so that what one said does not hide what another did.
        fields["attributes"] = {action: {**reading.rest(body, _FRAME), "orderLineEntries": _lines(body)}}
    if means.order == "cancelled":
        fields["cancelled_at"] = _at(body)
        fields["cancel_reason"] = reading.optional_text(body, "reason")
    yield Change("order", "upsert", order_id, version, fields)


def _packet(order_id: str, action: str, body: Body) -> dict[str, JSON]:
    status = _ACTIONS[action].shipment
    fields: dict[str, JSON] = {
        "order_external_id": order_id,
        "status": status,
        "provider_status": action,
        "attributes": reading.rest(body, _FRAME | {"packetId"}),
    }
    if lines := _lines(body):
        fields["line_items"] = lines
    for ours, theirs in (("tracking_number", "trackingNumber"), ("carrier", "courierCode")):
        if theirs in body:
            fields[ours] = reading.optional_text(body, theirs)
    if status in ("shipped", "delivered"):
        fields[f"{status}_at"] = _at(body)
    return fields


def _created(body: Body) -> dict[str, JSON]:
    fields: dict[str, JSON] = {"fulfillment_status": "unfulfilled", "line_items": _lines(body)}
    if placed := _at(body):
        fields["placed_at"] = placed
    if "mobile" in body:
        fields["phone"] = reading.optional_identifier(body, "mobile")
    if "email" in body:
        fields["email"] = reading.optional_text(body, "email")
    if _RECEIVER & body.keys():
        fields["shipping_address"] = {
            "name": reading.optional_text(body, "receiverName"),
            **reading.address(
                line1=reading.optional_text(body, "address"),
                city=reading.optional_text(body, "city"),
                province=reading.optional_text(body, "state"),
                postalCode=reading.optional_identifier(body, "zipcode"),
                countryCode="IN",
                phone=reading.optional_identifier(body, "mobile"),
            ),
        }
    return fields


def _lines(body: Body) -> list[dict[str, JSON]]:
    return [
        {
            "id": reading.identifier(item, "orderLineId"),
            "sku": reading.optional_text(item, "sku"),
            "quantity": reading.optional_integer(item, "quantity"),
            "attributes": leftovers.of(item, _LINE),
        }
        for item in reading.objects(body, "orderLineEntries")
    ]


def _return(return_id: str, body: Body) -> Change:
    """A return: a shipment back, whose status ends with `returned`."""
    word = reading.optional_text(body, "status")
    mapped = frozenset(("id", "returnId", "status", "sellerOrderId", "orderLineId", "quantity", *_TIMES))
    fields: dict[str, JSON] = {"attributes": {**reading.rest(body, mapped), "direction": "return"}}
    if word is not None:
        fields["provider_status"] = word
        if status := _RETURNS.get(word.lower().rpartition("_")[2]):
            fields["status"] = status
            if status == "returned":
                fields["delivered_at"] = _at(body)
    if "sellerOrderId" in body:
        fields["order_external_id"] = reading.optional_identifier(body, "sellerOrderId")
    if "orderLineId" in body:
        line_id = reading.optional_identifier(body, "orderLineId")
        fields["line_items"] = [{"id": line_id, "quantity": reading.optional_integer(body, "quantity")}]
    return Change("shipment", "upsert", return_id, _at(body), fields)


def _at(body: Body) -> datetime | None:
    return next((at for name in _TIMES if (at := reading.optional_local_instant(body, name, INDIA))), None)


def _version(body: Body, action: str) -> datetime | None:
    at = _at(body)
    try:
        return at + timedelta(microseconds=_RANKS[action]) if at else None
    except OverflowError as error:
        raise PayloadUnexpected("the time of the event is no time") from error


def reply(request: Request, source: Source, message_id: str) -> Reply:
    """Myntra's word for success. A repeat is answered the same: that it is one is known only later.

    Source: mmip.myntrainfo.com, PPMP/Omni V4, read 2026-11.
    """
    del request, source, message_id
    return Reply(200, _ACCEPTED, "application/json", enqueue=True)


def call(sample: Sample) -> tuple[str, str]:
    """POST makes an order or a return, PUT says more of it; both name it in the path."""
    noun, _, action = sample.topic.partition("/")
    try:
        body = orjson.loads(sample.body)
    except orjson.JSONDecodeError:
        body = {}
    found = body.get("id" if noun == "return" else "sellerOrderId") if isinstance(body, dict) else None
    path = f"{agreed.beneath(USUAL, sample)}/storefront/v4/{noun}/{found or 'unknown'}"
    return ("POST", path) if action == "create" else ("PUT", f"{path}/{action}")


def sign(sample: Sample) -> list[tuple[str, str]]:
    """The headers of a genuine call; `sample.url` is the whole URL, its path beneath the source's included."""
    headers = [("Content-Type", "application/json"), ("x-partner-store", "MYNTRA")]
    return agreed.sign(USUAL, sample, headers, method=call(sample)[0])


MYNTRA = Provider(
    name="myntra",
    title="Myntra",
    verify=verify,
    route=no_tenant,  # there is no tenant: the token was issued for one seller
    identify=identify,
    transform=transform,
    topics=TOPICS,
    sign=sign,
    reply=reply,
    check_settings=lambda settings: agreed.problems(agreed.Agreement, USUAL, settings),
    in_words=lambda settings: agreed.in_words(USUAL, settings),
    secret_headers=lambda source: agreed.secret_headers(USUAL, source),
    path_token=lambda source: agreed.path_token(USUAL, source),
    methods=("POST", "PUT"),
    subpaths=True,
    call=call,
)
