"""A part of a record that is told of apart, with a clock of its own."""

import itertools
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from shared.clock import to_json
from shared.providers.contract import Identity, Source
from shared.providers.shopify import customers
from shared.record_changes import RecordChange, RecordKey, record_change
from shared.record_kinds import USER
from tests.workers.inbound.dock import NOW, SHOP, Dock, customer
from workers.inbound.guard import Applied, Effect, Row, apply

KEY = RecordKey(UUID(int=1), "shopify", SHOP, "7")


def at(minute: int) -> datetime:
    return NOW + timedelta(minutes=minute)


def whole(minute: int, op: Literal["upsert", "delete"] = "upsert", **fields: Any) -> RecordChange:
    return RecordChange(USER, KEY, op, at(minute), fields)


def consent(minute: int, given: bool, channel: str = "email") -> RecordChange:
    return RecordChange(USER, KEY, "upsert", at(minute), {"opt_ins": {channel: given}}, part=f"{channel}_consent")


def after(*changes: RecordChange) -> tuple[Row | None, list[Effect]]:
    row: Row | None = None
    story: list[Applied] = []
    for one in changes:
        story.append(apply(row, one, now=NOW))
        row = story[-1].after
    return row, [applied.effect for applied in story]


def test_neither_the_part_nor_the_rest_hides_the_other_in_whatever_order_they_come():
    for order in itertools.permutations(
        [whole(0, email="a@x"), consent(1, True), whole(2, email="b@x"), consent(3, False)]
    ):
        row, effects = after(*order)
        assert row is not None
        assert (row["email"], row["opt_ins"], row["version"]) == ("b@x", {"email": False}, at(2))
        assert row["attributes"] == {"email_consent_at": to_json(at(3))}
        assert effects[0] is Effect.CREATED


@given(st.lists(st.builds(consent, st.integers(0, 9), st.booleans()), min_size=1, max_size=8))
def test_of_a_part_the_newest_counts(changes: list[RecordChange]) -> None:
    row, _ = after(*changes)
    newest = max(change.version for change in changes)
    last = [change for change in changes if change.version == newest][-1]
    assert row is not None
    assert row["opt_ins"] == last.fields["opt_ins"]


# One customer's life: whether at a minute the consent changed, and whether the address did.
LIVES = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=5)


@given(LIVES, st.randoms(use_true_random=False))
def test_consent_in_both_its_forms_ends_as_it_last_was_in_whatever_order_they_come(
    life: list[tuple[bool, bool]], random: Any
) -> None:
    told: list[list[RecordChange]] = []
    given_at, is_given, email = 0, False, 0
    for minute, (consents, moves) in enumerate(life):
        email += moves
        if consents:
            given_at, is_given = minute, not is_given
            told.append(_said(customers.email_consent, {"customer_id": 7, **_consent(given_at, is_given)}))
        if moves or minute == 0:
            body = customer(7, minute=minute, email=f"{email}@x", **_consent(given_at, is_given))
            told.append(_said(customers.snapshot, body))
    for _ in range(3):
        row, _ = after(*(one for message in random.sample(told * 2, len(told) * 2) for one in message))
        assert row is not None
        assert (row["opt_ins"], row["email"]) == ({"email": is_given}, f"{email}@x")
        assert (row["attributes"]["email_marketing_consent"]["state"] == "subscribed") is is_given


def _consent(minute: int, given: bool) -> dict[str, Any]:
    state = "subscribed" if given else "unsubscribed"
    return {"email_marketing_consent": {"state": state, "consent_updated_at": at(minute).isoformat()}}


def _said(read: Any, body: dict[str, Any]) -> list[RecordChange]:
    """What a webhook's body says; triggered some time after all that is in it."""
    identity = Identity("customers/update", b"", None, SHOP, at(60))
    found = read(body, identity, Source("1", "shopify", ())).changes
    return [
        record_change(one, account_id=KEY.account_id, provider="shopify", tenant=SHOP, version=one.version or at(60))
        for one in found
    ]


