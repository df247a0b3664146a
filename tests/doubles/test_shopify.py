"""The double of Shopify refuses what Shopify refuses."""

import base64
import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
import requests

from tests.doubles.served import Fault
from tests.doubles.shopify import Shop, Shopify
from tests.doubles.shopify.order import PLACED
from tests.doubles.test_robaws import Receiver

CREATE = """mutation($topic: WebhookSubscriptionTopic!, $sub: WebhookSubscriptionInput!) {
  webhookSubscriptionCreate(topic: $topic, webhookSubscription: $sub) {
    webhookSubscription { id } userErrors { message } }
}"""
PAGE = "pageInfo { hasNextPage endCursor }"


@pytest.fixture
def shopify() -> Iterator[Shopify]:
    with Shopify(allow_http=False) as made:
        made.shop().token = "good"
        yield made


@pytest.fixture
def shop(shopify: Shopify) -> Shop:
    return shopify.shop()


def ask(shopify: Shopify, query: str, token: str = "good", **variables: Any) -> requests.Response:  # noqa: S107
    url = shopify.url.format(shop="acme.myshopify.com") + "/admin/api/2026-10/graphql.json"
    body = {"query": query, "variables": variables}
    return requests.post(url, json=body, headers={"X-Shopify-Access-Token": token}, timeout=5)


def test_a_wrong_token_is_refused(shopify: Shopify) -> None:
    assert ask(shopify, "{ shop { id } }", token="bad").status_code == 401


def test_a_code_is_good_once_and_for_the_right_secret(shopify: Shopify) -> None:
    code = shopify.callback_query("acme.myshopify.com", "s")["code"]
    url = shopify.url.format(shop="acme.myshopify.com") + "/admin/oauth/access_token"
    form = {"client_id": shopify.client_id, "client_secret": shopify.secret, "code": code}
    assert requests.post(url, json=form | {"client_secret": "no"}, timeout=5).status_code == 401
    assert requests.post(url, json=form, timeout=5).json()["access_token"] == shopify.shop().token
    assert requests.post(url, json=form, timeout=5).status_code == 400


@dataclass
class App:
    """What the double is asked for tokens with, and the clock that they end by."""

    shopify: Shopify
    now: datetime = PLACED

    def post(self, **form: str) -> requests.Response:
        url = self.shopify.url.format(shop="acme.myshopify.com") + "/admin/oauth/access_token"
        app = {"client_id": self.shopify.client_id, "client_secret": self.shopify.secret}
        return requests.post(url, json=app | form, timeout=5)

    def exchange(self, **more: str) -> dict[str, Any]:
        code = self.shopify.callback_query("acme.myshopify.com", "s")["code"]
        granted: dict[str, Any] = self.post(code=code, **more).json()
        return granted

    def renew(self, refresh_token: str) -> requests.Response:
        return self.post(grant_type="refresh_token", refresh_token=refresh_token)

    def status(self, token: str) -> int:
        return ask(self.shopify, "{ shop { id } }", token=token).status_code


@pytest.fixture
def app(shopify: Shopify) -> App:
    made = App(shopify)
    shopify.clock = lambda: made.now
    return made


def test_a_token_ends_only_when_that_was_asked_for(app: App) -> None:
    assert set(app.exchange()) == {"access_token", "scope"}
    granted = app.exchange(expiring="1")
    assert (granted["expires_in"], granted["refresh_token_expires_in"]) == (3600, 90 * 86_400)
    app.now += timedelta(seconds=3599)
    assert app.status(granted["access_token"]) == 200
    app.now += timedelta(seconds=1)
    assert app.status(granted["access_token"]) == 401


def test_a_new_public_app_needs_tokens_that_end(app: App) -> None:
    app.shopify.is_public_app = True
    assert app.status(app.exchange()["access_token"]) == 403
    assert app.status(app.exchange(expiring="1")["access_token"]) == 200


