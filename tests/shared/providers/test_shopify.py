"""What is particular to Shopify."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from shared.errors import PayloadUnexpected
from shared.providers import samples
from shared.providers.contract import Change, Headers, Request
from tests.shared.providers.acting import actor

ACT = actor("shopify")


def change(topic: str, body: dict[str, Any]) -> Change:
    [found] = ACT.understand(ACT.request(ACT.sample(topic=topic, body=orjson.dumps(body))))[1].changes
    return found


def stored(name: str) -> dict[str, Any]:
    topic, _, variant = name.partition(samples.VARIANT)
    found: dict[str, Any] = next(
        orjson.loads(payload.body)
        for payload in samples.stored("shopify")
        if (payload.topic, payload.variant) == (topic, variant)
    )
    return found


def test_a_customer_becomes_a_user_with_ids_as_text():
    found = change("customers/create", stored("customers/create"))
    assert (found.kind, found.op, found.external_id) == ("user", "upsert", "9007199254741993117")
    assert found.fields["full_name"] == "Anaïs Ørsted–Łuczak"
    assert found.fields["attributes"]["addresses"][0]["id"] == "9007199254750000421"
    assert found.fields["address"]["postalCode"] == "4000"
    assert found.version == datetime(2026, 10, 3, 3, 58, 11, tzinfo=UTC)


def test_a_number_with_the_address_stands_in_for_the_customers_own():
    assert change("customers/create", stored("customers/create")).fields["phone"] == "+12025550143"
    assert change("customers/update", stored("customers/update")).fields["phone"] == "+12025550199"


def test_what_a_newer_body_does_not_say_is_left_alone():
    fields = change("customers/create", stored("customers/create--bare")).fields
    assert {"tags", "opt_ins", "address"}.isdisjoint(fields)
    assert (fields["full_name"], fields["email"]) == (None, None)


def test_an_older_body_carries_tags_and_consent():
    fields = change("customers/update", stored("customers/update--2024-10")).fields
    assert [tag["name"] for tag in fields["tags"]] == ["vip", "Frühjahr 2024"]
    assert fields["opt_ins"] == {"email": True, "sms": False}
    assert fields["attributes"]["last_order_id"] == "9007199254760000777"


def test_a_deletion_is_a_tombstone_as_of_when_it_was_triggered():
    found = change("customers/delete", stored("customers/delete"))
    assert (found.op, found.version, found.fields) == ("delete", ACT.sample().now, {})


def test_a_captured_snapshot_sent_as_a_deletion_deletes_nobody():
    with pytest.raises(PayloadUnexpected, match="does not carry"):
        change("customers/delete", stored("customers/update"))


def test_a_captured_deletion_sent_as_an_update_empties_nobody():
    with pytest.raises(PayloadUnexpected, match="updated_at is missing"):
        change("customers/update", stored("customers/delete"))


def test_a_body_of_another_resource_is_not_taken_for_a_customer():
    with pytest.raises(PayloadUnexpected, match="admin_graphql_api_id"):
        change("customers/update", stored("customers/update") | {"admin_graphql_api_id": "gid://shopify/Order/1"})


def test_the_header_family_without_x_is_understood_too():
    sample = ACT.sample()
    pairs = [(name.replace("X-Shopify", "shopify"), value) for name, value in ACT.provider.sign(sample)]
    request = Request("POST", "/", Headers(pairs), sample.body)
    assert ACT.verify(request) is None
    assert ACT.understand(request)[0] == ACT.understand(ACT.request(sample))[0]


def test_the_key_binds_the_delivery_id_to_the_body():
    request = ACT.request(ACT.sample())
    renamed = ACT.request(replace(ACT.sample(), delivery_id="forged"))
    other_body = replace(request, body=ACT.sample(number=8).body)
    keys = {ACT.understand(one)[0].key for one in (request, renamed, other_body)}
    assert len(keys) == 3


def test_without_a_topic_it_is_unexpected():
    sample = ACT.sample()
    pairs = [pair for pair in ACT.provider.sign(sample) if pair[0] != "X-Shopify-Topic"]
    with pytest.raises(PayloadUnexpected, match="Topic"):
        ACT.understand(Request("POST", "/webhooks/customers/create", Headers(pairs), sample.body))