def test_the_same_again_is_nothing_new():
    assert after(consent(1, True), consent(1, True), consent(2, True))[1] == [
        Effect.CREATED,
        Effect.UNCHANGED,
        Effect.UNCHANGED,
    ]


def test_what_was_repeated_later_makes_what_is_between_stale():
    row, effects = after(consent(1, True), consent(3, True), consent(2, False))
    assert effects[-1] is Effect.STALE
    assert row is not None
    assert row["opt_ins"] == {"email": True}


def test_channels_have_clocks_of_their_own():
    row, _ = after(consent(5, True), consent(1, True, "sms"))
    assert row is not None
    assert row["opt_ins"] == {"email": True, "sms": True}


def test_a_part_revives_nobody():
    _, effects = after(whole(0, email="a@x"), whole(1, "delete"), consent(2, True))
    assert effects[-1] is Effect.STALE


def test_nothing_of_a_part_is_kept_of_somebody_who_is_erased():
    row, _ = after(whole(0, email="a@x"))
    assert row is not None
    erased = row | {"redacted_at": NOW}
    applied = apply(erased, consent(2, True), now=NOW)
    assert (applied.effect, applied.after) == (Effect.UNCHANGED, erased)


def test_consent_that_comes_before_the_customer_hides_nothing_of_it(dock: Dock) -> None:
    # Both are caused by one registration; the consent is triggered last, and delivered first.
    body = {"customer_id": 7, "email_address": "zoe@lindenhof.example"}
    dock.post(
        "customers_email_marketing_consent/update",
        body | {"email_marketing_consent": {"state": "subscribed", "consent_updated_at": at(2).isoformat()}},
    )
    dock.post("customers/create", customer(7, minute=1))
    dock.drain()
    [user] = dock.rows("users")
    assert (user["email"], user["opt_ins"]) == ("zoe@lindenhof.example", {"email": True})
    assert dock.told() == ["user.created", "user.updated"]
    assert {message["state"] for message in dock.rows("messages")} == {"processed"}


def test_a_late_customer_does_not_bring_back_a_consent_that_was_withdrawn(dock: Dock) -> None:
    subscribed = {"state": "subscribed", "opt_in_level": "single_opt_in", "consent_updated_at": at(0).isoformat()}
    dock.post("customers/create", customer(7, minute=0, email_marketing_consent=subscribed))
    withdrawn = {"state": "unsubscribed", "consent_updated_at": at(2).isoformat()}
    dock.post(
        "customers_email_marketing_consent/update",
        {"customer_id": 7, "email_address": "zoe@lindenhof.example", "email_marketing_consent": withdrawn},
    )
    dock.post("customers/update", customer(7, minute=1, note="late", email_marketing_consent=subscribed))
    dock.drain()
    [user] = dock.rows("users")
    assert (user["opt_ins"], user["attributes"]["note"]) == ({"email": False}, "late")


def test_a_customer_who_consented_from_the_first_is_told_of_once(dock: Dock) -> None:
    consent = {"state": "subscribed", "consent_updated_at": at(0).isoformat()}
    dock.post("customers/create", customer(7, minute=0, email_marketing_consent=consent))
    consent = {"state": "unsubscribed", "consent_updated_at": at(1).isoformat()}
    dock.post("customers/update", customer(7, minute=1, phone="+46701234567", email_marketing_consent=consent))
    # Nothing new but the consent.
    consent = {"state": "subscribed", "consent_updated_at": at(2).isoformat()}
    dock.post("customers/update", customer(7, minute=2, phone="+46701234567", email_marketing_consent=consent))
    dock.drain()
    created, both, alone = dock.envelopes()
    assert dock.told() == ["user.created", "user.updated", "user.updated"]
    assert created["data"]["user"]["optIns"]["email"] is True
    assert both["data"]["user"]["optIns"]["email"] is False
    assert set(both["data"]["changes"]) == {"phone", "optIns", "attributes"}
    assert set(alone["data"]["changes"]) == {"optIns", "attributes"}
    assert both["data"]["changes"]["optIns"] == {"old": {"email": True}, "new": {"email": False}}
