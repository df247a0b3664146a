"""Records by the settings of a generic source: every kind, whatever shape the sender's words have."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import PayloadUnexpected
from shared.providers.contract import Change, Outcome, Source
from shared.providers.generic import check_settings
from shared.providers.record_mapping import Rule, outcome
from shared.record_changes import record_change
from shared.record_kinds import KINDS
from tests.shared.providers.acting import NOW, SECRET, actor
from tests.shared.providers.test_expressions import VALUES

ORDER: dict[str, Any] = {
    "kind": "order",
    "topics": ["order.*"],
    "deleteTopics": ["order.purged"],
    "id": "data.id",
    "version": "data.changed",
    "fields": {
        "number": "data.ref",
        "currency": "data.money.unit",
        "financialStatus": "data.paid",
        "email": "data.buyer.mail",
        "placedAt": "data.placed",
        "tags": "data.labels",
        "isTest": "data.test",
        "lineItems": "data.lines[].{id: no, sku: code, title: name, quantity: count, price: each, total: sum}",
        "shippingAddress": "data.to.{line1: street, city: town, countryCode: land}",
        "attributes": "data.{shopId: shop, colour: colour}",
    },
    "amounts": {"totalMinor": "data.money.all", "taxMinor": "data.money.vat"},
    "words": {"financialStatus": {"YES": "paid", "NO": "pending"}},
}
BODY: dict[str, Any] = {
    "data": {
        "id": 2**60,
        "changed": 1_764_064_800_123,
        "ref": "R-1",
        "money": {"unit": "eur", "all": "119.00", "vat": 19},
        "paid": "YES",
        "buyer": {"mail": "zoë@lindenhof.example"},
        "placed": "2026-11-20T10:00:00+01:00",
        "labels": "gift, late,gift",
        "test": False,
        "lines": [{"no": 5, "code": "S-1", "name": "茶", "count": 2, "each": "59.5", "sum": 119}],
        "to": {"street": "Hofweg 1", "town": "Wien", "land": "AT"},
        "shop": 77,
        "colour": None,
    }
}


def change(rule: dict[str, Any], body: Any, topic: str = "order.created") -> Change:
    [found] = outcome([Rule.model_validate(rule)], topic, body).changes
    return found


def checked(found: Change) -> dict[str, Any]:
    """What the drain makes of a change."""
    return dict(
        record_change(found, account_id=UUID(int=1), provider="generic", tenant="", version=found.version or NOW).fields
    )


def test_an_order_is_mapped_whole():
    found = change(ORDER, BODY)
    assert (found.kind, found.op, found.external_id) == ("order", "upsert", str(2**60))
    assert found.version == datetime(2025, 11, 25, 10, 0, 0, 123_000, tzinfo=UTC)
    fields = checked(found)
    assert fields | {"line_items": None} == {
        "number": "R-1",
        "currency": "EUR",
        "financial_status": "paid",
        "email": "zoë@lindenhof.example",
        "placed_at": datetime(2026, 11, 20, 9, tzinfo=UTC),
        "tags": ["gift", "late"],
        "is_test": False,
        "line_items": None,
        "shipping_address": {"line1": "Hofweg 1", "city": "Wien", "countryCode": "AT"},
        "attributes": {"shopId": 77},
        "total_minor": 11_900,
        "tax_minor": 1_900,
    }
    assert fields["line_items"] == [
        {"id": "5", "sku": "S-1", "title": "茶", "quantity": 2, "priceMinor": 5_950, "totalMinor": 11_900}
    ]


@pytest.mark.parametrize(
    ("topic", "op"), [("order.created", "upsert"), ("order.purged", "delete"), ("orders.created", None), ("x", None)]
)
def test_topics_are_exact_or_begin_like_the_pattern(topic, op):
    found = outcome([Rule.model_validate(ORDER)], topic, BODY)
    assert [one.op for one in found.changes] == ([op] if op else [])
    assert bool(found.ignored) == (op is None)


def test_what_is_absent_says_nothing_and_null_empties():
    body = {"data": {"id": "1", "ref": None, "money": {"unit": "JPY", "all": "1200"}}}
    assert change(ORDER, body).fields == {"number": None, "currency": "JPY", "total_minor": 1_200}


def test_an_amount_in_a_currency_that_we_do_not_know_stays_as_it_is_and_fails_nothing():
    body = {"data": BODY["data"] | {"money": {"unit": "btc", "all": "0.00012345", "vat": 19}}}
    found = change(ORDER, body).fields
    assert (found["number"], found["currency"]) == ("R-1", "BTC")
    assert (found["total_minor"], found["tax_minor"]) == (None, None)
    assert (found["attributes"]["total"], found["attributes"]["tax"]) == ("0.00012345", 19)
    [line] = found["line_items"]
    assert (line["priceMinor"], line["totalMinor"], line["price"], line["total"]) == (None, None, "59.5", 119)
    assert checked(change(ORDER, body))["attributes"]["shopId"] == 77
    known = change(ORDER, BODY).fields
    assert {"total", "tax"}.isdisjoint(known["attributes"])
    assert {"price", "total"}.isdisjoint(known["line_items"][0])


def test_what_is_ours_in_a_line_is_brought_into_its_form_and_what_is_not_stays():
    rule = ORDER | {"fields": ORDER["fields"] | {"lineItems": "data.lines[].{quantity: n, sku: s, colour: c}"}}
    fields = checked(change(rule, {"data": {"id": "1", "lines": [{"n": "3", "s": 77, "c": {"r": 1}}]}}))
    assert fields["line_items"] == [{"quantity": 3, "sku": "77", "colour": {"r": 1}}]
    with pytest.raises(PayloadUnexpected, match="quantity is no whole number"):
        change(rule, {"data": {"id": "1", "lines": [{"n": 1.5}]}})


def test_a_word_that_is_not_ours_is_kept_among_the_attributes():
    fields = change(ORDER, {"data": {"id": "1", "paid": "MAYBE"}}).fields
    assert "financial_status" not in fields
    assert fields["attributes"]["financialStatus"] == "MAYBE"


def test_a_batch_is_many_changes_of_the_items_that_are_meant():
    rules = [
        {
            "kind": "user",
            "each": "@",
            "when": "starts_with(type, 'contact.') && name == 'email'",
            "deleteWhen": "type == 'contact.deletion'",
            "id": "object",
            "version": "at",
            "part": "name",
            "fields": {"email": "value"},
        },
        {"kind": "user", "each": "@", "when": "type == 'contact.deletion'", "deleteWhen": "`true`", "id": "object"},
    ]
    body = [
        {
            "type": "contact.propertyChange",
            "name": "email",
            "value": "a@b.example",
            "object": 7,
            "at": 1_764_064_800_000,
        },
        {"type": "contact.propertyChange", "name": "shoe", "value": "41", "object": 7, "at": 1_764_064_800_001},
        {"type": "contact.deletion", "object": 8, "at": 1_764_064_800_002},
    ]
    found = outcome([Rule.model_validate(rule) for rule in rules], "contact.propertyChange", body)
    assert [(one.op, one.external_id, one.part) for one in found.changes] == [
        ("upsert", "7", "email"),
        ("delete", "8", None),
    ]
    nothing = outcome([Rule.model_validate(rules[0])], "contact.propertyChange", body[1:])
    assert nothing == Outcome(ignored="no item of this contact.propertyChange is mapped to anything")


def test_one_message_can_speak_of_several_kinds():
    body = {"sku": "T-1", "place": 3, "left": "4", "name": "Tea"}
    rules = [
        {"kind": "product", "id": "sku", "fields": {"title": "name"}},
        {
            "kind": "inventory",
            "id": "join(':', [sku, to_string(place)])",
            "fields": {"available": "left", "sku": "sku", "locationExternalId": "place"},
        },
    ]
    product, stock = outcome([Rule.model_validate(rule) for rule in rules], "stock", body).changes
    assert checked(product) == {"title": "Tea"}
    assert stock.external_id == "T-1:3"
    assert checked(stock) == {"available": 4, "sku": "T-1", "location_external_id": "3"}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (None, "no JSON"),
        ({"data": {}}, "no id at data.id"),
        ({"data": {"id": []}}, "no id at data.id"),
        ({"data": {"id": 1, "changed": "soon"}}, "no time at data.changed"),
        ({"data": {"id": 1, "placed": 1e400}}, "no time at placed_at"),
        ({"data": {"id": 1, "money": {"all": "1.00"}}}, "there is no currency"),
        ({"data": {"id": 1, "money": {"unit": "€", "all": "1"}}}, "currency: no ISO 4217 currency code"),
        ({"data": {"id": 1, "money": {"unit": "BTC", "all": ["1"]}}}, "totalMinor is no amount"),
        ({"data": {"id": 1, "money": {"unit": "EUR", "all": "1.234"}}}, "totalMinor: more than the 2 decimals"),
        ({"data": {"id": 1, "test": "perhaps"}}, "is_test is neither true nor false"),
        ({"data": {"id": 1, "labels": [{}]}}, "tags is no list of texts"),
        ({"data": {"id": 1, "buyer": {"mail": ["x"]}}}, "email is neither a text nor a number"),
        # Read as doubles, so they may have been other numbers when they were written.
        ({"data": {"id": 9007199254740993.0}}, "no id at data.id"),
        ({"data": {"id": 1e20}}, "no id at data.id"),
        ({"data": {"id": 1, "buyer": {"mail": 9007199254740993.0}}}, "email is a number too large to be told exactly"),
        ({"data": {"id": 1, "money": {"unit": "EUR", "all": 90071992547409.93}}}, "totalMinor: too large"),
    ],
)
def test_a_body_that_does_not_fit_is_unexpected_and_says_where(body, said):
    with pytest.raises(PayloadUnexpected) as raised:
        change(ORDER, body)
    assert said in str(raised.value)


def test_a_list_too_long_is_unexpected():
    rule = {"kind": "product", "each": "items", "id": "@"}
    with pytest.raises(PayloadUnexpected, match="more than 1000 items"):
        outcome([Rule.model_validate(rule)], "t", {"items": ["x"] * 1_001})
    with pytest.raises(PayloadUnexpected, match="no list at items"):
        outcome([Rule.model_validate(rule)], "t", {"items": "x"})
    assert outcome([Rule.model_validate(rule)], "t", {}).ignored


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({}, "records.0.kind"),
        ({"id": "a..b"}, "records.0.id: no JMESPath at character 3: unexpected '.'"),
        ({"kind": "parcel"}, "records.0.kind: there are no records of kind parcel; there are user, order"),
        ({"fields": {"number": "lower(a)"}}, "records.0.fields.number: there is no function lower"),
        ({"fields": {"shoe": "a"}}, "records.0: fields: order has no field shoe; it has number, status"),
        ({"amounts": {"totalMinor": "a"}}, "records.0: amounts: fields.currency is needed"),
        ({"amounts": {"number": "a"}, "fields": {"currency": "b"}}, "records.0: amounts: number is no amount"),
        (
            {"amounts": {"totalMinor": "a"}, "fields": {"currency": "b", "totalMinor": "c"}},
            "records.0: totalMinor: either in fields",
        ),
        ({"words": {"status": {"X": "open"}}}, "records.0: words: status is not in fields"),
        (
            {"words": {"status": {"X": "ajar"}}, "fields": {"status": "a"}},
            "records.0: words.status: not ajar but one of open, cancelled, closed",
        ),
        ({"topics": ["a"], "deleteTopics": ["a"]}, "records.0: a topic either updates or deletes: a"),
        ({"colour": "red"}, "records.0.colour"),
    ],
)
def test_what_is_wrong_with_a_rule_is_said_when_it_is_set(rule, said):
    whole = {"kind": "order", "id": "id", **rule} if rule else {"id": "id"}
    problems = check_settings({"records": [whole]})
    assert any(problem.startswith(said) for problem in problems), problems


def test_every_field_of_every_kind_can_be_mapped():
    for kind in KINDS.values():
        names = {kind.json_names[field.name]: "a" for field in kind.fields} | {"createdAt": "a"}
        assert check_settings({"records": [{"kind": kind.name, "id": "id", "fields": names}]}) == []


@settings(max_examples=300)
@given(kind=st.sampled_from(list(KINDS)), data=st.data())
def test_whatever_comes_is_what_the_drain_accepts_or_unexpected(kind, data):
    names = data.draw(
        st.lists(st.sampled_from([*KINDS[kind].json_names.values(), "createdAt"]), max_size=4, unique=True)
    )
    rule = Rule.model_validate({"kind": kind, "id": "id", "version": "at", "fields": {name: name for name in names}})
    body = {"id": data.draw(VALUES), "at": data.draw(VALUES), **{name: data.draw(VALUES) for name in names}}
    try:
        found = outcome([rule], "t", body).changes
    except PayloadUnexpected:
        return
    for one in found:
        try:
            orjson.dumps(checked(one))
        except PayloadUnexpected as error:
            said = str(error)
        else:
            said = "too big"
        # What is left to the drain: how long an id and how big a number may be.
        assert any(word in said for word in ("characters", "too big", "cannot be written"))


def test_records_and_the_short_way_of_a_user_go_together():
    given = {
        "topic": {"json": "type"},
        "user": {"topics": ["order.created"], "id": "data.buyer.mail"},
        "records": [ORDER],
    }
    assert check_settings(given) == []
    act = replace(actor("generic"), source=Source("source", "generic", (SECRET,), given))
    request = act.request(act.sample(topic="t", body=orjson.dumps({"type": "order.created", **BODY})))
    assert [one.kind for one in act.understand(request)[1].changes] == ["user", "order"]
