"""Of one record's events the older is never sent after the newer, and no record waits for another."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text, update

from shared import replays
from shared.db import tables
from shared.destinations.registry import DESTINATIONS
from shared.event_types import CATALOGUE
from shared.events import EventDraft, emit, envelope
from shared.ids import new_id
from tests.doubles.crm import Crm
from tests.doubles.hubspot import HubSpot
from tests.doubles.served import Fault
from tests.doubles.xwanai import Xwanai
from tests.workers.delivery.conftest import Clock, Desk
from workers.delivery.books import Books

ZOE, JAN = new_id(), new_id()


@pytest.fixture
def hubspot(clock: Clock) -> Iterator[HubSpot]:
    with HubSpot(clock=clock) as double:
        yield double


@pytest.fixture
def xwanai() -> Iterator[Xwanai]:
    with Xwanai() as double:
        yield double


@pytest.fixture
def contacts(desk: Desk, hubspot: HubSpot) -> UUID:
    return desk.subscribe(
        hubspot.url(), destination="hubspot", secrets=[(hubspot.token, None)], ordering="record", retry_attempts=1
    )


def customers(desk: Desk, xwanai: Xwanai, **values: Any) -> UUID:
    return desk.subscribe(
        xwanai.url("/api"),
        destination="xwanai",
        secrets=[(xwanai.key, None)],
        **{"ordering": "record", "retry_attempts": 1, **values},
    )


def owe_contact(desk: Desk, subscription: UUID, record: UUID, number: str, **changes: Any) -> UUID:
    """A change of somebody's phone, of which HubSpot is to know."""
    user = {"email": f"{record}@lindenhof.example", "phone": number}
    (delivery,) = desk.owe(subscription, record=record, body=json.dumps({"data": {"user": user, "changes": changes}}))
    return delivery


def owe_customer(desk: Desk, subscription: UUID, event_type: str, *, strict: bool = False) -> UUID:
    """An event about Zoë, of which xwanai is to know."""
    kind = CATALOGUE[event_type]
    body = envelope(event_type=event_type, data=kind.data, source="shopify", action=kind.action, at=desk.clock())
    (delivery,) = desk.owe(subscription, record=ZOE, body=body, strict=strict)
    with desk.engine.begin() as connection:
        connection.execute(
            update(tables.deliveries).where(tables.deliveries.c.id == delivery).values(event_type=event_type)
        )
    return delivery


def replay(desk: Desk, delivery: UUID) -> None:
    with desk.engine.begin() as connection:
        assert replays.replay_delivery(
            connection, delivery, account_id=None, asked_by="test", reason=None, now=desk.clock()
        )


def phone(hubspot: HubSpot, record: UUID) -> str | None:
    return hubspot.contacts.get(f"{record}@lindenhof.example", {}).get("phone")


def state(desk: Desk, delivery: UUID) -> tuple[str, str | None]:
    row = desk.delivery(delivery)
    return row.state, row.last_error


def test_the_destinations_that_keep_a_records_state_are_ordered_by_it_unless_told_otherwise():
    keep = {name for name, destination in DESTINATIONS.items() if destination.keeps_state}
    assert keep == {"hubspot", "xwanai"}
    assert {name for name, destination in DESTINATIONS.items() if destination.ordering == "record"} == keep


def test_a_late_retry_does_not_overwrite_a_newer_contact_and_others_do_not_wait(
    desk: Desk, hubspot: HubSpot, contacts: UUID
):
    old = owe_contact(desk, contacts, ZOE, "1")
    hubspot.faults.append(Fault(500))
    desk.dispatch()
    new = owe_contact(desk, contacts, ZOE, "2")
    other = owe_contact(desk, contacts, JAN, "7")
    desk.dispatch()
    assert (state(desk, old)[0], state(desk, new)[0]) == ("pending", "pending")
    assert (desk.delivery(other).state, phone(hubspot, JAN)) == ("delivered", "7")

    desk.clock.forward(600)
    desk.dispatch()
    assert (desk.delivery(old).state, desk.delivery(new).state) == ("delivered", "delivered")
    assert phone(hubspot, ZOE) == "2"


