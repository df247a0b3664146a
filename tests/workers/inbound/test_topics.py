"""A topic that is no word but a text without end is kept as its beginning, wherever it stands."""

from typing import Any
from uuid import UUID

import orjson
import pytest

from shared.ids import new_id
from shared.providers.contract import TOPIC_CHARACTERS, Headers, Identity, Request, topic_of
from tests.shared.providers.test_batches import HUBSPOT, event
from tests.workers import rows
from tests.workers.inbound.dock import RECEIVED, Dock
from workers.inbound.listings import load_listings
from workers.inbound.process import Inbound, process

LONG = "order.changed" + "x" * 30_000
KEPT = LONG[: TOPIC_CHARACTERS - 1] + "…"
ORDERS = {
    "topic": {"json": "type"},
    "records": [{"kind": "order", "topics": ["order.*"], "id": "id", "fields": {"number": "type"}}],
}


def take(dock: Dock, provider: str, body: Any, headers: Headers = Headers(), **source: Any) -> UUID:  # noqa: B008  # never changed
    source_id = rows.source(dock.engine, dock.account_id, provider=provider, **source)
    message_id = new_id()
    request = Request("POST", "/x", headers, orjson.dumps(body))
    with dock.engine.begin() as connection:
        listings = load_listings(connection, dock.context.ring, RECEIVED)
        process(connection, [Inbound(message_id, source_id, RECEIVED, request)], listings=listings, now=RECEIVED)
    return message_id


@pytest.mark.parametrize(
    ("provider", "body", "own"),
    [
        ("generic", {"type": LONG}, {"topic": {"json": "type"}}),
        ("generic", {}, {"topic": {"header": "X-Topic"}}),
        ("shopify", {"id": 1}, {}),
        ("flipkart", {"eventType": LONG, "shipmentId": "s"}, {}),
        ("selloship", {"event": LONG, "waybillDetails": {"waybill": "w"}}, {}),
        ("manychat", {"event": LONG, "data": {"id": 1}}, {}),
        ("robaws", {"event": LONG, "id": "e", "data": {"id": 1}}, {}),
    ],
)
def test_of_a_topic_without_end_its_beginning_is_kept(
    dock: Dock, provider: str, body: Any, own: dict[str, Any]
) -> None:
    headers = Headers([("X-Topic", LONG), ("X-Shopify-Topic", LONG), ("X-Shopify-Webhook-Id", "d")])
    row = dock.message(take(dock, provider, body, headers, settings=own))
    assert (row["topic"], row["state"]) == (KEPT, "ignored")
    assert len(row["reason"]) < 2 * TOPIC_CHARACTERS


def test_a_pattern_takes_it_as_it_takes_any_other_and_a_source_that_does_not_want_it_says_so_shortly(
    dock: Dock,
) -> None:
    body = {"type": LONG, "id": "7"}
    taken = take(dock, "generic", body, settings=ORDERS)
    assert dock.message(taken)["state"] == "processed"
    assert dock.rows("orders")[0]["external_id"] == "7"
    left = dock.message(take(dock, "generic", body, settings=ORDERS, path="other", allowed_topics=["order.made"]))
    assert (left["reason_code"], left["reason"]) == ("topic_not_wanted", f"the source does not take {KEPT}")


def test_the_topics_of_items_have_an_end_too(dock: Dock) -> None:
    batch = [event(number, f"contact.creation{'x' * 30_000}{number}") for number in range(3)]
    row = dock.message(take(dock, "generic", batch, settings=HUBSPOT))
    assert len(row["topic"]) == TOPIC_CHARACTERS
    assert row["topic"].endswith("…")
    identity = Identity("mixed", b"k", None, "", None, topics=(LONG + "1", LONG + "2", "short"))
    assert identity.told == (KEPT, "short")


def test_what_is_a_word_stays_as_it_is() -> None:
    assert topic_of("é" * TOPIC_CHARACTERS) == "é" * TOPIC_CHARACTERS
    assert len(topic_of("é" * (TOPIC_CHARACTERS + 1))) == TOPIC_CHARACTERS
