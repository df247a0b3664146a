import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, text

from shared.db.engine import transaction
from shared.event_types import CATALOGUE, matches, patterns_of
from shared.events import EventDraft, emit, envelope
from shared.record_kinds import KINDS, Form, RecordKind
from shared.record_shapes import shapes_of
from tests.workers import rows
from tests.workers.rows import NOW

TYPES = st.lists(st.text("abcz", min_size=1, max_size=3), min_size=1, max_size=4).map(".".join)


def draft(account_id: Any, event_type: str = "user.created", **values: Any) -> EventDraft:
    body = envelope(event_type=event_type, data={"n": 1}, source="shopify", action="created", at=NOW)
    return EventDraft(account_id=account_id, type=event_type, body=body, occurred_at=NOW, **values)


def deliveries(connection: Connection) -> list[Any]:
    return list(connection.execute(text("SELECT * FROM deliveries ORDER BY event_id, subscription_id")))


def test_the_envelope_is_as_documented() -> None:
    at = datetime(2025, 11, 6, 10, 30, tzinfo=UTC)
    body = envelope(event_type="user.created", data={"user": {"id": "u1"}}, source="manychat", action="created", at=at)
    assert body == (
        '{"event":"user.created","timestamp":"2025-11-06T10:30:00.000Z","data":{"user":{"id":"u1"}},'
        '"metadata":{"source":"manychat","action":"created"}}'
    )


@pytest.mark.parametrize(
    ("patterns", "event_type", "wanted"),
    [
        (["*"], "user.created", True),
        (["user.*"], "user.created", True),
        (["user.created"], "user.created", True),
        (["user.updated", "user.created"], "user.created", True),
        (["user.*"], "subscription.disabled", False),
        (["*"], "subscription.disabled", True),
        (["user"], "user.created", False),
        (["us.*"], "user.created", False),
        (["user.created.*"], "user.created", False),
        (["order.*"], "order.line.added", True),
        (["order.line.*"], "order.line.added", True),
        ([], "user.created", False),
        (["*.created"], "user.created", False),
    ],
)
def test_a_subscription_gets_what_its_patterns_say(
    engine: Engine, patterns: list[str], event_type: str, wanted: bool
) -> None:
    assert matches(patterns, event_type) is wanted
    account_id = rows.account(engine)
    rows.subscription(engine, account_id, events=patterns)
    with transaction(engine) as connection:
        assert emit(connection, [draft(account_id, event_type)], now=NOW) == (1, int(wanted))


@given(TYPES)
def test_every_pattern_of_a_type_matches_it_and_no_longer_type(event_type: str) -> None:
    assert all(matches([pattern], event_type) for pattern in patterns_of(event_type))
    assert not matches([f"{event_type}.*"], event_type)
    assert not matches([event_type], f"{event_type}.more")


def test_an_event_goes_to_every_subscription_of_its_account_and_no_other(engine: Engine) -> None:
    mine, other = rows.account(engine), rows.account(engine, "other")
    wanted = {rows.subscription(engine, mine), rows.subscription(engine, mine, events=["user.*"])}
    rows.subscription(engine, mine, deleted_at=NOW)
    rows.subscription(engine, other)
    with transaction(engine) as connection:
        assert emit(connection, [draft(mine), draft(mine)], now=NOW) == (2, 4)
        assert {delivery.subscription_id for delivery in deliveries(connection)} == wanted


def test_an_event_nobody_wants_is_kept(engine: Engine) -> None:
    account_id = rows.account(engine)
    with transaction(engine) as connection:
        assert emit(connection, [draft(account_id)], now=NOW) == (1, 0)
        assert connection.execute(text("SELECT count(*) FROM events")).scalar() == 1


def test_a_disabled_subscription_has_its_deliveries_held(engine: Engine) -> None:
    account_id = rows.account(engine)
    rows.subscription(engine, account_id, active=False)
    with transaction(engine) as connection:
        emit(connection, [draft(account_id)], now=NOW)
        assert [delivery.state for delivery in deliveries(connection)] == ["held"]


