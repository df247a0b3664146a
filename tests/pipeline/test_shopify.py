"""A Shopify shop's whole life: a sale from checkout to refund, and the end of it, from signed POSTs to deliveries."""

import json
from datetime import timedelta
from typing import Any

from shared import orders, queues
from shared.clock import to_json, utc_now
from shared.providers import samples
from tests import envelopes
from tests.doubles.crm import Crm
from tests.doubles.shop import Shop, Webhook
from tests.pipeline.merchant import Merchant
from tests.waiting import until

NUMBER = 3  # of the customer, of the order, of the product


def webhook(shop: Shop, topic: str, minute: int = 0, **changed: Any) -> Webhook:
    """What the shop says of its customer, order or product, `minute` minutes after half an hour ago."""
    at = utc_now() + timedelta(minutes=minute - 30)
    body = json.loads(samples.make("shopify", topic, number=NUMBER, at=at, tenant=shop.domain)) | changed
    return shop.webhook(topic, body, at=to_json(at))


def test_a_sale_is_told_from_checkout_to_refund(merchant: Merchant, shop: Shop, crm: Crm) -> None:
    merchant.subscribe(crm, "/")
    sale = [
        webhook(shop, "customers/create"),
        webhook(shop, "products/create"),
        webhook(shop, "orders/create", 1),
        webhook(shop, "orders/paid", 2),
        webhook(shop, "inventory_levels/update", 2),
        webhook(shop, "fulfillments/create", 3),
        webhook(shop, "orders/fulfilled", 3),
        webhook(shop, "orders/updated", 1),  # late, and so says nothing
        webhook(shop, "fulfillments/update", 4, shipment_status="delivered"),
        webhook(shop, "refunds/create", 5),
    ]
    merchant.post(*sale, *sale)
    assert merchant.wait_messages(20) == {"processed": 9, "stale": 1, "duplicate": 10}
    expected = {
        "user.created": 1,
        "product.created": 1,
        "order.created": 1,
        "order.updated": 2,
        "order.paid": 1,
        "order.fulfilled": 1,
        "inventory.updated": 1,
        "shipment.created": 1,
        "shipment.updated": 1,
        "shipment.delivered": 1,
        "refund.created": 1,
    }
    assert merchant.events() == expected
    merchant.wait_delivered(sum(expected.values()))
    assert sorted(crm.accepted_ids("/")) == sorted(merchant.event_ids())
    assert crm.refused() == []
    told = {body["event"]: body["data"] for body in (envelopes.read(receipt.body) for receipt in crm.at("/"))}
    order, refund = told["order.paid"]["order"], told["refund.created"]["refund"]
    assert refund["orderExternalId"] == order["externalId"] == told["shipment.delivered"]["shipment"]["orderExternalId"]
    assert order["customerExternalId"] == told["user.created"]["user"]["externalId"]
    assert sum(line["totalMinor"] for line in order["lineItems"]) == order["subtotalMinor"]


def test_a_customer_and_then_a_whole_shop_are_forgotten_and_the_audit_log_proves_it(
    merchant: Merchant, shop: Shop, crm: Crm
) -> None:
    merchant.subscribe(crm, "/")
    merchant.post(webhook(shop, "customers/create"), webhook(shop, "orders/create"), webhook(shop, "products/create"))
    merchant.wait_delivered(3)
    merchant.post(webhook(shop, "customers/redact", 1))
    wait_erased(merchant, 1)
    # Whatever still comes brings nobody back.
    merchant.post(webhook(shop, "customers/update", 9), webhook(shop, "orders/updated", 9))
    merchant.wait_messages(6)
    for table, personal in (("users", "email"), ("orders", "shipping_address")):
        [kept] = rows(merchant, f"SELECT {personal}, redacted_at FROM {table}")
        assert kept[0] is None
        assert kept[1] is not None

    merchant.post(webhook(shop, "app/uninstalled", 30))
    merchant.wait_messages(7)
    assert [tuple(row) for row in rows(merchant, "SELECT state, credentials FROM integrations")] == [
        ("uninstalled", None)
    ]
    # Two days later, from a shop that is no integration any more.
    merchant.post(webhook(shop, "shop/redact", 30))
    wait_erased(merchant, 2)
    # Of what was erased before, a tombstone without a name stays; of all else nothing.
    assert rows(merchant, "SELECT id FROM products") == []
    for table in ("users", "orders"):
        assert [row.gone for row in rows(merchant, f"SELECT deleted_at IS NOT NULL AS gone FROM {table}")] == [True]
    actions = [row.action for row in rows(merchant, "SELECT action FROM audit_log")]
    assert sorted(actions).count("erasure.done") == 2
    assert "integration.uninstalled" in actions


def rows(merchant: Merchant, query: str) -> list[Any]:
    return merchant.stack.rows(f"{query} WHERE account_id = :account", account=merchant.account_id)


def wait_erased(merchant: Merchant, count: int) -> None:
    """Return when so many erasures are done, in order that beat need not be waited for."""

    def erased() -> bool:
        orders.send(merchant.stack.settings, queues.PRIVACY)
        return [row.state for row in rows(merchant, "SELECT state FROM erasures")] == ["done"] * count

    until(erased, poll=0.5, what=f"{count} erasures to be done", told=merchant.story)