def test_what_the_older_event_took_away_is_taken_away_though_the_newer_does_not_know_it(
    desk: Desk, hubspot: HubSpot, contacts: UUID
):
    hubspot.contacts[f"{ZOE}@lindenhof.example"] = {"phone": "1", "firstname": "Zoë"}
    owe_contact(desk, contacts, ZOE, "", phone={"old": "1", "new": None})
    hubspot.faults.append(Fault(500))
    desk.dispatch()
    owe_contact(desk, contacts, ZOE, "")
    desk.clock.forward(600)
    desk.dispatch()
    assert phone(hubspot, ZOE) == ""


def test_the_newer_goes_when_the_older_is_given_up_and_a_replay_of_that_does_not_undo_it(
    desk: Desk, hubspot: HubSpot, contacts: UUID
):
    old = owe_contact(desk, contacts, ZOE, "1")
    new = owe_contact(desk, contacts, ZOE, "2")
    hubspot.faults += [Fault(500)] * 2
    for _ in range(3):
        desk.dispatch()
        desk.clock.forward(600)
    assert (desk.delivery(old).state, desk.delivery(new).state) == ("dead", "delivered")

    asked = len(hubspot.asked)
    replay(desk, old)
    counts = desk.dispatch()
    assert state(desk, old) == ("discarded", "superseded")
    assert (counts["superseded"], len(hubspot.asked), phone(hubspot, ZOE)) == (1, asked, "2")

    replay(desk, new)  # the newest may always be sent again
    hubspot.contacts.clear()
    desk.dispatch()
    assert (desk.delivery(new).state, phone(hubspot, ZOE)) == ("delivered", "2")


def test_everything_replayed_leaves_every_contact_at_its_newest(desk: Desk, hubspot: HubSpot, contacts: UUID):
    ids = [owe_contact(desk, contacts, record, str(n)) for n in range(4) for record in (ZOE, JAN)]
    desk.dispatch()
    hubspot.contacts.clear()
    for delivery in ids:
        replay(desk, delivery)
    desk.dispatch()
    assert (phone(hubspot, ZOE), phone(hubspot, JAN)) == ("3", "3")
    assert desk.states(contacts).keys() <= {"delivered", "discarded"}


def test_many_records_still_go_in_few_requests(desk: Desk, hubspot: HubSpot, contacts: UUID):
    for record in [new_id() for _ in range(250)]:
        owe_contact(desk, contacts, record, "1")
    desk.dispatch()
    assert [len(asked.json["inputs"]) for asked in hubspot.asked] == [100, 100, 50]
    assert desk.states(contacts) == {"delivered": 250}


def test_an_update_that_failed_does_not_bring_a_deleted_customer_back(desk: Desk, xwanai: Xwanai):
    subscription = customers(desk, xwanai)
    owe_customer(desk, subscription, "user.created")
    desk.dispatch()
    changed = owe_customer(desk, subscription, "user.updated")
    gone = owe_customer(desk, subscription, "user.deleted")
    xwanai.faults.append(Fault(502))
    desk.dispatch()
    assert (desk.delivery(changed).state, desk.delivery(gone).state) == ("pending", "pending")
    desk.clock.forward(600)
    desk.dispatch()
    assert (xwanai.customers, desk.states(subscription)) == ({}, {"delivered": 3})


@pytest.mark.parametrize("ordering", ["record", "strict"])
def test_a_replay_of_an_update_that_was_given_up_does_not_bring_a_deleted_customer_back(
    desk: Desk, xwanai: Xwanai, ordering: str
):
    subscription = customers(desk, xwanai, ordering=ordering, retry_attempts=0)
    changed = owe_customer(desk, subscription, "user.updated", strict=ordering == "strict")
    owe_customer(desk, subscription, "user.deleted", strict=ordering == "strict")
    xwanai.faults.append(Fault(502))
    desk.dispatch()
    desk.clock.forward(600)
    desk.dispatch()
    assert desk.states(subscription) == {"dead": 1, "delivered": 1}
    asked = len(xwanai.asked)
    replay(desk, changed)
    desk.dispatch()
    assert state(desk, changed) == ("discarded", "superseded")
    assert (xwanai.customers, len(xwanai.asked)) == ({}, asked)


