"""The happy way: signed webhooks in, one vocabulary of events, signed deliveries out; and what is turned away."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.doubles.crm import Crm
from tests.doubles.robaws import robaws_webhook
from tests.doubles.shop import Shop, Webhook, post
from tests.pipeline.merchant import Merchant
from tests.waiting import until


def test_every_webhook_of_two_providers_arrives_once_and_signed_at_its_own_account(
    merchants: Callable[[], Merchant], crm: Crm
) -> None:
    first, second = merchants(), merchants()
    shop = first.shop()
    _, path, secret = second.source("robaws")
    first.subscribe(crm, "/first")
    second.subscribe(crm, "/second", events=["user.*"])

    first.post(*(shop.created(number) for number in range(20)))
    first.post(*(shop.updated(number, 1) for number in range(20)))
    first.post(*(shop.deleted(number, 2) for number in range(5)))
    client = {"id": "9007199254740993", "name": "Ågren & Zoé BV", "email": "info@agren.example"}
    second.post(
        robaws_webhook(path=path, secret=secret, event="client.created", data=client, delivery_id="robaws-1"),
        robaws_webhook(
            path=path,
            secret=secret,
            event="client.updated",
            data={**client, "tel": "+32 9 123 45 67"},
            delivery_id="robaws-2",
        ),
    )

    first.wait_delivered(45)
    second.wait_delivered(2)
    assert first.messages() == {"processed": 45}
    assert first.events() == {"user.created": 20, "user.updated": 20, "user.deleted": 5}
    assert second.messages() == {"processed": 2}
    assert second.events() == {"user.created": 1, "user.updated": 1}
    assert sorted(crm.accepted_ids("/first")) == sorted(first.event_ids())
    assert sorted(crm.accepted_ids("/second")) == sorted(second.event_ids())
    assert crm.refused() == []
    bodies = [json.loads(receipt.body) for receipt in crm.at("/second")]
    assert {body["data"]["user"]["fullName"] for body in bodies} == {"Ågren & Zoé BV"}
    assert {body["data"]["user"]["externalId"] for body in bodies} == {"9007199254740993"}
    assert {body["metadata"]["source"] for body in bodies} == {"robaws"}


def test_k2_the_same_webhook_fifty_times_at_once_is_one_event(merchant: Merchant, shop: Shop, crm: Crm) -> None:
    merchant.subscribe(crm, "/")
    webhook = shop.created(1)
    with ThreadPoolExecutor(50) as pool:
        reports = list(pool.map(lambda _: merchant.post(webhook), range(50)))
    assert [list(report.accepted) for report in reports] == [[webhook.delivery_id]] * 50  # a repeat is answered 200
    assert merchant.wait_messages(50) == {"processed": 1, "duplicate": 49}
    merchant.wait_delivered(1)
    assert merchant.events() == {"user.created": 1}
    assert crm.accepted_ids("/") == merchant.event_ids()


def test_k3_what_is_forged_is_refused_and_leaves_no_message(merchant: Merchant, shop: Shop, crm: Crm) -> None:
    merchant.subscribe(crm, "/")
    genuine = shop.created(1)
    changed = Webhook(genuine.path, genuine.headers, genuine.body.replace(b"enabled", b"invited"), "changed")
    unsigned = Webhook(
        genuine.path,
        {name: value for name, value in genuine.headers.items() if "Hmac" not in name},
        genuine.body,
        "unsigned",
    )
    stranger = Shop(path=genuine.path.rpartition("/")[2], secret=shop.secret, domain="stranger.myshopify.com")
    report = merchant.post(changed, unsigned, stranger.created(2), genuine)
    assert report.refused == [401, 401, 401]
    assert list(report.accepted) == [genuine.delivery_id]
    merchant.wait_delivered(1)
    assert merchant.messages() == {"processed": 1}


def test_an_older_change_never_undoes_a_newer_one_and_a_delete_stands(merchant: Merchant, shop: Shop, crm: Crm) -> None:
    merchant.subscribe(crm, "/")
    merchant.post(shop.created(1), shop.updated(1, 5), shop.updated(1, 3), shop.deleted(1, 9), shop.updated(1, 7))
    assert merchant.wait_messages(5) == {"processed": 3, "stale": 2}
    assert merchant.events() == {"user.created": 1, "user.updated": 1, "user.deleted": 1}
    merchant.wait_delivered(3)


def test_a_message_that_cannot_be_read_fails_alone(merchant: Merchant, shop: Shop, crm: Crm) -> None:
    merchant.subscribe(crm, "/")
    poison = [shop.webhook("customers/create", {"id": None}), shop.webhook("customers/update", {"email": 5})]
    merchant.post(shop.created(1), poison[0], shop.created(2), poison[1], shop.created(3))
    assert merchant.wait_messages(5) == {"processed": 3, "failed": 2}
    merchant.wait_delivered(3)
    reasons = merchant.stack.rows(
        "SELECT reason FROM messages WHERE account_id = :account AND state = 'failed'", account=merchant.account_id
    )
    assert all(row.reason for row in reasons)


def test_a_rotated_secret_verifies_beside_the_old_one_within_a_second_of_being_set(
    merchant: Merchant, crm: Crm
) -> None:
    merchant.subscribe(crm, "/")
    source_id, path, old = merchant.source("shopify", any_tenant=True)
    new = merchant.rotate(source_id)
    shops = [
        Shop(path=path, secret=secret, domain=f"{word}.myshopify.com") for word, secret in (("o", old), ("n", new))
    ]
    for shop in shops:
        until(lambda shop=shop: post(merchant.stack.ingress_url, [shop.created(1)]).accepted, 5)
    merchant.wait_delivered(2)