def test_a_renewal_gives_another_pair_and_ends_the_one_before(app: App) -> None:
    first = app.exchange(expiring="1")
    second = app.renew(first["refresh_token"]).json()
    assert not {first["access_token"], first["refresh_token"]} & {second["access_token"], second["refresh_token"]}
    assert (app.status(first["access_token"]), app.status(second["access_token"])) == (401, 200)


@pytest.mark.parametrize("is_forgiving", [True, False])
def test_a_used_refresh_token_is_good_until_the_next_is_used_and_only_where_shopify_forgives(
    app: App, *, is_forgiving: bool
) -> None:
    app.shopify.is_forgiving = is_forgiving
    first = app.exchange(expiring="1")["refresh_token"]
    second = app.renew(first).json()["refresh_token"]
    again = app.renew(first)
    assert again.status_code == (200 if is_forgiving else 400)
    latest = again.json()["refresh_token"] if is_forgiving else second
    assert app.renew(latest).status_code == 200
    refused = app.renew(first)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")


def test_an_unknown_refresh_token_one_that_has_ended_and_a_wrong_secret_renew_nothing(app: App) -> None:
    refresh_token = app.exchange(expiring="1")["refresh_token"]
    assert app.renew("shprt_of_another").json()["error"] == "invalid_grant"
    refused = app.post(grant_type="refresh_token", refresh_token=refresh_token, client_secret="no")
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
    app.now += timedelta(days=90)
    assert app.renew(refresh_token).json()["error"] == "invalid_grant"


def test_an_app_that_was_thrown_out_has_nothing(app: App, shop: Shop) -> None:
    granted = app.exchange(expiring="1")
    shop.throw_out()
    assert app.status(granted["access_token"]) == 401
    assert app.renew(granted["refresh_token"]).status_code == 400


def test_an_address_nobody_allowed_is_not_redirected_to(shopify: Shopify) -> None:
    url = shopify.url.format(shop="acme.myshopify.com") + "/admin/oauth/authorize"
    asked = {"client_id": shopify.client_id, "redirect_uri": "https://evil.example", "scope": "a", "state": "s"}
    assert requests.get(url, params=asked, allow_redirects=False, timeout=5).status_code == 400


@pytest.mark.parametrize(
    "query",
    ["query { nonsense { id } }", "query { shop { id }", "query { products(first: 251) { nodes { id } } }"],
)
def test_a_document_that_does_not_hold_is_answered_with_errors(shopify: Shopify, query: str) -> None:
    response = ask(shopify, query)
    assert response.status_code == 200
    assert response.json()["errors"]


def test_a_query_that_costs_too_much_is_refused_and_one_too_many_is_throttled(shopify: Shopify, shop: Shop) -> None:
    dear = "query { products(first: 100) { nodes { variants(first: 100) { nodes { id } } } } }"
    assert ask(shopify, dear).json()["errors"][0]["extensions"]["code"] == "MAX_COST_EXCEEDED"
    shop.bucket.available, shop.bucket.restore_rate = 60.0, 0.0
    page = "query { products(first: 50) { nodes { id } } }"
    assert "errors" not in ask(shopify, page).json()
    throttled = ask(shopify, page).json()
    assert throttled["errors"][0]["extensions"]["code"] == "THROTTLED"
    assert throttled["extensions"]["cost"]["throttleStatus"]["currentlyAvailable"] == 9
    assert throttled["extensions"]["cost"]["actualQueryCost"] is None


