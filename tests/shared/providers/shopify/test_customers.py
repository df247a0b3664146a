"""Customers become users; consent, merges and deletions change them."""

from datetime import UTC, datetime

import pytest

from shared.errors import PayloadUnexpected
from tests.shared.providers.shopify.shop import ACT, change, outcome, stored

CONSENT = "customers_email_marketing_consent/update"


def test_a_customer_becomes_a_user_with_ids_as_text():
    found = change("customers/create", stored("customers/create"))
    assert (found.kind, found.op, found.external_id) == ("user", "upsert", "9007199254741993117")
    assert found.fields["full_name"] == "Anaïs Ørsted–Łuczak"
    assert found.fields["attributes"]["addresses"][0]["id"] == "9007199254750000421"
    assert found.fields["address"]["postalCode"] == "4000"
    assert found.fields["address"]["attributes"]["country_name"] == "Belgium"
    assert found.version == datetime(2026, 10, 3, 3, 58, 11, tzinfo=UTC)


def test_a_number_with_the_address_stands_in_for_the_customers_own():
    assert change("customers/create", stored("customers/create")).fields["phone"] == "+12025550143"
    assert change("customers/update", stored("customers/update")).fields["phone"] == "+12025550199"


def test_what_a_newer_body_does_not_say_is_left_alone():
    fields = change("customers/create", stored("customers/create--bare")).fields
    assert {"tags", "opt_ins", "address"}.isdisjoint(fields)
    assert (fields["full_name"], fields["email"]) == (None, None)


def test_an_older_body_carries_tags_and_consent():
    whole, email, sms = outcome("customers/update", stored("customers/update--2024-10")).changes
    assert [tag["name"] for tag in whole.fields["tags"]] == ["vip", "Frühjahr 2024"]
    assert whole.fields["attributes"]["last_order_id"] == "9007199254760000777"
    assert (email.fields["opt_ins"], sms.fields["opt_ins"]) == ({"email": True}, {"sms": False})


def test_consent_within_a_customer_is_as_old_as_it_is_and_no_part_of_the_customers_own_state():
    body = stored("customers/update--2024-10")
    body["email_marketing_consent"] |= {"consent_updated_at": "2026-10-01T10:00:00Z"}
    body["sms_marketing_consent"] = {"state": "subscribed", "consent_updated_at": None}
    whole, email, sms = outcome("customers/update", body).changes
    assert whole.part is None
    assert not {"opt_ins", "email_marketing_consent"} & {*whole.fields, *whole.fields["attributes"]}
    assert (email.part, email.version) == ("email_consent", datetime(2026, 10, 1, 10, tzinfo=UTC))
    # One that does not say when counts from the customer's own instant.
    assert (sms.part, sms.version) == ("sms_consent", whole.version)


@pytest.mark.parametrize("consent", [None, {}, {"state": None}])
def test_consent_that_a_customer_does_not_speak_of_is_left_alone(consent):
    body = stored("customers/update") | {"email_marketing_consent": consent}
    [found] = outcome("customers/update", body).changes
    assert found.part is None


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


def test_fields_that_a_subscription_does_not_ask_for_are_left_alone():
    found = change("customers/update", {"id": 7, "updated_at": "2026-11-05T03:12:30Z", "email": "new@shop.example"})
    assert set(found.fields) == {"email", "attributes"}


def test_consent_is_a_part_of_the_user_with_the_instant_it_was_given():
    found = change(CONSENT, stored(CONSENT))
    assert (found.kind, found.external_id, found.part) == ("user", "7230000000000000732", "email_consent")
    assert found.fields["opt_ins"] == {"email": True}
    assert found.version == datetime(2026, 11, 5, 3, 12, 30, tzinfo=UTC)
    # How it was given has no field of ours.
    assert found.fields["attributes"]["email_marketing_consent"]["opt_in_level"] == "single_opt_in"


def test_consent_without_an_instant_counts_from_when_it_was_triggered():
    found = change(CONSENT, stored(f"{CONSENT}--withdrawn"))
    assert (found.fields["opt_ins"], found.version) == ({"email": False}, ACT.sample().now)


@pytest.mark.parametrize("state", ["not_subscribed", "pending", "unsubscribed", "redacted", "invalid"])
def test_whatever_is_not_subscribed_is_no_consent(state):
    body = stored("customers_marketing_consent/update")
    body["sms_marketing_consent"]["state"] = state
    found = change("customers_marketing_consent/update", body)
    assert (found.fields["opt_ins"], found.part) == ({"sms": False}, "sms_consent")


def test_of_a_merge_the_customer_that_is_given_up_is_deleted_and_says_who_was_kept():
    found = change("customers/merge", stored("customers/merge"))
    kept = stored("customers/merge")["admin_graphql_api_customer_kept_id"].rpartition("/")[2]
    assert found.fields == {"attributes": {"merged_into": kept}}
    assert (found.op, found.external_id, found.version) == ("delete", "7230000000000000732", ACT.sample().now)


@pytest.mark.parametrize("status", ["failed", "in_progress", "requested"])
def test_a_merge_that_did_not_happen_deletes_nobody(status):
    result = outcome("customers/merge", stored("customers/merge") | {"status": status})
    assert (result.changes, result.ignored) == ((), f"the merge is {status}")


@pytest.mark.parametrize(
    "gid", ["gid://shopify/Order/7", "7", "gid://shopify/Customer/", "gid://shopify/Customer/7?x=1"]
)
def test_a_merge_of_something_else_is_unexpected(gid):
    with pytest.raises(PayloadUnexpected, match="global id of a Customer"):
        change("customers/merge", stored("customers/merge") | {"admin_graphql_api_customer_deleted_id": gid})


def test_a_customer_is_not_merged_into_itself():
    body = stored("customers/merge")
    body["admin_graphql_api_customer_kept_id"] = body["admin_graphql_api_customer_deleted_id"]
    with pytest.raises(PayloadUnexpected, match="is the one that is deleted"):
        change("customers/merge", body)


@pytest.mark.parametrize(
    "topic", ["customers/tags_added", "customers/purchasing_summary", "orders/partially_fulfilled"]
)
def test_what_is_told_elsewhere_too_is_ignored_and_says_why(topic):
    result = outcome(topic, {"id": 7})
    assert result.changes == ()
    assert result.ignored is not None
    assert "not handled" not in result.ignored
