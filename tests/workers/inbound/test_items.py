"""A batch on its way: what is good in it is taken in, what is not is said, and a replay takes that in once mended."""

from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text

from shared.ids import new_id
from shared.providers.contract import Headers, Request
from tests.shared.providers.test_batches import CHANGED, CREATED, DELETED, HUBSPOT, event
from tests.workers import rows
from tests.workers.inbound.dock import RECEIVED, Dock
from workers.inbound.listings import load_listings
from workers.inbound.messages import restore
from workers.inbound.process import Inbound, Tally, process

BROKEN = event(5, "contact.creation", objectId=None, id=77)


class Portal:
    """A source of HubSpot's beside the dock's own."""

    def __init__(self, dock: Dock, settings: dict[str, Any] = HUBSPOT, **values: Any) -> None:
        self.dock = dock
        values |= {"provider": "generic", "settings": settings}
        self.source_id = rows.source(dock.engine, dock.account_id, **values)

    def take(self, *events: Any) -> UUID:
        message_id = new_id()
        request = Request("POST", "/x", Headers(), orjson.dumps(events))
        self.process(Inbound(message_id, self.source_id, RECEIVED, request))
        return message_id

    def replay(self, message_id: UUID) -> Tally:
        kept = restore(self.dock.message(message_id))
        assert kept is not None
        return self.process(kept, replay=True)

    def process(self, message: Inbound, *, replay: bool = False) -> Tally:
        with self.dock.engine.begin() as connection:
            listings = load_listings(connection, self.dock.context.ring, RECEIVED)
            return process(connection, [message], listings=listings, now=RECEIVED, replay=replay)

    def set(self, **settings: Any) -> None:
        with self.dock.engine.begin() as connection:
            connection.execute(
                text("UPDATE sources SET settings = CAST(:settings AS jsonb) WHERE id = :id"),
                {"settings": orjson.dumps(HUBSPOT | settings).decode(), "id": self.source_id},
            )


def verdict(dock: Dock, message_id: UUID) -> tuple[str, str | None, int]:
    row = dock.message(message_id)
    return row["state"], row["reason"], row["events_count"]


def test_every_event_of_a_batch_is_told(dock: Dock) -> None:
    portal = Portal(dock)
    message_id = portal.take(CREATED, CHANGED, DELETED)
    assert verdict(dock, message_id) == ("processed", None, 2)
    assert dock.told() == ["user.created", "user.created"]  # a deletion of somebody we never had is not told
    assert dock.message(message_id)["topic"] == "mixed"
    assert {user["external_id"]: user["email"] for user in dock.rows("users")} == {
        "9001": None,
        "9002": "zoë@lindenhof.example",
        "9003": None,
    }


def test_the_good_of_a_batch_is_taken_in_and_the_bad_when_it_is_mended(dock: Dock) -> None:
    portal = Portal(dock)
    message_id = portal.take(CREATED, BROKEN, CHANGED)
    assert verdict(dock, message_id) == ("failed", "1 item cannot be read: [1]: there is no id at objectId", 2)
    assert dock.message(message_id)["reason_code"] == "items_unexpected"
    assert dock.told() == ["user.created"] * 2
    # Still broken: nothing is told twice.
    assert portal.replay(message_id).events == 0
    assert verdict(dock, message_id)[0] == "failed"
    mended = [HUBSPOT["records"][0] | {"id": "objectId || id"}, *HUBSPOT["records"][1:]]
    portal.set(records=mended)
    assert portal.replay(message_id).events == 1
    assert verdict(dock, message_id) == ("processed", None, 3)
    assert [user["external_id"] for user in dock.rows("users", "external_id")] == ["77", "9001", "9002"]


def test_what_only_the_drain_finds_wrong_fails_its_item_alone_and_whole(dock: Dock) -> None:
    both = [*HUBSPOT["records"], {"kind": "order", "topics": ["contact.creation"], "id": "orderId"}]
    portal = Portal(dock, HUBSPOT | {"records": both})
    long = CREATED | {"orderId": "x" * 300}
    message_id = portal.take(long, event(4, "contact.creation", orderId="1"))
    assert verdict(dock, message_id)[:2] == ("failed", "1 item cannot be read: [0]: an id has 1 to 255 characters")
    assert [user["external_id"] for user in dock.rows("users")] == ["9004"]
    assert [order["external_id"] for order in dock.rows("orders")] == ["1"]


def test_of_a_batch_a_source_takes_what_it_takes(dock: Dock) -> None:
    portal = Portal(dock, allowed_topics=["contact.propertyChange"])
    assert verdict(dock, portal.take(CREATED, CHANGED))[0] == "processed"
    assert [user["external_id"] for user in dock.rows("users")] == ["9002"]
    state, reason, _ = verdict(dock, portal.take(CREATED, DELETED))
    assert (state, reason) == ("ignored", "the source does not take contact.creation, contact.deletion")
    # What it does not take, it does not complain of either.
    assert verdict(dock, portal.take(BROKEN, event(7, "contact.propertyChange", propertyName="phone")))[0] == "ignored"
    assert verdict(dock, portal.take(BROKEN, CHANGED | {"eventId": 8}))[0] == "processed"


def test_events_of_several_accounts_are_kept_apart(dock: Dock) -> None:
    portal = Portal(dock)
    message_id = portal.take(CREATED, CREATED | {"portalId": 621})
    assert [user["tenant"] for user in dock.rows("users", "tenant")] == ["620", "621"]
    message = dock.message(message_id)
    assert message["tenant"] == ""
    assert message["subjects"] == ["tenant:620", "user:9001", "tenant:621"]


def test_a_batch_sent_again_is_a_repeat_whatever_failed_in_it(dock: Dock) -> None:
    portal = Portal(dock)
    portal.take(CREATED, BROKEN)
    again = portal.take(CREATED | {"attemptNumber": 1}, BROKEN | {"attemptNumber": 1})
    assert verdict(dock, again)[0] == "duplicate"
    assert dock.told() == ["user.created"]
