"""What is said to be from the future, by an unsigned header or by the body itself, keeps nothing out for ever."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.providers import samples
from shared.providers.registry import PROVIDERS
from shared.record_kinds import KINDS
from shared.versions import AHEAD_SECONDS
from tests.workers.inbound.dock import NOW, RECEIVED, Dock, customer
from tests.workers.inbound.test_channels import Channel

FAR = 3650  # days
FOREVER = datetime(9999, 1, 1, tzinfo=UTC)
DELETION = {"id": customer()["id"]}


def test_a_deletion_triggered_in_a_thousand_years_keeps_nobody_out(dock: Dock) -> None:
    dock.post("customers/create", customer())
    dock.post("customers/delete", DELETION, triggered_at=FOREVER)
    dock.drain()
    [gone] = dock.rows("users")
    assert gone["deleted_at"] is not None
    assert RECEIVED < gone["version"] <= RECEIVED + timedelta(seconds=AHEAD_SECONDS + 1)
    later = dock.post("customers/update", customer(minute=45), received_at=NOW + timedelta(minutes=45))
    dock.drain()
    assert dock.message(later)["state"] == "processed"
    assert dock.told() == ["user.created", "user.deleted", "user.created"]
    # The event is of when we heard of it, and not of a day that is yet to come.
    assert dock.envelopes()[1]["timestamp"] < "2026-03-02T12:31"


def test_a_part_that_is_of_the_future_is_told_of_again(dock: Dock) -> None:
    topic = "customers_email_marketing_consent/update"
    given = {"customer_id": customer()["id"], "email_address": "zoe@lindenhof.example"}
    for at, received, state in ((FOREVER, 30, "subscribed"), (NOW + timedelta(minutes=45), 50, "unsubscribed")):
        consent = {"state": state, "consent_updated_at": at.isoformat()}
        body = given | {"email_marketing_consent": consent}
        dock.post(topic, body, received_at=NOW + timedelta(minutes=received))
        dock.drain()
    [user] = dock.rows("users")
    assert user["opt_ins"]["email"] is False


def test_a_replay_comes_to_the_same_version_as_at_first(dock: Dock) -> None:
    dock.post("customers/delete", DELETION, triggered_at=FOREVER)
    dock.drain()
    [first] = dock.rows("users")
    dock.post("customers/delete", DELETION, triggered_at=FOREVER)
    dock.drain()
    [again] = dock.rows("users")
    assert again["version"] - first["version"] < timedelta(seconds=1)


@pytest.mark.parametrize("name", [name for name in PROVIDERS if name not in ("shopify", "amazon")])
def test_a_state_of_the_far_future_gives_way_to_one_that_is_told_later(dock: Dock, name: str) -> None:
    channel = Channel(dock, name)
    topic = samples.topics(name)[0]
    channel.send(topic, days=FAR, received=60)
    channel.drain()
    made = [row for kind in KINDS.values() for row in dock.rows(kind.table)]
    assert made
    latest = NOW + timedelta(minutes=60, seconds=AHEAD_SECONDS + 1)
    assert all(row["version"] <= latest for row in made if row["version"] is not None)
    later = channel.send(topic, minute=70, received=70)
    channel.drain()
    assert dock.message(later)["state"] == "processed"
    versions = [row["version"] for kind in KINDS.values() for row in dock.rows(kind.table)]
    assert max(version for version in versions if version is not None) >= NOW + timedelta(minutes=70)