def test_pages_end_and_hold_everything_once(shopify: Shopify, shop: Shop) -> None:
    shop.add_products(5)
    seen, after = [], None
    while True:
        query = f"query($after: String) {{ products(first: 2, after: $after) {{ nodes {{ id }} {PAGE} }} }}"
        page = ask(shopify, query, after=after).json()["data"]["products"]
        seen += [node["id"] for node in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert seen == [product["id"] for product in shop.products]


def test_an_order_is_the_same_in_both_apis_and_gives_no_more_away_than_it_has(shopify: Shopify, shop: Shop) -> None:
    order = shop.order()
    line = order.add("A", 1990, 2)
    body = order.edit(less={line.id: 1}, at=PLACED + timedelta(minutes=1))["order_edit"]
    assert (body["order_id"], body["line_items"]["removals"]) == (order.id, [{"id": line.id, "delta": 1}])
    with pytest.raises(ValueError, match="has no 2 pieces"):
        order.edit(less={line.id: 2}, at=PLACED)
    lines = "lineItems(first: 1) { nodes { id currentQuantity } }"
    query = f"query($id: ID!) {{ order(id: $id) {{ totalPriceSet {{ shopMoney {{ amount }} }} {lines} }} }}"
    node = ask(shopify, query, id=f"gid://shopify/Order/{order.id}").json()["data"]["order"]
    [shown], [told] = node["lineItems"]["nodes"], order.snapshot()["line_items"]
    assert shown["currentQuantity"] == told["current_quantity"] == 1
    assert float(node["totalPriceSet"]["shopMoney"]["amount"]) == 19.9
    assert order.snapshot()["total_price_set"]["shop_money"]["amount"] == "19.90"
    assert ask(shopify, query, id="gid://shopify/Order/0").json()["data"] == {"order": None}


@pytest.mark.parametrize(
    ("topic", "uri", "problem"),
    [
        ("ORDERS_CREATE", "http://hooks.example.com", "protocol"),
        ("ORDERS_UPDATED", "https://hooks.example.com", "taken"),
        ("CUSTOMERS_CREATE", "https://hooks.example.com", "permission"),
        ("SHOP_REDACT", "https://hooks.example.com", "invalid value"),
    ],
)
def test_a_registration_that_cannot_be_is_refused(
    shopify: Shopify, shop: Shop, topic: str, uri: str, problem: str
) -> None:
    shop.scopes = ("read_orders",)
    shop.subscribe("ORDERS_UPDATED", "https://hooks.example.com")
    assert problem in ask(shopify, CREATE, topic=topic, sub={"uri": uri}).text
    assert len(shop.subscriptions) == 1


def test_a_webhook_goes_to_who_is_registered_for_its_topic_signed_over_its_body(shopify: Shopify, shop: Shop) -> None:
    with Receiver() as receiver:
        shop.subscribe("ORDERS_EDITED", receiver.url("/here"))
        shop.subscribe("ORDERS_PAID", receiver.url("/there"))
        receiver.faults.append(Fault(503))
        assert [shop.tell("orders/edited", {"id": 1}), shop.tell("orders/edited", {"id": 2})] == [[503], [200]]
        assert shop.tell("orders/create", {"id": 3}) == []
    first, second = receiver.asked
    assert {first.path, second.path} == {"/here"}
    assert first.headers["x-shopify-webhook-id"] != second.headers["x-shopify-webhook-id"]
    digest = hmac.new(shop.secret.encode(), second.body, hashlib.sha256).digest()
    assert second.headers["x-shopify-hmac-sha256"] == base64.b64encode(digest).decode()
    assert (second.headers["x-shopify-topic"], second.headers["x-shopify-shop-domain"]) == (
        "orders/edited",
        shop.domain,
    )


def test_what_is_not_accepted_is_tried_again_as_it_was_and_given_up_after_eight_retries(shop: Shop) -> None:
    with Receiver() as receiver:
        made = shop.subscribe("ORDERS_PAID", receiver.url("/hooks?a=b"))
        receiver.faults += [Fault(500), Fault(silent=True)]
        assert shop.tell("orders/paid", {"id": 1}) == [500]
        made["uri"] = receiver.url("/moved")
        assert [shop.post(), shop.post(), shop.owed] == [False, True, []]
        assert {one.path for one in receiver.asked} == {"/hooks?a=b"}
        names = ("x-shopify-webhook-id", "x-shopify-hmac-sha256")
        assert len({(one.body, *(one.headers[name] for name in names)) for one in receiver.asked}) == 1
        receiver.faults += [Fault(500, path="/moved") for _ in range(7)]
        shop.tell("orders/paid", {"id": 2})
        for _ in range(6):
            assert not shop.post()
        assert shop.tell("orders/paid", {"id": 3}) == [200]  # which is no failure in a row
        receiver.faults += [Fault(302), Fault(500)]
        assert [shop.post(), shop.post(), shop.owed] == [False, True, []]
    assert shop.subscriptions == [made]


def test_who_is_not_there_is_owed_and_whoever_fails_eight_times_in_a_row_is_dropped(shop: Shop) -> None:
    kept = shop.subscribe("ORDERS_CREATE", "http://127.0.0.1:1/there")
    dropped = shop.subscribe("ORDERS_PAID", "http://127.0.0.1:1/gone")  # where nobody ever listens
    assert [shop.tell("orders/paid", {"id": number}) for number in range(2)] == [[0], [0]]
    for _ in range(2):
        assert not shop.post()
    assert (shop.failed[dropped["id"]], len(shop.owed), shop.subscriptions) == (6, 2, [kept, dropped])
    assert shop.post()
    assert shop.subscriptions == [kept]


def test_it_can_be_made_to_fail(shopify: Shopify) -> None:
    shopify.fail(429, Retry_After="7")
    response = ask(shopify, "{ shop { id } }")
    assert (response.status_code, response.headers["Retry-After"]) == (429, "7")


def test_its_answer_can_be_lost_after_the_deed_and_never_come(shopify: Shopify, shop: Shop) -> None:
    webhook = {"topic": "ORDERS_PAID", "sub": {"uri": "https://hooks.example.com"}}
    shopify.faults.append(Fault(silent=True))
    with pytest.raises(requests.ConnectionError):
        ask(shopify, CREATE, **webhook)
    assert shop.subscriptions == []
    shopify.faults += [Fault(silent=True, after=True), Fault(502, after=True)]
    with pytest.raises(requests.ConnectionError):
        ask(shopify, CREATE, **webhook)
    assert [one["topic"] for one in shop.subscriptions] == ["ORDERS_PAID"]
    assert ask(shopify, CREATE, **webhook).status_code == 502
    assert "taken" in ask(shopify, CREATE, **webhook).text


def test_it_can_be_silent_for_as_long_as_it_is_there_and_only_where_it_shall_be(shopify: Shopify) -> None:
    shopify.faults.append(Fault(slow=True, path="/oauth/"))
    assert ask(shopify, "{ shop { id } }").status_code == 200
    url = shopify.url.format(shop="acme.myshopify.com") + "/admin/oauth/access_token"
    with pytest.raises(requests.ReadTimeout):
        requests.post(url, json={}, timeout=(5, 0.1))
    assert requests.post(url, json={}, timeout=5).status_code == 401


@pytest.mark.parametrize(
    ("version", "served"),
    [
        ("2026-10", "2026-10"),
        ("2026-01", "2026-01"),
        ("unstable", "unstable"),
        ("2019-04", "2026-01"),
        ("2019-05", None),
        ("2031-01", None),
        ("banana", None),
    ],
)
def test_an_old_version_falls_forward_and_what_is_none_is_not_found(
    shopify: Shopify, shop: Shop, version: str, served: str | None
) -> None:
    url = shopify.url.format(shop=shop.domain) + f"/admin/api/{version}/graphql.json"
    headers = {"X-Shopify-Access-Token": "good"}
    response = requests.post(url, json={"query": "{ shop { id } }"}, headers=headers, timeout=5)
    assert response.status_code == (200 if served else 404)
    assert response.headers.get("X-Shopify-API-Version") == served


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b'{"query": 7}', b'{"query": "{ shop { id } }", "variables": [1]}', b"\xff"]
)
def test_a_body_that_is_no_request_is_refused(shopify: Shopify, shop: Shop, body: bytes) -> None:
    base = shopify.url.format(shop=shop.domain)
    headers = {"X-Shopify-Access-Token": "good", "Content-Type": "application/json"}
    answer = requests.post(f"{base}/admin/api/2026-10/graphql.json", data=body, headers=headers, timeout=5)
    assert (answer.status_code, list(answer.json())) == (400, ["errors"])
    refused = requests.post(f"{base}/admin/oauth/access_token", data=body, headers=headers, timeout=5)
    assert refused.status_code in (400, 401)
    assert "error" in refused.json()