def test_a_delivery_knows_its_event_its_order_and_when_its_message_was_accepted(engine: Engine) -> None:
    account_id = rows.account(engine)
    rows.subscription(engine, account_id, ordering="strict")
    accepted_at = datetime(2026, 3, 2, 11, 59, tzinfo=UTC)
    with transaction(engine) as connection:
        emit(connection, [draft(account_id, accepted_at=accepted_at)], now=NOW)
        [delivery] = deliveries(connection)
    assert delivery.strict
    assert (delivery.event_type, delivery.accepted_at, delivery.next_attempt_at) == ("user.created", accepted_at, NOW)
    assert (delivery.tries, delivery.attempts, delivery.claim_id) == (0, 0, None)


def test_a_test_goes_to_one_subscription_whatever_its_patterns_say(engine: Engine) -> None:
    account_id = rows.account(engine)
    rows.subscription(engine, account_id)
    only = rows.subscription(engine, account_id, events=["order.*"])
    with transaction(engine) as connection:
        assert emit(connection, [draft(account_id, "webhook.test")], now=NOW, only_subscription=only) == (1, 1)
        assert [delivery.subscription_id for delivery in deliveries(connection)] == [only]


def test_a_test_never_goes_to_another_accounts_subscription(engine: Engine) -> None:
    foreign = rows.subscription(engine, rows.account(engine, "other"))
    with transaction(engine) as connection:
        mine = rows.account(engine)
        assert emit(connection, [draft(mine, "webhook.test")], now=NOW, only_subscription=foreign) == (1, 0)


def test_a_subscription_can_be_left_out(engine: Engine) -> None:
    account_id = rows.account(engine)
    other, disabled = rows.subscription(engine, account_id), rows.subscription(engine, account_id)
    with transaction(engine) as connection:
        drafts = [draft(account_id, "subscription.disabled")]
        assert emit(connection, drafts, now=NOW, except_subscription=disabled) == (1, 1)
        assert [delivery.subscription_id for delivery in deliveries(connection)] == [other]


def test_a_concurrent_disable_waits_and_so_holds_these_deliveries_too(engine: Engine) -> None:
    account_id = rows.account(engine)
    rows.subscription(engine, account_id)
    with transaction(engine) as connection:
        emit(connection, [draft(account_id)], now=NOW)
        with engine.connect() as other:
            other.execute(text("SET LOCAL lock_timeout = '1ms'"))
            with pytest.raises(Exception, match="lock timeout"):
                other.execute(text("UPDATE subscriptions SET active = false"))


def test_no_drafts_are_no_events(engine: Engine) -> None:
    with transaction(engine) as connection:
        assert emit(connection, [], now=NOW) == (0, 0)


@given(st.text())
def test_a_body_is_stored_as_it_was_made(text_of_user: str) -> None:
    text_of_user = text_of_user.encode("utf-8", "replace").decode()
    body = envelope(event_type="t", data={"text": text_of_user}, source="s", action="a", at=NOW)
    assert json.loads(body)["data"]["text"] == text_of_user
    assert "\x00" not in body


def test_a_body_survives_the_database_byte_for_byte(engine: Engine) -> None:
    account_id = rows.account(engine)
    data = {"text": "Ünïcødé \\ ' \" %s :name \u2028 😀 \x00", "number": 9007199254740993, "float": 0.1}
    body = envelope(event_type="user.created", data=data, source="s", action="a", at=NOW)
    made = EventDraft(account_id=account_id, type="user.created", body=body, occurred_at=NOW)
    with transaction(engine) as connection:
        emit(connection, [made], now=NOW)
        assert connection.execute(text("SELECT body FROM events")).scalar() == body


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_whatever_holds_objects_says_what_they_have(kind: RecordKind) -> None:
    assert set(shapes_of(kind.name)) == {one.name for one in kind.fields if one.form in (Form.PART, Form.ITEMS)}


@pytest.mark.parametrize("event_type", sorted(CATALOGUE))
def test_every_example_of_the_catalogue_can_be_an_event(event_type: str) -> None:
    known = CATALOGUE[event_type]
    body = envelope(event_type=event_type, data=known.data, source="test", action=known.action, at=NOW)
    assert json.loads(body)["event"] == event_type
