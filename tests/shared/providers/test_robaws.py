"""What is particular to Robaws."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from shared.providers import samples
from shared.providers.contract import Change
from tests.shared.providers.acting import NOW, OTHER, Actor, actor

ACT = actor("robaws")


def change(client: dict[str, Any], act: Actor = ACT) -> Change:
    body = {"id": "event-1", "event": "client.updated", "data": {"id": 1} | client}
    [found] = act.understand(act.request(act.sample(topic="client.updated", body=orjson.dumps(body))))[1].changes
    return found


def test_the_first_number_and_address_there_is_counts():
    assert change({"tel": None, "mobile": "2"}).fields["phone"] == "2"
    assert change({"tel": "1", "mobile": "2"}).fields["phone"] == "1"
    assert change({"email": " ", "invoiceEmail": "a@b.example"}).fields["email"] == "a@b.example"


def test_what_the_body_does_not_say_is_left_alone():
    assert set(change({"name": "X"}).fields) == {"full_name", "attributes"}
    assert change({"email": None}).fields["email"] is None


@pytest.mark.parametrize("topic", ["client.updated", "article.updated"])
def test_when_it_came_to_be_is_told_and_what_is_no_time_is_not(topic):
    for given, told in (("2025-06-11T09:00:00Z", datetime(2025, 6, 11, 9, tzinfo=UTC)), ("then", None), (None, None)):
        body = {"id": "event-1", "event": topic, "data": {"id": 1, "createdAt": given}}
        [found] = ACT.understand(ACT.request(ACT.sample(topic=topic, body=orjson.dumps(body))))[1].changes
        assert found.fields.get("created_at") == told
        assert "createdAt" not in found.fields["attributes"]


def test_a_name_is_never_cut_in_two():
    fields = change({"name": "Jan De Backer"}).fields
    assert fields["full_name"] == "Jan De Backer"
    assert "first_name" not in fields


@pytest.mark.parametrize(
    ("client", "roles"),
    [
        ({"status": "customer"}, ["customer"]),
        ({"status": None}, []),
        ({"extraFields": {"ROLLEN": {"stringValue": "dealer; installer, dealer"}}}, ["dealer", "installer"]),
        ({"status": "lead", "extraFields": {"Rol": {"stringValue": "lead"}}}, ["lead"]),
        ({"extraFields": {"Segment": {"stringValue": "B2B"}}}, None),
        ({}, None),
    ],
)
def test_roles_are_the_status_and_the_role_fields(client, roles):
    assert change(client).fields.get("roles") == roles


def test_the_role_fields_can_be_named():
    act = replace(ACT, source=replace(ACT.source, settings={"roleFields": ["Segment"]}))
    assert change({"extraFields": {"segment": {"stringValue": "B2B"}}}, act).fields["roles"] == ["B2B"]


def test_extra_fields_are_texts_whatever_their_kind():
    extra = {"a": {"booleanValue": False}, "b": {"decimalValue": 1.5}, "c": {"stringValue": None}, "d": None}
    assert change({"extraFields": extra}).fields["custom_fields"] == {"a": "false", "b": "1.5"}


def test_customers_and_articles_have_secrets_of_their_own():
    request = ACT.request(ACT.sample(secret=OTHER))
    assert ACT.verify(request) is not None
    assert ACT.verify(request, secrets=(OTHER,)) is None


def test_unknown_and_malformed_elements_are_passed_over():
    sample = ACT.sample()
    pairs = [
        (name, value.replace(",v1=", ",v0=abc,v1=zz,v1=") if name == "Robaws-Signature" else value)
        for name, value in ACT.provider.sign(sample)
    ]
    assert ACT.verify(ACT.request(sample, pairs)) is None


def test_an_expired_request_is_told_from_a_forged_one():
    request = ACT.request(ACT.sample())
    late = NOW + timedelta(hours=1)
    expired, forged = ACT.verify(request, now=late), ACT.verify(replace(request, body=b"{}"), now=late)
    assert expired is not None
    assert forged is not None
    assert (expired.code, forged.code) == ("timestamp_expired", "signature_mismatch")
    patient = replace(ACT, source=replace(ACT.source, settings={"tolerance_seconds": 7200}))
    assert patient.verify(request, now=late) is None


@pytest.mark.parametrize("settings", [{"toleranceSeconds": 0}, {"tolerance_seconds": "x"}, {"roleFields": "Rol"}])
def test_wrong_settings_are_named(settings):
    [problem] = ACT.provider.check_settings(settings)
    assert problem.startswith(next(iter(settings)))


def test_the_clients_id_may_be_a_number():
    assert change({"id": 2**60}).external_id == str(2**60)
    assert samples.topics("robaws") == ACT.provider.topics


def article(topic: str = "article.updated", act: Actor = ACT, **data: Any) -> Change:
    body = {"id": "event-1", "event": topic, "data": {"id": 1} | data}
    [found] = act.understand(act.request(act.sample(topic=topic, body=orjson.dumps(body))))[1].changes
    return found


def test_a_second_telephone_and_what_stands_beside_an_extra_fields_value_are_kept():
    attributes = change({"tel": "1", "mobile": "2", "extraFields": {"Rol": {"stringValue": "x", "group": 7}}}).fields[
        "attributes"
    ]
    assert attributes == {"mobile": "2", "extraFields": {"Rol": {"group": 7}}}
    assert "mobile" not in change({"mobile": "2"}).fields["attributes"]
    assert "mobile" not in change({"tel": "1"}).fields["attributes"]


@pytest.mark.parametrize("topic", ["article.created", "article.updated", "article.stock-changed"])
def test_every_article_event_tells_the_article(topic):
    found = article(topic, articleNumber="A-1", name="Dakpan", salePrice=12.5, stock=-2, unit="st", active=True)
    assert (found.kind, found.external_id) == ("article", "1")
    assert dict(found.fields) == {
        "number": "A-1",
        "name": "Dakpan",
        "price_minor": 1250,
        "currency": "EUR",
        "stock": -2,
        "unit": "st",
        "status": "active",
        "attributes": {},
    }


def test_what_an_article_does_not_say_is_left_alone():
    assert set(article(name="X").fields) == {"name", "attributes"}


def test_a_price_with_more_decimals_than_its_currency_is_kept_as_they_wrote_it():
    fields = article(salePrice="12.3456").fields
    assert (fields["price_minor"], fields["currency"]) == (None, "EUR")
    assert fields["attributes"] == {"salePrice": "12.3456"}


def test_the_currency_of_prices_can_be_set():
    act = replace(ACT, source=replace(ACT.source, settings={"currency": "JPY"}))
    assert article(act=act, price=1200).fields["price_minor"] == 1200
    assert article(act=act, price=1200, currency="EUR").fields["price_minor"] == 120_000


def test_a_price_in_a_currency_that_we_do_not_know_is_kept_as_they_wrote_it():
    fields = article(salePrice="12.34", currency="XYZ").fields
    assert (fields["price_minor"], fields["currency"]) == (None, "XYZ")
    assert fields["attributes"]["salePrice"] == "12.34"


@pytest.mark.parametrize("code", ["XYZ", "eur", ""])
def test_a_currency_that_we_do_not_know_is_a_problem_of_the_settings(code):
    assert ACT.provider.check_settings({"currency": code})[0].startswith("currency")


def test_a_sales_order_is_kept_and_ignored():
    body = {"id": "event-1", "event": "sales-order.created", "data": {"id": 1}}
    outcome = ACT.understand(ACT.request(ACT.sample(body=orjson.dumps(body))))[1]
    assert outcome.ignored == "topic sales-order.created is not handled"
