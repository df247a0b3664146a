"""What is particular to Myntra."""

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import PayloadUnexpected
from shared.providers.contract import Change, Identity, Outcome
from tests.shared.providers.acting import OTHER, SECRET, Actor, actor

ACT = actor("myntra")
ORDER = "2240000000000007"
LINE = {"orderLineId": "1", "sku": "DRESS-S", "quantity": 2}


def understand(topic: str, act: Actor = ACT, path: str | None = None, **body: Any) -> tuple[Identity, Outcome]:
    named = {"id": "RT1"} if topic.startswith("return") else {"sellerOrderId": ORDER}
    request = act.request(act.sample(topic=topic, body=orjson.dumps(named | body)))
    return act.understand(request if path is None else replace(request, path=path))


def change(topic: str, **body: Any) -> Change:
    [found] = understand(topic, **body)[1].changes
    return found


@pytest.mark.parametrize(
    ("topic", "method", "path"),
    [
        ("order/create", "POST", f"/storefront/v4/order/{ORDER}"),
        ("order/accept", "PUT", f"/storefront/v4/order/{ORDER}/accept"),
        ("order/readyToDispatch", "PUT", f"/storefront/v4/order/{ORDER}/readyToDispatch"),
        ("return/create", "POST", "/storefront/v4/return/RT00000007"),
        ("return/update", "PUT", "/storefront/v4/return/RT00000007/update"),
    ],
)
def test_the_path_says_what_a_call_is(topic, method, path):
    sample = ACT.sample(topic=topic)
    request = ACT.request(sample)
    assert (request.method, request.path) == (method, f"/api/webhooks/x{path}")
    identity = ACT.understand(request)[0]
    assert (identity.topic, identity.delivery_id) == (topic, path.split("/")[4])
    asked = replace(request, path=f"{request.path}?store=MYNTRA")
    assert ACT.understand(asked)[0].topic == topic


@pytest.mark.parametrize("path", ["/api/webhooks/x", "/storefront/v4/order", "/storefront/v4/order/1/ship/2", "/"])
def test_a_path_that_is_none_of_theirs_is_ignored(path):
    assert understand("order/accept", path=path)[1].ignored


@given(path=st.text(), tail=st.text())
def test_any_path_is_a_call_or_ignored(path, tail):
    for tried in (path, f"/storefront/v4/order/{path}", f"/storefront/v4/return/{path}/{tail}"):
        if "\x00" in tried and "/storefront/v4/" in tried:
            continue
        identity, outcome = understand("order/accept", path=tried, sellerOrderId=None)
        assert (identity.topic in ACT.provider.topics) == bool(outcome.changes)


@pytest.mark.parametrize(("character", "flaw"), [("\x00", "a NUL character"), ("\ud800", "a lone surrogate")])
def test_an_id_in_the_path_that_cannot_be_kept_is_unexpected(character, flaw):
    with pytest.raises(PayloadUnexpected, match=f"the id in the path holds {flaw}"):
        understand("order/accept", path=f"/storefront/v4/order/a{character}b/accept", sellerOrderId=None)


def test_the_id_in_the_body_must_be_the_one_in_the_path():
    sample = ACT.sample(topic="order/accept")
    request = ACT.request(sample)
    for other in (f"/storefront/v4/order/{ORDER}9/accept", "/storefront/v4/return/1"):
        body = orjson.loads(sample.body) | {"id": "2"}
        identity = ACT.provider.identify(replace(request, path=other), ACT.source, body)
        with pytest.raises(PayloadUnexpected, match="is not the id in the path"):
            ACT.provider.transform(identity, body, ACT.source)


def test_the_documented_body_alone_makes_an_order():
    order = change("order/create", orderLineEntries=[LINE | {"price": 10}], receiverName="渡辺", paymentMethod="COD")
    assert (order.kind, order.external_id, order.version) == ("order", ORDER, None)
    assert order.fields["status"] == "open"
    assert order.fields["line_items"] == [{"id": "1", "sku": "DRESS-S", "quantity": 2, "attributes": {"price": 10}}]
    assert order.fields["shipping_address"]["name"] == "渡辺"
    assert order.fields["attributes"]["paymentMethod"] == "COD"
    assert "phone" not in order.fields


@pytest.mark.parametrize(
    ("action", "status"),
    [
        ("pack", "ready"),
        ("readyToDispatch", "ready"),
        ("shipped", "shipped"),
        ("delivered", "delivered"),
        ("lost", "failed"),
        ("onhold", "on_hold"),
        ("unhold", "pending"),
    ],
)
def test_a_packet_is_a_shipment_of_its_order(action, status):
    packet = change(f"order/{action}", packetId="P1", eventTime="2026-02-11T14:05:33.000+05:30")
    assert (packet.kind, packet.external_id) == ("shipment", "P1")
    assert (packet.fields["order_external_id"], packet.fields["status"]) == (ORDER, status)
    assert packet.fields["provider_status"] == action
    assert ("delivered_at" in packet.fields) == (status == "delivered")


@pytest.mark.parametrize(("action", "kind"), [("shipped", "shipment"), ("onhold", "order"), ("cancelItems", "order")])
def test_without_a_packet_an_order_goes_as_one_and_anything_else_is_noted(action, kind):
    found = change(f"order/{action}", orderLineEntries=[LINE])
    assert (found.kind, found.external_id) == (kind, ORDER)
    if kind == "order":
        assert found.fields["attributes"][action]["orderLineEntries"][0]["id"] == "1"
        assert "line_items" not in found.fields  # the order keeps the lines it has


def test_a_rejected_order_is_cancelled():
    rejected = change("order/reject", reason="no stock", eventTime="2026-02-11 14:05:33")
    assert rejected.fields["status"] == "cancelled"
    assert rejected.fields["cancel_reason"] == "no stock"
    assert str(rejected.fields["cancelled_at"]) == "2026-02-11 08:35:33+00:00"


@pytest.mark.parametrize(
    ("word", "status"),
    [("cou_created", "pending"), ("RET_RECEIVED", "returned"), ("cou_in_transit", "in_transit"), ("odd", None)],
)
def test_a_return_is_a_shipment_back(word, status):
    back = change("return/update", status=word, sellerOrderId=ORDER, orderLineId=1)
    assert (back.kind, back.external_id, back.fields["attributes"]["direction"]) == ("shipment", "RT1", "return")
    assert (back.fields.get("status"), back.fields["provider_status"]) == (status, word)


def test_the_answer_is_in_their_words_and_the_call_is_a_message():
    reply = ACT.provider.reply(ACT.request(ACT.sample()), ACT.source, "m-1") if ACT.provider.reply else None
    assert reply is not None
    assert (reply.status, reply.enqueue) == (200, True)
    assert orjson.loads(reply.body)["statusCode"] == 1000


def test_the_token_is_known_by_both_spellings_and_hidden_in_both():
    sample = ACT.sample()
    assert dict(ACT.provider.sign(sample))["access_token"] == SECRET.decode()
    assert ACT.verify(ACT.request(sample, [("access-token", SECRET.decode())])) is None
    assert set(ACT.provider.secret_headers(ACT.source)) == {"access_token", "access-token"}
    refusal = ACT.verify(ACT.request(sample, [("access-token", OTHER.decode())]))
    assert refusal is not None
    assert refusal.code == "signature_mismatch"


def test_an_agreed_hmac_covers_the_path_and_the_method():
    act = actor("myntra-hmac")
    request = act.request(act.sample(topic="order/accept"))
    assert act.verify(request) is None
    for forged in (replace(request, url=f"{request.url}x"), replace(request, method="POST")):
        assert act.verify(forged) is not None
