import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from shared.errors import PayloadUnexpected
from shared.payload import parse
from shared.providers import bodies
from shared.providers.contract import Change, Headers, Identity, Outcome, Provider, Request
from shared.record_changes import RecordChange, RecordKey
from shared.record_kinds import USER
from tests.workers import rows
from tests.workers.inbound.dock import NOW, SHOP, Dock, customer
from workers.inbound import process as process_module
from workers.inbound import records as records_module
from workers.inbound.listings import load_listings
from workers.inbound.messages import restore
from workers.inbound.process import Inbound, Tally, process
from workers.inbound.records import apply_changes


def parrot(transform: Callable[[Any], Outcome], identify: Callable[[Any], None] = lambda _: None) -> Provider:
    """A provider that says what a test wants: the message's key is its body's `key`."""

    def identity(request: Request, _: Any, payload: Any) -> Identity:
        identify(payload)
        if payload is None:
            raise PayloadUnexpected("the body is not JSON")
        return Identity("t", str(payload.get("key", request.body)).encode(), payload.get("key"), "", None)

    return Provider(
        name="shopify",
        title="Parrot",
        verify=lambda *_: None,
        route=lambda *_: "",
        identify=identity,
        transform=lambda _, payload, __: transform(payload),
        topics=("t",),
        sign=lambda _: [],
    )


def said(payload: Any) -> Outcome:
    change = Change("user", "upsert", str(payload.get("id", "1")), NOW, payload.get("fields", {}))
    return Outcome(changes=(change,))


def inbound(dock: Dock, body: Any, **values: Any) -> Inbound:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = Request("POST", values.get("path", "/x"), Headers(values.get("headers", ())), raw)
    return Inbound(uuid4(), dock.source_id, NOW, request)


def run(dock: Dock, batch: list[Inbound], provider: Provider | None = None, *, replay: bool = False) -> Tally:
    chosen = {} if provider is None else {"providers": {"shopify": provider}}
    with dock.engine.begin() as connection:
        listings = load_listings(connection, dock.context.ring, NOW)
        return process(connection, batch, listings=listings, now=NOW, replay=replay, **chosen)


def verdict(dock: Dock, message: Inbound) -> tuple[str, str, str]:
    row = dock.message(message.message_id)
    return row["state"], row["reason_code"], row["reason"]


@pytest.mark.parametrize(
    ("body", "code", "reason"),
    [
        (b"not json", "payload_not_json", "not JSON"),
        (b"", "payload_not_json", "empty"),
        (b"\xff\x00", "payload_not_json", "not UTF-8"),
        (b"[" * 100_000, "payload_not_json", "nested too deeply"),
        (b'{"fields": {"email": NaN}}', "payload_not_json", "NaN"),
        ({"fields": {"email": {"a": 1}}}, "payload_unexpected", "email"),
        ({"fields": {"no_such": 1}}, "payload_unexpected", "no_such"),
        ({"fields": {"tags": "vip"}}, "payload_unexpected", "tags"),
        ({"fields": {"subscribed_at": "yesterday"}}, "payload_unexpected", "subscribed_at"),
        ({"id": ""}, "payload_unexpected", "an id"),
        ({"id": "x" * 5000}, "payload_unexpected", "an id"),
        (b'{"fields": {"attributes": {"a":' + b"[" * 250 + b"]" * 250 + b"}}}", "payload_unexpected", "JSON"),
        (b'{"id": 1, "fields": {"a": 1, "a": 1}}', "payload_not_json", 'the body names "fields.a" twice'),
        (b'{"fields": {"email": "a\\u0000"}}', "payload_not_json", "the body holds a NUL character at fields.email"),
        (b'{"fields": {"\\ud800": 1}}', "payload_not_json", "the body holds a lone surrogate in the name"),
        ({"raise": "KeyError"}, "provider_raised", "KeyError"),
    ],
)
def test_a_message_that_cannot_be_read_fails_with_its_reason_and_stops_no_other(
    dock: Dock, body: Any, code: str, reason: str
) -> None:
    def transform(payload: Any) -> Outcome:
        if "raise" in payload:
            raise KeyError(payload["raise"])
        return said(payload)

    poison = inbound(dock, body)
    batch = [inbound(dock, {"id": "before"}), poison, inbound(dock, {"id": "after"})]
    tally = run(dock, batch, parrot(transform))
    assert (tally.processed, tally.failed, tally.events) == (2, 1, 2)
    state, found_code, found_reason = verdict(dock, poison)
    assert (state, found_code) == ("failed", code)
    assert reason in found_reason
    assert bytes(dock.message(poison.message_id)["body"]) == poison.request.body


