"""The stories: what each provider tells of one customer, order or parcel, good and bad, in the order it is sent.

Comes in: a number and when the story starts. Comes out: its steps. Pure: the same arguments give the same steps, but
for the ids of deliveries.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

import orjson

from cli.demo.step import Fate, Record, Step
from shared.providers import samples

SHOPS: Final = ("lumiere-paris.myshopify.com", "lumiere-koeln.myshopify.com")
BURST: Final = 5  # how often the same webhook is posted at once
# Shopify's source is told to want customers only: what else a shop sends is ignored, and costs a sample of any kind.
_SAMPLE_OF: Final = {"carts/update": "customers/update"}
_ENDED: Final = ("report", "feed")
_REPORTS: Final = {"DONE": "done", "CANCELLED": "cancelled", "FATAL": "failed"}


def whole_life(number: int, start: datetime) -> Iterator[Step]:
    """Created, updated, the same update again, an older one, a forged one, deleted, and an update too late."""
    later = _minutes(start)
    yield _customer("customers/create", number, later(0), "user.created")
    update = _customer("customers/update", number, later(9), "user.updated", revision=2)
    yield update
    yield _again(update)
    yield _stale(_customer("customers/update", number, later(5), revision=1))
    yield _forged(_customer("customers/delete", number, later(10)))
    yield _customer("customers/delete", number, later(20), "user.deleted")
    yield _stale(_customer("customers/update", number, later(15), revision=3))


def out_of_order(number: int, start: datetime) -> Iterator[Step]:
    """The update arrives before the creation; a topic that nobody wants; another update."""
    later = _minutes(start)
    yield _customer("customers/update", number, later(3), "user.created", revision=1)
    yield _stale(_customer("customers/create", number, later(0)))
    yield replace(_customer("carts/update", number, later(4)), fate=Fate.IGNORED, leaves={})
    yield _customer("customers/update", number, later(6), "user.updated", revision=2)


def burst(number: int, start: datetime) -> Iterator[Step]:
    """The same creation, posted several times at the same moment; then updates."""
    later = _minutes(start)
    yield replace(_customer("customers/create", number, later(0), "user.created"), at_once=BURST)
    for revision in (1, 2):
        yield _customer("customers/update", number, later(revision), "user.updated", revision=revision)


def client(number: int, start: datetime) -> Iterator[Step]:
    """A Robaws client: created, a forged update, updated, the same again, an older one."""
    later = _minutes(start)
    yield _client("client.created", number, later(0), "user.created")
    yield _forged(_client("client.updated", number, later(30), revision=9))
    update = _client("client.updated", number, later(7), "user.updated", revision=2)
    yield update
    yield _again(update)
    yield _stale(_client("client.updated", number, later(4), revision=1))


def order(number: int, start: datetime) -> Iterator[Step]:
    """An Amazon order: ordered, a forged cancellation, shipped, the same again, an older state; a feed or a report."""
    later = _minutes(start)
    yield _order("Unshipped", "open/unfulfilled", number, later(0), "order.created")
    yield _forged(_order("Canceled", "", number, later(30)))
    shipped = _order("Shipped", "closed/fulfilled", number, later(7), "order.updated", "order.fulfilled")
    yield shipped
    yield _again(shipped)
    yield _stale(_order("PartiallyShipped", "", number, later(4)))
    yield replace(_finished(_ENDED[number // 2 % len(_ENDED)], number, later(8)), at_once=2)


def parcel(number: int, start: datetime) -> Iterator[Step]:
    """A Flipkart parcel: created, a forged cancellation, shipped, the same again, an older state, delivered."""
    later = _minutes(start)
    yield _parcel("shipment_created", "pending", number, later(0), "shipment.created", "order.created")
    yield _forged(_parcel("shipment_cancelled", "", number, later(30)))
    gone = ("shipment.updated", "order.updated", "order.fulfilled")
    shipped = _parcel("shipment_shipped", "shipped", number, later(7), *gone)
    yield shipped
    yield _again(shipped)
    yield _stale(_parcel("shipment_packed", "", number, later(4)))
    delivered = ("shipment.updated", "shipment.delivered", "order.updated")
    yield _parcel("shipment_delivered", "delivered", number, later(9), *delivered)


STORIES: Final[tuple[Callable[[int, datetime], Iterator[Step]], ...]] = (
    whole_life,
    client,
    order,
    out_of_order,
    parcel,
    burst,
)


def _step(
    provider: str,
    topic: str,
    number: int,
    at: datetime,
    *,
    body: Mapping[str, Any],
    events: tuple[str, ...],
    leaves: Mapping[Record, str | None],
    delivery_id: str = "",
    tenant: str = "",
) -> Step:
    return Step(
        provider=provider,
        topic=topic,
        number=number,
        tenant=tenant,
        delivery_id=delivery_id or str(uuid4()),
        body=orjson.dumps(body),
        at=at,
        fate=Fate.PROCESSED,
        events=events,
        leaves=leaves,
    )


def _sample(provider: str, topic: str, number: int, at: datetime) -> dict[str, Any]:
    body: dict[str, Any] = orjson.loads(samples.make(provider, topic, number=number, at=at))
    return body


def _customer(topic: str, number: int, at: datetime, *events: str, revision: int = 0) -> Step:
    body, phone = _sample("shopify", _SAMPLE_OF.get(topic, topic), number, at), _phone(number, revision)
    is_gone = topic == "customers/delete"
    if not is_gone:
        body |= {"updated_at": at.isoformat(), "phone": phone}
    leaves = {("shopify", "user", str(body["id"])): None if is_gone else phone}
    return _step(
        "shopify", topic, number, at, body=body, events=events, leaves=leaves, tenant=SHOPS[number % len(SHOPS)]
    )


def _client(topic: str, number: int, at: datetime, *events: str, revision: int = 0) -> Step:
    body, phone, delivery_id = _sample("robaws", topic, number, at), _phone(number, revision), str(uuid4())
    body["id"] = delivery_id
    body["data"] |= {"updatedAt": at.isoformat(), "tel": phone}
    leaves = {("robaws", "user", str(body["data"]["id"])): phone}
    return _step("robaws", topic, number, at, body=body, events=events, leaves=leaves, delivery_id=delivery_id)


def _order(word: str, mark: str, number: int, at: datetime, *events: str) -> Step:
    body = _sample("amazon", "ORDER_CHANGE", number, at)
    change = body["Payload"]["OrderChangeNotification"]
    change["Summary"]["OrderStatus"] = word
    for item in change["Summary"]["OrderItems"]:
        item["OrderItemStatus"] = word
    leaves = {("amazon", "order", change["AmazonOrderId"]): mark}
    return _step("amazon", "ORDER_CHANGE", number, at, body=body, events=events, leaves=leaves)


def _finished(kind: str, number: int, at: datetime) -> Step:
    topic = f"{kind.upper()}_PROCESSING_FINISHED"
    body = _sample("amazon", topic, number, at)
    told = body["payload"][f"{kind}ProcessingFinishedNotification"]
    leaves = {("amazon", "report", f"{kind}:{told[f'{kind}Id']}"): _REPORTS[told["processingStatus"]]}
    return _step("amazon", topic, number, at, body=body, events=(f"{kind}.finished",), leaves=leaves)


# How a parcel's order stands after it.
_ORDER_OF_PARCEL: Final = {
    "shipment_created": "open/unfulfilled",
    "shipment_shipped": "open/fulfilled",
    "shipment_delivered": "closed/fulfilled",
}


def _parcel(topic: str, mark: str, number: int, at: datetime, *events: str) -> Step:
    body = _sample("flipkart", topic, number, at)
    leaves: dict[Record, str | None] = {("flipkart", "shipment", body["shipmentId"]): mark}
    if topic in _ORDER_OF_PARCEL:
        made = _sample("flipkart", "shipment_created", number, at)["attributes"]
        [order_id] = {item["orderId"] for item in made["orderItems"]}
        leaves["flipkart", "order", order_id] = _ORDER_OF_PARCEL[topic]
    return _step("flipkart", topic, number, at, body=body, events=events, leaves=leaves)


def _again(step: Step) -> Step:
    return replace(step, fate=Fate.DUPLICATE, events=(), leaves={})


def _stale(step: Step) -> Step:
    return replace(step, fate=Fate.STALE, events=(), leaves={})


def _forged(step: Step) -> Step:
    return replace(step, fate=Fate.REFUSED, forged=True, events=(), leaves={})


def _phone(number: int, revision: int) -> str:
    return f"+46 70 {number:05d} {revision:02d}"


def _minutes(start: datetime) -> Callable[[int], datetime]:
    return lambda minutes: start + timedelta(minutes=minutes)