def test_a_webhook_may_have_it_too_and_its_replays_are_sent_whatever_they_are(desk: Desk, crm: Crm):
    subscription = desk.subscribe(crm.url(), ordering="record")
    old, new = desk.owe(subscription, count=2, record=ZOE)
    (other,) = desk.owe(subscription, record=JAN)
    crm.answer(500, 500, 200)
    desk.dispatch()
    events = {delivery: str(desk.delivery(delivery).event_id) for delivery in (old, new, other)}
    assert {each.webhook_id for each in crm.received} == {events[old], events[other]}
    desk.clock.forward(600)
    desk.dispatch()
    assert desk.states(subscription) == {"delivered": 3}
    assert [each.webhook_id for each in crm.received if each.webhook_id != events[other]] == [
        events[old],
        events[old],
        events[new],
    ]

    replay(desk, old)
    desk.dispatch()
    assert (desk.delivery(old).state, crm.received[-1].webhook_id) == ("delivered", events[old])


def test_one_of_a_record_is_on_its_way_at_a_time_whoever_sends_it(desk: Desk, crm: Crm, clock: Clock):
    subscription = desk.subscribe(crm.url(), ordering="record")
    old, new = desk.owe(subscription, count=2, record=ZOE)
    desk.owe(subscription, record=JAN)
    books = [Books(desk.context, rng=None), Books(desk.context, rng=None)]  # type: ignore[arg-type]

    def claim(which: int) -> set[str]:
        return {one.delivery_id for one in books[which].claim({str(subscription): 10}, [], clock()).taken}

    first = claim(0)
    assert str(old) in first
    assert (len(first), str(new) in first) == (2, False)
    assert claim(1) == set()
    assert books[1].survey(clock()) == [], "what has to wait its turn is not due"

    # Its dispatcher died: the older goes again, and the newer waits for it still.
    clock.forward(1_000)
    desk.expire()
    assert str(new) not in claim(1)

    # While the newer is on its way an older one that is asked for again waits as well.
    for delivery, became in ((old, "dead"), (new, "leased")):
        with desk.engine.begin() as connection:
            connection.execute(
                update(tables.deliveries)
                .where(tables.deliveries.c.id == delivery)
                .values(state=became, lease_until=clock())
            )
    replay(desk, old)
    assert str(old) not in claim(0)


def test_a_fan_out_a_change_of_ordering_and_a_replay_know_whose_record_it_is(desk: Desk, crm: Crm):
    ordered = {
        name: desk.subscribe(crm.url(), ordering=name, events=["user.*"]) for name in ("none", "record", "strict")
    }
    draft = EventDraft(
        account_id=desk.account_id,
        type="user.updated",
        body="{}",
        occurred_at=desk.clock(),
        subject_kind="user",
        subject_id=ZOE,
    )

    def known() -> dict[str, tuple[UUID | None, bool]]:
        rows = desk.all(text("SELECT subscription_id, record_id, strict FROM deliveries"))
        found = {row.subscription_id: (row.record_id, row.strict) for row in rows}
        return {name: found[subscription] for name, subscription in ordered.items()}

    with desk.engine.begin() as connection:
        emit(connection, [draft], now=desk.clock())
    as_ordered = {"none": (None, False), "record": (ZOE, False), "strict": (ZOE, True)}
    assert known() == as_ordered

    desk.dispatch()
    assert {row.state for row in desk.all(text("SELECT state FROM deliveries"))} == {"delivered"}
    with desk.engine.begin() as connection:  # as deliveries of another time are
        connection.execute(text("UPDATE deliveries SET record_id = NULL, strict = NOT strict"))
    for row in desk.all(text("SELECT id FROM deliveries")):
        replay(desk, row.id)
    assert known() == as_ordered