def test_a_body_that_is_no_json_is_called_so_also_where_headers_alone_tell_what_it_is(dock: Dock) -> None:
    message_id = dock.post("customers/create", b"not json")
    dock.drain()
    message = dock.message(message_id)
    assert (message["state"], message["reason_code"]) == ("failed", "payload_not_json")
    assert "not JSON" in message["reason"]


def test_a_body_is_read_once_and_not_of_a_repeat_where_headers_alone_tell_what_it_is(
    dock: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[bytes] = []
    monkeypatch.setattr(bodies, "parse", lambda body: (read.append(body), parse(body))[1])
    for _ in range(3):
        dock.post("customers/create", customer(), delivery_id="the same")
    counts = dock.drain()
    assert (counts["processed"], counts["duplicate"], len(read)) == (1, 2, 1)


def test_a_message_that_postgresql_refuses_fails_alone(dock: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    with dock.engine.begin() as connection:
        connection.execute(text("ALTER TABLE users ADD CHECK (email <> 'poison')"))
    batch = [inbound(dock, {"id": str(n), "fields": {"email": "poison" if n == 5 else "ok"}}) for n in range(9)]
    tally = run(dock, batch, parrot(said))
    assert (tally.processed, tally.failed, tally.events, tally.deliveries) == (8, 1, 8, 8)
    state, code, reason = verdict(dock, batch[5])
    assert (state, code) == ("failed", "not_storable")
    assert "CheckViolation" in reason
    assert [row["external_id"] for row in dock.rows("users", "external_id")] == list("01234678")


def test_order_holds_in_a_batch_that_is_halved(dock: Dock) -> None:
    with dock.engine.begin() as connection:
        connection.execute(text("ALTER TABLE users ADD CHECK (email <> 'poison')"))
    emails = ["a", "b", "poison", "c", "d"]
    # The poisonous one is another user's, or the next statement about the same user would have covered it.
    batch = [
        inbound(dock, {"key": email, "id": f"{email == 'poison'}", "fields": {"email": email}}) for email in emails
    ]
    run(dock, batch, parrot(said))
    told = [envelope["data"]["user"]["email"] for envelope in dock.envelopes()]
    assert told == ["a", "b", "c", "d"]


def test_trouble_that_passes_fails_no_message(dock: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(connection: Any, *_: Any, **__: Any) -> Any:
        connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    monkeypatch.setattr(process_module, "apply_changes", lost)
    with pytest.raises(Exception, match="terminat"):
        run(dock, [inbound(dock, {})], parrot(said))
    monkeypatch.undo()
    assert dock.rows("messages") == []


def test_a_body_that_headers_alone_make_nothing_of_is_read_all_the_same(dock: Dock) -> None:
    message_id = dock.post("orders/partially_fulfilled", b'{"id": 1, "id": 2}')
    known_id = dock.post("orders/partially_fulfilled", b'{"id": 1}')
    dock.drain()
    message = dock.message(message_id)
    assert (message["state"], message["reason_code"]) == ("failed", "payload_not_json")
    assert message["reason"] == 'the body names "id" twice'
    assert dock.message(known_id)["state"] == "ignored"


def test_unicode_is_kept_and_nul_outside_of_bodies_kept_visibly(dock: Dock) -> None:
    body = (
        b'{"key": "k", "fields": {"first_name": "Zo\xc3\xab \\ud83d\\ude00", "attributes": {"a\\\\u0000": "\\u00e9"}}}'
    )
    message = inbound(dock, body, headers=[("x-note", "caf\xe9"), ("x-nul", "a\x00b")], path="/x?a=\x00")
    assert run(dock, [message], parrot(said)).processed == 1
    [user] = dock.rows("users")
    assert user["first_name"] == "Zoë 😀"
    assert user["attributes"] == {"a\\u0000": "é"}
    row = dock.message(message.message_id)
    assert bytes(row["body"]) == body
    assert (row["delivery_key"], row["path"]) == ("k", "/x?a=\ufffd")
    assert row["headers"] == {"x-note": "caf\xe9", "x-nul": "a\ufffdb"}


def test_credentials_in_headers_are_not_kept(dock: Dock) -> None:
    message = inbound(dock, {}, headers=[("Authorization", "Bearer s3cret"), ("Cookie", "a=b"), ("X-Id", "1")])
    run(dock, [message], parrot(said))
    headers = dock.message(message.message_id)["headers"]
    assert headers == {"authorization": "redacted", "cookie": "redacted", "x-id": "1"}


@pytest.mark.parametrize("body", [b'{"a": "\xc3\xab"}', b"\xff\x00\xfe", b"", b"a\x00b", b"it's \\ %s :x"])
def test_a_message_is_restored_as_it_came(dock: Dock, body: bytes) -> None:
    headers = [("x-one", "1"), ("x-many", "1"), ("x-many", "2"), ("x-many", "3")]
    message = inbound(dock, body, headers=headers, path="/p?q=1")
    run(dock, [message], parrot(said))
    restored = restore(dock.message(message.message_id))
    assert restored is not None
    assert (restored.message_id, restored.source_id) == (message.message_id, message.source_id)
    assert (restored.request.method, restored.request.path, restored.request.body) == ("POST", "/p?q=1", body)
    assert restored.request.headers.pairs() == headers


def test_a_duplicate_cannot_be_restored(dock: Dock) -> None:
    batch = [inbound(dock, {"key": "same"}), inbound(dock, {"key": "same"})]
    run(dock, batch, parrot(said))
    assert restore(dock.message(batch[1].message_id)) is None


def test_a_topic_that_the_source_does_not_take_is_ignored_but_kept(dock: Dock) -> None:
    with dock.engine.begin() as connection:
        connection.execute(text("UPDATE sources SET allowed_topics = '{other}'"))
    message = inbound(dock, {})
    assert run(dock, [message], parrot(said)).ignored == 1
    assert verdict(dock, message)[:2] == ("ignored", "topic_not_wanted")
    assert dock.message(message.message_id)["body"] is not None


def test_a_message_that_says_nothing_to_us_is_ignored_with_the_reason(dock: Dock) -> None:
    message = inbound(dock, {})
    run(dock, [message], parrot(lambda _: Outcome(ignored="a greeting")))
    assert verdict(dock, message) == ("ignored", "nothing_to_us", "a greeting")


def test_two_unreadable_messages_are_repeats_only_when_every_byte_is_the_same(dock: Dock) -> None:
    batch = [inbound(dock, b"broken", headers=[("x-id", name)]) for name in ("a", "b", "a")]
    run(dock, batch, parrot(said))
    assert [dock.message(message.message_id)["state"] for message in batch] == ["failed", "failed", "duplicate"]


def test_a_failed_message_is_replayed_in_its_row_after_a_fix(dock: Dock) -> None:
    def broken(_: Any) -> Outcome:
        raise PayloadUnexpected("not yet")

    message = inbound(dock, {"key": "k"})
    run(dock, [message], parrot(broken))
    restored = restore(dock.message(message.message_id))
    assert restored is not None
    tally = run(dock, [restored], parrot(said), replay=True)
    assert (tally.processed, tally.events, tally.deliveries) == (1, 1, 1)
    row = dock.message(message.message_id)
    assert (row["state"], row["reason"], row["replays"], row["events_count"]) == ("processed", None, 1, 1)
    assert len(dock.rows("messages")) == 1


def test_a_replay_that_postgresql_refuses_fails_alone_too(dock: Dock) -> None:
    with dock.engine.begin() as connection:
        connection.execute(text("ALTER TABLE users ADD CHECK (email <> 'poison')"))
    batch = [inbound(dock, {"key": email, "fields": {"email": email}}) for email in ("a", "poison")]
    run(dock, batch, parrot(said))
    tally = run(dock, batch, parrot(said), replay=True)
    assert tally.failed == 1
    assert dock.message(batch[1].message_id)["replays"] == 1


def test_once_replayed_a_message_that_could_not_be_identified_has_its_repeats_recognised(dock: Dock) -> None:
    def broken(_: Any) -> None:
        raise PayloadUnexpected("not yet")

    message = inbound(dock, {"key": "k"})
    run(dock, [message], parrot(said, broken))
    run(dock, [message], parrot(said), replay=True)
    assert run(dock, [inbound(dock, {"key": "k"})], parrot(said)).duplicate == 1


def test_a_replay_of_what_is_known_tells_nothing_twice(dock: Dock) -> None:
    message = inbound(dock, {"fields": {"email": "a"}})
    run(dock, [message], parrot(said))
    tally = run(dock, [message], parrot(said), replay=True)
    assert (tally.processed, tally.events) == (1, 0)
    assert dock.message(message.message_id)["events_count"] == 1


def test_k24_ids_past_two_to_the_53rd_and_decimals_are_told_exactly(dock: Dock) -> None:
    dock.post("customers/create", customer(9223372036854775807, total_spent="10.10", balance=0.1))
    dock.drain()
    [envelope] = dock.envelopes()
    user = envelope["data"]["user"]
    assert user["externalId"] == "9223372036854775807"
    assert (user["attributes"]["total_spent"], user["attributes"]["balance"]) == ("10.10", 0.1)


def test_the_story_of_a_customer_is_told_in_events(dock: Dock) -> None:
    dock.post("customers/create", customer(tags="vip"))
    dock.post("customers/update", customer(minute=1, tags="vip, loyal", email="new@lindenhof.example"))
    dock.post("customers/update", customer(minute=2, tags="loyal", email="new@lindenhof.example"))
    dock.post("customers/update", customer(minute=3, tags="loyal", email="new@lindenhof.example"))
    dock.post("customers/delete", {"id": customer()["id"]}, triggered_at=NOW + timedelta(minutes=4))
    dock.post("customers/update", customer(minute=1, email="late@lindenhof.example"))
    counts = dock.drain()
    assert (counts["processed"], counts["stale"], counts["events"]) == (5, 1, 6)
    assert dock.told() == [
        "user.created",
        "user.updated",
        "tag.added",
        "user.updated",
        "tag.removed",
        "user.deleted",
    ]
    created, updated, added, _, removed, deleted = dock.envelopes()
    assert created["metadata"] == {"source": "shopify", "action": "created"}
    assert created["timestamp"] == "2026-03-02T12:00:00.000Z"
    assert updated["data"]["changes"]["email"] == {"old": "zoe@lindenhof.example", "new": "new@lindenhof.example"}
    assert [tag["name"] for tag in updated["data"]["changes"]["tags"]["new"]] == ["vip", "loyal"]
    assert set(updated["data"]["changes"]) == {"email", "tags"}
    assert (added["data"]["tag"]["name"], removed["data"]["tag"]["name"]) == ("loyal", "vip")
    assert deleted["data"]["user"]["externalId"] == str(customer()["id"])
    assert "email" not in deleted["data"]["user"]
    [user] = dock.rows("users")
    assert (user["email"], user["deleted_at"] is None) == (None, False)


def test_custom_fields_and_roles_are_told(dock: Dock) -> None:
    steps = [
        {"custom_fields": {"tea": "Sencha", "visits": 5}, "roles": ["client"]},
        {"custom_fields": {"tea": "Assam"}, "roles": ["client", "carrier"], "export_consent_given": True},
    ]
    batch = [inbound(dock, {"key": str(n), "fields": fields}) for n, fields in enumerate(steps)]
    run(dock, batch, parrot(said))
    assert dock.told() == ["user.created", "user.updated", "customfield.updated"]
    created, updated, field = dock.envelopes()
    assert created["data"]["user"]["customFields"] == {"tea": "Sencha", "visits": "5"}
    assert field["data"]["field"] == {"name": "tea", "old": "Sencha", "new": "Assam"}
    assert updated["data"]["changes"] == {
        "customFields": {"old": {"tea": "Sencha", "visits": "5"}, "new": {"tea": "Assam", "visits": "5"}},
        "roles": {"old": ["client"], "new": ["client", "carrier"]},
        "exportConsent": {"old": {"given": False, "at": None}, "new": {"given": True, "at": None}},
    }


def test_what_is_stored_is_what_was_told(dock: Dock) -> None:
    fields = {
        "opt_ins": {"email": True},
        "address": {"line1": "Storgatan 1", "line2": None},
        "subscribed_at": "2026-01-02T03:04:05+01:00",
        "created_at": "2020-01-01T00:00:00Z",
        "attributes": {"deep": [{"a": None, "b": 1.5}]},
        "interactions": {"messagesCount": 3},
    }
    run(dock, [inbound(dock, {"key": "1", "fields": fields})], parrot(said))
    # Equal to what the database gives back: the same statement again says nothing new.
    assert run(dock, [inbound(dock, {"key": "2", "fields": fields})], parrot(said)).events == 0
    [user] = dock.rows("users")
    assert user["subscribed_at"] == datetime(2026, 1, 2, 2, 4, 5, tzinfo=UTC)
    assert user["created_at"] == datetime(2020, 1, 1, tzinfo=UTC)


def test_another_tenant_with_the_same_id_is_another_user(dock: Dock) -> None:
    dock.post("customers/create", customer(7), shop=SHOP)
    dock.post("customers/create", customer(7), shop="other.myshopify.com")
    assert dock.drain()["events"] == 2
    assert [user["tenant"] for user in dock.rows("users", "tenant")] == [SHOP, "other.myshopify.com"]


def test_two_transactions_that_meet_a_new_user_at_once_create_it_once(
    dock: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = RecordKey(dock.account_id, "shopify", SHOP, "7")
    both_looked, results = threading.Barrier(2, timeout=30), []
    real, looks = records_module._lock, threading.local()

    def lock(*args: Any) -> Any:
        found = real(*args)
        if not hasattr(looks, "first"):
            looks.first = True
            both_looked.wait()
        return found

    def worker(email: str, minute: int) -> None:
        change = RecordChange(USER, key, "upsert", NOW + timedelta(minutes=minute), {"email": email})
        with dock.engine.begin() as connection:
            results.append(apply_changes(connection, [change], now=NOW)[0].effect)

    monkeypatch.setattr(records_module, "_lock", lock)
    threads = [threading.Thread(target=worker, args=(email, 0)) for email in ("a@x", "b@x")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["created", "updated"]
    assert len(dock.rows("users")) == 1


def test_tallies_add_up() -> None:
    assert Tally(processed=1, events=2) + Tally(processed=3, failed=1) == Tally(processed=4, failed=1, events=2)


def test_a_batch_of_nothing_is_nothing(dock: Dock) -> None:
    assert run(dock, []) == Tally()


def test_sources_of_every_account_are_listed_switched_off_or_not(dock: Dock) -> None:
    other = rows.source(dock.engine, rows.account(dock.engine, "other"), active=False, allowed_topics=["a"])
    with dock.engine.begin() as connection:
        listings = load_listings(connection, dock.context.ring, NOW)
    assert set(listings) == {dock.source_id, other}
    assert listings[other].allowed_topics == frozenset({"a"})
    assert not listings[other].active
