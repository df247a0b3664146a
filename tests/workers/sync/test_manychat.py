"""Subscribers of a ManyChat page, read one by one, from the message that made them known to the event that tells."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from shared import integrations, sources
from shared.clock import utc_now
from shared.db.engine import transaction
from shared.destinations.contract import Quota
from shared.ids import new_id
from shared.providers.contract import Headers, Request
from shared.upstream_work import Kind
from tests import envelopes
from tests.doubles.manychat import TOKEN, ManyChat
from tests.doubles.served import Reply
from tests.workers.sync.conftest import Rig
from workers.inbound.listings import load_listings
from workers.inbound.process import Inbound, process
from workers.inbound.syncs import ask_syncs
from workers.quotas import Quotas
from workers.sync import manychat


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Iterator[ManyChat]:
    with ManyChat() as double:
        monkeypatch.setattr(manychat, "API", double.url())
        yield double


@pytest.fixture
def chat(rig: Rig, page: ManyChat) -> Rig:
    """The rig with a page instead of its shop."""
    with transaction(rig.context.engine) as connection:
        source = sources.create(
            connection, rig.context.ring, account_id=rig.account, provider="manychat", secrets=["s"], now=rig.now
        )[0]["id"]
        integration = integrations.create(
            connection,
            rig.context.ring,
            account_id=rig.account,
            source_id=source,
            external_id=page.page_id,
            credentials={"access_token": TOKEN},
            now=rig.now,
        )["id"]
    made = replace(rig, source=source, integration=integration)
    page.clock = lambda: made.now
    return made


def say(rig: Rig, *bodies: str) -> None:
    """Messages that tell of subscribers, taken in as a drain does."""
    batch = []
    for body in bodies:
        request = Request(
            "POST", "/api/webhooks/manychat", Headers([("Content-Type", "application/json")]), body.encode()
        )
        batch.append(Inbound(new_id(), rig.source, rig.now, request))
    with transaction(rig.context.engine) as connection:
        listings = load_listings(connection, rig.context.ring, rig.now)
        process(connection, batch, listings=listings, now=rig.now)
        ask_syncs(connection, batch, listings, now=rig.now, in_seconds=30)


def thin(subscriber: str) -> str:
    return f'{{"id": "{subscriber}", "page_id": "4711"}}'


def users(rig: Rig) -> dict[str, dict[str, Any]]:
    return {row["external_id"]: row for row in rig.rows("SELECT * FROM users")}


def told(rig: Rig) -> list[str]:
    return [envelopes.read(row["body"])["event"] for row in rig.rows("SELECT body FROM events ORDER BY id")]


def test_a_message_that_tells_little_has_its_subscriber_read_once_for_all_of_them(chat: Rig, page: ManyChat):
    for subscriber in ("1", "2"):
        page.subscribe(subscriber)
    say(chat, thin("1"), thin("2"))
    chat.run()
    assert page.asked == []  # not yet
    chat.forward(seconds=31)
    chat.run()
    assert [asked.query["subscriber_id"] for asked in page.asked] == ["1", "2"]
    user = users(chat)["1"]
    assert (user["first_name"], user["manychat_id"]) == ("Zoë", "1")
    assert [tag["name"] for tag in user["tags"]] == ["vip"]
    assert user["custom_fields"] == {"favourite_tea": "Sencha"}
    assert user["opt_ins"]["whatsapp"] is True
    assert user["interactions"] == {"lastUpdated": "2026-05-01T10:00:00.000Z"}
    assert user["stats"]["lastSynced"]
    assert told(chat).count("user.updated") == 2
    nobody = {"count": 0, "named": []}
    counted = {"read": 2, "gone": 0, "events": len(told(chat)) - 2, "leftOut": nobody}
    assert chat.standing(Kind.SYNC)["result"] == counted


def test_what_arrives_after_a_reading_counts_whenever_the_subscriber_was_last_there(chat: Rig, page: ManyChat):
    page.subscribe("1", last_interaction="2029-01-01T00:00:00+00:00")
    say(chat, thin("1"))
    chat.do(Kind.SYNC)
    chat.forward(seconds=1)
    say(chat, '{"id": "1", "page_id": "4711", "first_name": "Zoé"}')
    assert users(chat)["1"]["first_name"] == "Zoé"


def test_what_was_read_lately_is_not_read_again_and_nobody_is_told_of_nothing(chat: Rig, page: ManyChat):
    page.subscribe("1")
    say(chat, thin("1"))
    chat.do(Kind.SYNC)
    events = told(chat)
    chat.do(Kind.SYNC)
    assert len(page.asked) == 1
    chat.forward(hours=25)
    chat.do(Kind.SYNC)
    assert len(page.asked) == 2
    assert told(chat) == events


def test_a_subscriber_that_is_not_there_any_more_stays_as_we_know_them(chat: Rig, page: ManyChat):
    page.subscribe("2")
    say(chat, thin("1"), thin("2"))
    assert chat.do(Kind.SYNC)["result"]["gone"] == 1
    assert users(chat)["1"]["deleted_at"] is None
    assert users(chat)["2"]["first_name"] == "Zoë"
    chat.do(Kind.SYNC)
    assert len(page.asked) == 2


def test_a_limit_puts_the_rest_off_and_keeps_what_was_read(chat: Rig, page: ManyChat):
    for subscriber in "123":
        page.subscribe(subscriber)
    say(chat, *map(thin, "123"))
    page.left = 2
    chat.do(Kind.SYNC)
    assert [user["first_name"] for _, user in sorted(users(chat).items())] == ["Zoë", "Zoë", None]
    page.left = None
    chat.run()
    assert users(chat)["3"]["first_name"] is None
    chat.forward(seconds=31)
    chat.run()
    standing = chat.standing(Kind.SYNC)
    assert (standing["state"], standing["result"]["read"], standing["error_code"]) == ("done", 3, None)


def test_what_other_workers_asked_of_the_page_counts_and_the_rest_is_put_off(
    chat: Rig, page: ManyChat, monkeypatch: pytest.MonkeyPatch
):
    for subscriber in "123":
        page.subscribe(subscriber)
    say(chat, *map(thin, "123"))
    quota = Quota(3, 1_000.0)
    monkeypatch.setattr(manychat, "QUOTA", quota)
    other = Quotas(chat.context.client)  # a worker of another process, at the same page
    assert other.take("manychat", "requests", page.page_id, quota, now=utc_now()) == 0
    chat.do(Kind.SYNC)
    assert len(page.asked) == 2
    standing = chat.standing(Kind.SYNC)
    assert (standing["state"], standing["tries"], standing["error_code"]) == ("waiting", 0, None)
    assert (standing["due_at"] - chat.now).total_seconds() > 900


def test_a_token_that_is_refused_is_a_persons_to_mend(chat: Rig, page: ManyChat):
    page.subscribe("1")
    say(chat, thin("1"))
    with transaction(chat.context.engine) as connection:
        changes = {"credentials": {"access_token": "other"}}
        integrations.change(
            connection, chat.context.ring, chat.integration, account_id=chat.account, changes=changes, now=chat.now
        )
    standing = chat.do(Kind.SYNC)
    assert (standing["state"], standing["error_code"]) == ("failed", "denied")
    assert [row["kind"] for row in chat.rows("SELECT kind FROM alerts")] == ["sync.failing"]


@pytest.mark.parametrize(
    "answer",
    [
        {"status": "success"},
        {"status": "success", "data": {"id": "9"}},
        {"status": "success", "data": {"id": "2", "first_name": {"no": "text"}}},
        {"status": "success", "data": {"id": "2", "name": "x", "tags": 7}},
        [],
        "no",
    ],
)
def test_one_whom_no_user_can_hold_is_left_out_and_named_and_the_others_are_read(
    chat: Rig, page: ManyChat, answer: Any, monkeypatch: pytest.MonkeyPatch
):
    for subscriber in "123":
        page.subscribe(subscriber)
    say(chat, *map(thin, "123"))
    well = page.answer

    def odd(method: str, path: str, query: Any, headers: Any, body: bytes) -> Reply:
        reply = well(method, path, query, headers, body)
        return Reply(200, answer) if query["subscriber_id"] == "2" else reply

    with monkeypatch.context() as patch:
        patch.setattr(page, "answer", odd)
        standing = chat.do(Kind.SYNC)
    assert (standing["state"], standing["error_code"], standing["result"]["read"]) == ("done", None, 2)
    assert [user["first_name"] for _, user in sorted(users(chat).items())] == ["Zoë", None, "Zoë"]
    left_out = standing["result"]["leftOut"]
    assert (left_out["count"], left_out["named"][0]["externalId"]) == (1, "2")
    assert left_out["named"][0]["reason"]
    [alert] = chat.rows("SELECT * FROM alerts")
    assert (alert["kind"], alert["severity"], alert["resolved_at"]) == ("sync.incomplete", "warning", None)
    assert alert["detail"]["named"] == left_out["named"]

    # Within the day they are not asked for again, and that they are missing is not forgotten.
    asked = len(page.asked)
    assert chat.do(Kind.SYNC)["result"]["leftOut"] == left_out
    assert len(page.asked) == asked

    chat.forward(hours=25)
    assert chat.do(Kind.SYNC)["result"]["leftOut"]["count"] == 0
    assert users(chat)["2"]["first_name"] == "Zoë"
    [alert] = chat.rows("SELECT * FROM alerts")
    assert alert["resolved_at"] is not None


def test_one_whom_postgresql_refuses_is_left_out_alone(chat: Rig, page: ManyChat):
    chat.execute("ALTER TABLE users ADD CHECK (first_name <> 'poison')")
    for number in range(1, 10):
        page.subscribe(str(number), first_name="poison" if number == 4 else "Zoë")
    say(chat, *(thin(str(number)) for number in range(1, 10)))
    result = chat.do(Kind.SYNC)["result"]
    assert (result["read"], result["leftOut"]["count"]) == (8, 1)
    assert "CheckViolation" in result["leftOut"]["named"][0]["reason"]
    assert sum(user["first_name"] == "Zoë" for user in users(chat).values()) == 8


def test_an_answer_that_is_not_manychats_own_is_trouble_that_passes(
    chat: Rig, page: ManyChat, monkeypatch: pytest.MonkeyPatch
):
    page.subscribe("1")
    say(chat, thin("1"))
    monkeypatch.setattr("tests.doubles.served.orjson.dumps", lambda _: b"<html>Maintenance</html>")
    standing = chat.do(Kind.SYNC)
    assert (standing["state"], standing["error_code"]) == ("failed", "answer_malformed")
    assert standing["due_at"] is not None


def test_a_page_without_a_token_is_not_read_because_of_a_message(chat: Rig, page: ManyChat):
    with transaction(chat.context.engine) as connection:
        integrations.change(
            connection,
            chat.context.ring,
            chat.integration,
            account_id=chat.account,
            changes={"credentials": None},
            now=chat.now,
        )
    say(chat, thin("1"))
    assert chat.rows("SELECT * FROM upstream_work") == []
    assert page.asked == []
