"""What is particular to ManyChat."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from shared.errors import PayloadUnexpected
from shared.providers.contract import Change
from tests.shared.providers.acting import SECRET, actor

ACT = actor("manychat")


def change(event: str | None = None, **contact: Any) -> Change:
    body = {"id": 1} | contact if event is None else {"event": event, "data": {"id": 1} | contact}
    [found] = ACT.understand(ACT.request(ACT.sample(body=orjson.dumps(body))))[1].changes
    return found


def test_a_contact_may_be_bare_or_wrapped_and_its_id_a_number_or_a_text():
    bare, wrapped = change(id=2**60), change("subscriber.tag_added", id=str(2**60))
    assert (bare.kind, bare.external_id) == ("user", str(2**60))
    assert (wrapped.external_id, wrapped.fields) == (bare.external_id, bare.fields)


def test_a_body_without_an_event_is_an_update():
    identity, _ = ACT.understand(ACT.request(ACT.sample(body=b'{"id": "1", "page_id": 22}')))
    assert (identity.topic, identity.tenant) == ("subscriber.updated", "22")


def test_all_that_we_have_a_field_for_is_mapped_and_the_rest_is_kept():
    fields = change(
        first_name="ليلى",
        name="ليلى حداد",
        email=" ",
        whatsapp_phone="+12025550100",
        ig_id=17,
        ig_username="leila",
        subscribed="2026-05-04T10:54:33-06:00",
        status="active",
        optin_email=True,
        optin_whatsapp=False,
        language="Arabic",
    ).fields
    assert (fields["manychat_id"], fields["instagram_id"], fields["instagram_username"]) == ("1", "17", "leila")
    assert (fields["full_name"], fields["email"], fields["whatsapp_phone"]) == ("ليلى حداد", None, "+12025550100")
    assert fields["subscribed_at"] == datetime(2026, 5, 4, 16, 54, 33, tzinfo=UTC)
    assert fields["opt_ins"] == {"email": True, "whatsapp": False, "messenger": True}
    assert fields["attributes"] == {"status": "active", "language": "Arabic"}


def test_one_who_left_is_no_longer_opted_in():
    assert change(subscribed="2026-05-04T10:54:33-06:00", status="inactive").fields["opt_ins"] == {"messenger": False}


@pytest.mark.parametrize(
    ("tags", "names"),
    [
        (["vip", " vip ", ""], ["vip"]),
        ("vip, noël", ["vip", "noël"]),
        ([{"id": 11, "name": "vip"}], ["vip"]),
        (None, []),
    ],
)
def test_tags_come_in_several_shapes(tags, names):
    assert [tag["name"] for tag in change(tags=tags).fields["tags"]] == names


def test_a_tag_keeps_manychats_id():
    assert change(tags=[{"id": 11, "name": "vip"}]).fields["tags"][0]["id"] == "11"


def test_custom_fields_come_as_an_object_or_as_the_apis_list():
    as_list = [{"id": 1, "name": "size", "value": "L"}, {"id": 2, "name": "age", "value": None}]
    assert change(custom_fields=as_list).fields["custom_fields"] == {"size": "L", "age": None}
    assert change(custom_fields={"size": "L", "age": None}).fields["custom_fields"] == {"size": "L", "age": None}
    with pytest.raises(PayloadUnexpected):
        change(custom_fields={"size": {"nested": 1}})


@pytest.mark.parametrize(
    ("told", "last"),
    [
        ({"last_interaction": "2026-05-04T10:00:00Z"}, "2026-05-04T10:00:00.000Z"),
        ({"last_interaction": None, "ig_last_interaction": "2026-05-04T12:00:00+02:00"}, "2026-05-04T10:00:00.000Z"),
        (
            {"last_interaction": "2026-05-04T11:00:00+02:00", "ig_last_interaction": "2026-05-04T09:00:01Z"},
            "2026-05-04T09:00:01.000Z",
        ),
    ],
)
def test_the_last_interaction_is_the_latest_of_any_channel(told: dict[str, Any], last: str):
    fields = change(**told).fields
    assert fields["interactions"] == {"lastUpdated": last}
    assert fields["attributes"] == told  # as ManyChat says it
    assert "interactions" not in change(**dict.fromkeys(told)).fields  # never there is unknown to us


def test_what_is_not_said_is_left_alone():
    assert set(change().fields) == {"manychat_id", "attributes"}


def test_what_counts_is_when_it_came_for_no_body_says_when_it_was_made():
    assert change(last_interaction="2026-05-04T10:00:00Z").version is None
    body = orjson.dumps({"id": 1, "last_interaction": "2026-05-04T10:00:00Z"})
    assert ACT.understand(ACT.request(ACT.sample(body=body)))[0].occurred_at is None


def test_the_token_is_a_bearers_unless_another_header_is_agreed_on():
    assert dict(ACT.provider.sign(ACT.sample()))["Authorization"] == f"Bearer {SECRET.decode()}"
    other = actor("manychat-header")
    assert dict(other.provider.sign(other.sample()))["X-ManyChat-Token"] == SECRET.decode()
    assert "X-ManyChat-Token" in other.provider.secret_headers(other.source)
