"""A shop's owner connects a shop: every step, every way it can be tampered with, and what is left behind."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import UUID

import pytest
import requests
from flask.testing import FlaskClient
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError
from werkzeug.test import TestResponse

from shared import accounts, directory, integrations, queues, sources
from shared.circuits import CIRCUIT_FAILURES
from shared.clock import to_json, utc_now
from shared.crypto import load_ring
from shared.db.engine import transaction
from shared.errors import QueueUnavailable
from shared.settings import Settings
from shared.shopify_shop import login_url
from shared.valkey import Client
from tests.doubles.shopify import Shopify
from web.console import Console, make_app
from web.context import EXTENSION
from web.shopify_pages import ADVICE

SHOP = "acme.myshopify.com"
CONSOLE = "https://console.example.com"


@dataclass
class Place:
    """A console, the double, and a source that knows the shop."""

    app: Console
    settings: Settings
    engine: Engine
    queue: Client
    shopify: Shopify
    account: UUID
    source: UUID

    def browser(self) -> FlaskClient:
        return self.app.test_client()

    def get(self, browser: FlaskClient, path: str) -> TestResponse:
        return browser.get(path, base_url=CONSOLE)

    def begun(self, browser: FlaskClient, shop: str = SHOP) -> str:
        """The nonce that a login gave the browser."""
        response = self.get(browser, f"/shopify/{shop}/login")
        assert response.status_code == 303, response.text
        return parse_qs(urlsplit(response.headers["Location"]).query)["state"][0]

    def back(self, browser: FlaskClient, query: dict[str, str]) -> TestResponse:
        return self.get(browser, f"/shopify/callback?{urlencode(query)}")

    def code_of(self, response: TestResponse) -> str:
        """The code on a page of what went wrong, which must say what to do."""
        assert response.content_type.startswith("text/html")
        found = re.search(r"Code: <code>(\w+)</code>", response.text)
        assert found is not None, response.text
        assert found[1] in ADVICE
        return found[1]

    def tokens(self) -> list[Any]:
        with transaction(self.engine) as connection:
            return list(connection.execute(text("SELECT credentials FROM integrations")).scalars())


@pytest.fixture
def place(settings: Settings, engine: Engine, queue: Client) -> Iterator[Place]:
    now = utc_now()
    with Shopify() as shopify:
        made = settings.model_copy(
            update={
                "allow_http_destinations": True,
                "allowed_destination_cidrs": "127.0.0.0/8",
                "console_url": CONSOLE,
                "shopify_client_id": shopify.client_id,
                "shopify_url": shopify.url,
            }
        )
        ring = load_ring(made)
        with transaction(engine) as connection:
            account = accounts.create(connection, slug="acme", title="Acme", now=now)["id"]
            source = sources.create(
                connection, ring, account_id=account, provider="shopify", secrets=[shopify.secret], now=now
            )[0]["id"]
            integrations.create(connection, ring, account_id=account, source_id=source, external_id=SHOP, now=now)
        shopify.redirect_uris.add(f"{CONSOLE}/shopify/callback")
        shopify.shop(SHOP)
        app = make_app(made)
        app.testing = True
        yield Place(app, made, engine, queue, shopify, account, source)
        app.extensions[EXTENSION].engine.dispose()
        app.extensions[EXTENSION].client.close()


def test_a_shop_connects_and_its_token_is_sealed_and_its_work_is_due(place: Place) -> None:
    browser = place.browser()
    there = place.get(browser, "/shopify/acme/login")
    assert there.status_code == 303
    asked = parse_qs(urlsplit(there.headers["Location"]).query)
    assert asked["scope"] == [place.settings.shopify_scopes]
    agreed = requests.get(there.headers["Location"], allow_redirects=False, timeout=5)
    done = place.get(browser, agreed.headers["Location"].removeprefix(CONSOLE))
    assert (done.status_code, done.headers["Location"]) == (303, f"/shopify/{SHOP}")
    shop = place.shopify.shop(SHOP)
    assert shop.token is not None
    with transaction(place.engine) as connection:
        row = connection.execute(text("SELECT * FROM integrations")).mappings().one()
        work = connection.execute(text("SELECT kind, state, due_at <= now() AS due FROM upstream_work")).all()
        deeds = connection.execute(text("SELECT action, detail::text FROM audit_log")).all()
        listed = directory.snapshot(connection)
    opened = json.loads(load_ring(place.settings).decrypt(row["credentials"], place=f"integration:{row['id']}"))
    at = row["installed_at"]
    assert shop.refresh_token is not None
    assert opened == {
        "access_token": shop.token,
        "access_token_ends_at": to_json(at + timedelta(hours=1)),
        "refresh_token": shop.refresh_token,
        "refresh_token_ends_at": to_json(at + timedelta(days=90)),
    }
    assert (row["state"], row["installed_at"] is not None) == ("active", True)
    assert row["detail"] == {"scopes": sorted(place.settings.shopify_scopes.split(",")), "missingScopes": []}
    assert sorted(map(tuple, work)) == [(kind, "waiting", True) for kind in ("inquiry", "registration", "sync")]
    assert [deed.action for deed in deeds] == ["integration.connected"]
    shown = str(deeds) + str(listed) + str(done.headers) + place.get(browser, f"/shopify/{SHOP}").text
    assert shop.token not in shown
    assert shop.refresh_token not in shown
    assert directory.is_published(listed, place.queue)
    assert place.queue.llen(queues.UPSTREAM_QUEUE) == 1


def test_an_app_may_go_on_asking_for_a_token_that_does_not_end(place: Place) -> None:
    context = place.app.extensions[EXTENSION]
    settings = place.settings.model_copy(update={"shopify_expiring_tokens": False})
    place.app.extensions[EXTENSION] = replace(context, settings=settings)
    browser = place.browser()
    assert place.back(browser, place.shopify.callback_query(SHOP, place.begun(browser))).status_code == 303
    with transaction(place.engine) as connection:
        row = connection.execute(text("SELECT * FROM integrations")).mappings().one()
        [shown] = integrations.list_integrations(connection, context.ring, account_id=place.account)
    opened = integrations.open_credentials(context.ring, row["id"], row["credentials"])
    assert opened == {"access_token": place.shopify.shop(SHOP).token}
    assert (shown["has_credentials"], shown["credentials_end_at"]) == (True, None)


def test_the_cookies_are_httponly_secure_and_samesite(place: Place) -> None:
    browser = place.browser()
    login = place.get(browser, f"/shopify/{SHOP}/login")
    state = parse_qs(urlsplit(login.headers["Location"]).query)["state"][0]
    done = place.back(browser, place.shopify.callback_query(SHOP, state))
    set_ = [*login.headers.getlist("Set-Cookie"), *done.headers.getlist("Set-Cookie")]
    assert [cookie.partition("=")[0] for cookie in set_] == ["crossdock_oauth", "crossdock_shop", "crossdock_oauth"]
    for cookie in set_:
        assert {"HttpOnly", "Secure", "SameSite=Lax", "Path=/shopify"} <= set(cookie.split("; "))
    assert not [key for key in place.queue.scan_iter("crossdock:*") if state.encode() in key]


def test_the_page_of_a_shop_is_for_the_browser_that_connected_it(place: Place) -> None:
    browser = place.browser()
    assert place.back(browser, place.shopify.callback_query(SHOP, place.begun(browser))).status_code == 303
    page = place.get(browser, f"/shopify/{SHOP}")
    assert page.status_code == 200
    assert "Webhooks registered" in page.text
    nonce = re.search(r"style-src 'nonce-([^']+)'", page.headers["Content-Security-Policy"])
    assert nonce is not None
    assert f'<style nonce="{nonce[1]}">' in page.text
    with transaction(place.engine) as connection:
        connection.execute(text("UPDATE upstream_work SET state = 'done', result = '{\"leftOut\": {\"count\": 3}}'"))
    assert "3 could not be taken in" in place.get(browser, f"/shopify/{SHOP}").text
    assert place.code_of(place.get(place.browser(), f"/shopify/{SHOP}")) == "session_missing"
    assert place.code_of(place.get(browser, "/shopify/other.myshopify.com")) == "session_missing"


@pytest.mark.parametrize(
    "shop",
    [
        "acme.example.com",
        "acme.myshopify.com.evil.example",
        "acme.myshopify.com%0A",
        "-acme",
        "acme%2F..",
        "a@b",
        "%E2%84%AAettle",
    ],
)
def test_what_is_no_shop_goes_nowhere(place: Place, shop: str) -> None:
    response = place.get(place.browser(), f"/shopify/{shop}/login")
    assert "Location" not in response.headers
    assert response.status_code in (400, 404)


def test_a_shop_that_nobody_let_in_goes_nowhere_and_is_told_what_to_do(place: Place) -> None:
    response = place.get(place.browser(), "/shopify/stranger/login")
    assert (response.status_code, place.code_of(response)) == (404, "shop_not_found")
    assert "crossdock integrations add" in response.text


def test_a_source_that_takes_any_shop_takes_a_new_one(place: Place) -> None:
    with transaction(place.engine) as connection:
        connection.execute(text("UPDATE sources SET any_tenant = true"))
    browser = place.browser()
    place.shopify.shop("new.myshopify.com")
    query = place.shopify.callback_query("new.myshopify.com", place.begun(browser, "new"))
    assert place.back(browser, query).status_code == 303
    assert len([token for token in place.tokens() if token]) == 1


def claimed(place: Place, **more: Any) -> UUID:
    """Another account, whose source is of the same app and claims the shop."""
    ring, now = load_ring(place.settings), utc_now()
    with transaction(place.engine) as connection:
        other = accounts.create(connection, slug="mallory", title="Mallory <i>", now=now)["id"]
        source = sources.create(
            connection,
            ring,
            account_id=other,
            provider="shopify",
            path="mallory/shopify",
            secrets=[place.shopify.secret],
            now=now,
            **more,
        )[0]["id"]
        if not more:
            integrations.create(connection, ring, account_id=other, source_id=source, external_id=SHOP, now=now)
    return UUID(str(other))


def owners(place: Place) -> list[UUID]:
    """Whom the shop has let in."""
    with transaction(place.engine) as connection:
        query = "SELECT account_id FROM integrations WHERE credentials IS NOT NULL ORDER BY installed_at"
        return list(connection.execute(text(query)).scalars())


@pytest.mark.parametrize("how", [{}, {"any_tenant": True}])
@pytest.mark.parametrize("is_listed", [True, False])
def test_another_accounts_claim_to_a_shop_leads_nobody_there(
    place: Place, how: dict[str, Any], is_listed: bool
) -> None:
    if not is_listed:
        with transaction(place.engine) as connection:
            connection.execute(text("DELETE FROM integrations"))
            connection.execute(text("UPDATE sources SET any_tenant = true"))
    other = claimed(place, **how)
    response = place.get(place.browser(), f"/shopify/{SHOP}/login")
    assert (response.status_code, place.code_of(response)) == (409, "source_ambiguous")
    assert "?source=PATH" in response.text
    assert "mallory" not in response.text
    for path, whose, name in (("shopify", place.account, "Acme"), ("mallory/shopify", other, "Mallory &lt;i&gt;")):
        browser = place.browser()
        there = place.get(browser, f"/shopify/{SHOP}/login?source={path}")
        state = parse_qs(urlsplit(there.headers["Location"]).query)["state"][0]
        assert place.back(browser, place.shopify.callback_query(SHOP, state)).status_code == 303
        assert owners(place)[-1] == whose
        page = place.get(browser, f"/shopify/{SHOP}").text
        assert f"<b>{name}</b>" in page
        assert f"<code>{path}</code>" in page


def test_a_shop_that_is_connected_connects_again_whoever_else_claims_it(place: Place) -> None:
    browser = place.browser()
    assert place.back(browser, place.shopify.callback_query(SHOP, place.begun(browser))).status_code == 303
    claimed(place)
    link = login_url(place.settings, SHOP, source_path="shopify")  # the one that alerts give
    there = place.get(browser, link.removeprefix(CONSOLE))
    state = parse_qs(urlsplit(there.headers["Location"]).query)["state"][0]
    assert place.back(browser, place.shopify.callback_query(SHOP, state)).status_code == 303
    assert owners(place) == [place.account]


def test_of_one_accounts_sources_the_one_that_has_the_shop_goes_before_one_that_takes_any(place: Place) -> None:
    ring, now = load_ring(place.settings), utc_now()
    with transaction(place.engine) as connection:
        sources.create(
            connection, ring, account_id=place.account, provider="shopify", path="any", any_tenant=True, now=now
        )
    browser = place.browser()
    assert place.back(browser, place.shopify.callback_query(SHOP, place.begun(browser))).status_code == 303
    assert "<code>shopify</code>" in place.get(browser, f"/shopify/{SHOP}").text


def test_a_shop_that_a_person_switched_off_does_not_switch_itself_on(place: Place) -> None:
    browser = place.browser()
    state = place.begun(browser)
    with transaction(place.engine) as connection:
        connection.execute(text("UPDATE integrations SET state = 'disabled'"))
    assert place.code_of(place.get(place.browser(), f"/shopify/{SHOP}/login")) == "integration_disabled"
    assert place.code_of(place.back(browser, place.shopify.callback_query(SHOP, state))) == "integration_disabled"
    assert place.tokens() == [None]


def test_a_shop_that_was_thrown_out_connects_again_as_the_same_integration(place: Place) -> None:
    with transaction(place.engine) as connection:
        connection.execute(text("UPDATE integrations SET state = 'uninstalled'"))
    browser = place.browser()
    assert place.back(browser, place.shopify.callback_query(SHOP, place.begun(browser))).status_code == 303
    with transaction(place.engine) as connection:
        assert connection.execute(text("SELECT state FROM integrations")).scalars().all() == ["active"]


def test_a_nonce_is_good_once(place: Place) -> None:
    browser = place.browser()
    state = place.begun(browser)
    cookie = browser.get_cookie("crossdock_oauth", domain="console.example.com", path="/shopify")
    assert cookie is not None
    assert place.back(browser, place.shopify.callback_query(SHOP, state)).status_code == 303
    browser.set_cookie("crossdock_oauth", state, domain="console.example.com", path="/shopify")
    assert place.code_of(place.back(browser, place.shopify.callback_query(SHOP, state))) == "state_used"


def test_a_nonce_lives_ten_minutes(place: Place) -> None:
    place.begun(place.browser())
    [key] = place.queue.scan_iter("crossdock:oauth:*")
    assert 590 <= int(place.queue.ttl(key)) <= 600  # type: ignore[arg-type]


def test_another_browsers_answer_is_refused_and_does_not_use_the_nonce_up(place: Place) -> None:
    browser, attacker = place.browser(), place.browser()
    state = place.begun(browser)
    place.begun(attacker)
    query = place.shopify.callback_query(SHOP, state)
    assert place.code_of(place.back(attacker, query)) == "state_mismatch"
    assert place.code_of(place.back(place.browser(), query)) == "state_missing"
    assert place.tokens() == [None]
    assert place.back(browser, query).status_code == 303


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"hmac": "0" * 64}, "hmac_mismatch"),
        ({"hmac": ""}, "hmac_mismatch"),
        ({"hmac": "é"}, "hmac_mismatch"),
        ({"code": "another"}, "hmac_mismatch"),
        ({"more": "1"}, "hmac_mismatch"),
        ({"shop": "other.myshopify.com"}, "shop_mismatch"),
        ({"shop": "evil.example"}, "shop_malformed"),
        ({"state": ""}, "state_missing"),
    ],
)
def test_a_callback_that_was_changed_is_refused_before_anything_is_exchanged(
    place: Place, change: dict[str, str], code: str
) -> None:
    browser = place.browser()
    query = place.shopify.callback_query(SHOP, place.begun(browser))
    assert place.code_of(place.back(browser, query | change)) == code
    assert place.shopify.answered == []
    assert place.tokens() == [None]


def test_an_old_callback_is_refused(place: Place) -> None:
    browser = place.browser()
    old = str(int((utc_now() - timedelta(minutes=11)).timestamp()))
    query = place.shopify.callback_query(SHOP, place.begun(browser), timestamp=old)
    assert place.code_of(place.back(browser, query)) == "callback_expired"


def test_an_owner_who_does_not_agree_sees_how_to_begin_again(place: Place) -> None:
    browser = place.browser()
    query = place.shopify.callback_query(SHOP, place.begun(browser), code="")
    assert place.code_of(place.back(browser, query)) == "code_missing"


@pytest.mark.parametrize(
    ("status", "code"), [(400, "exchange_refused"), (200, "exchange_failed"), (500, "exchange_failed")]
)
def test_a_failed_exchange_leaves_nothing(place: Place, status: int, code: str) -> None:
    browser = place.browser()
    query = place.shopify.callback_query(SHOP, place.begun(browser))
    place.shopify.fail(status)
    response = place.back(browser, query)
    assert (response.status_code, place.code_of(response)) == (502, code)
    assert place.tokens() == [None]


def test_a_host_that_failed_again_and_again_is_not_asked_by_the_console_either(place: Place) -> None:
    def try_once() -> str:
        browser = place.browser()
        return place.code_of(place.back(browser, place.shopify.callback_query(SHOP, place.begun(browser))))

    place.shopify.fail(500, times=CIRCUIT_FAILURES)
    assert {try_once() for _ in range(CIRCUIT_FAILURES)} == {"exchange_failed"}
    asked = len(place.shopify.answered)
    assert (try_once(), len(place.shopify.answered)) == ("circuit_open", asked)
    place.queue.delete(queues.circuit(urlsplit(place.shopify.url).netloc))  # its time is over
    browser = place.browser()
    assert place.back(browser, place.shopify.callback_query(SHOP, place.begun(browser))).status_code == 303


def test_the_workers_see_what_the_console_counted(place: Place) -> None:
    browser = place.browser()
    place.shopify.fail(503)
    place.back(browser, place.shopify.callback_query(SHOP, place.begun(browser)))
    assert place.queue.get(queues.circuit(urlsplit(place.shopify.url).netloc)) == b"1"


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (QueueUnavailable("down"), 503, "unavailable"),
        (OperationalError("SELECT", {}, Exception("down")), 503, "unavailable"),
        (KeyError("shpat_secret"), 500, "internal"),
    ],
)
def test_our_own_trouble_is_a_page_too_and_says_nothing_secret(
    place: Place, monkeypatch: pytest.MonkeyPatch, failure: Exception, status: int, code: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise failure

    browser = place.browser()
    query = place.shopify.callback_query(SHOP, place.begun(browser))
    with monkeypatch.context() as patch:
        patch.setattr("shared.connections.connect", fail)
        response = place.back(browser, query)
        assert (response.status_code, place.code_of(response)) == (status, code)
        patch.setattr("shared.connections.find_source", fail)
        response = place.get(browser, f"/shopify/{SHOP}/login")
        assert (response.status_code, place.code_of(response)) == (status, code)
    assert "shpat_secret" not in response.text
    assert place.tokens() == [None]


@pytest.mark.parametrize("path", ["acme/login?source=%00", "%00/login", "callback?state=%00", "a%00"])
def test_a_link_that_no_database_can_look_up_is_answered_by_a_page(place: Place, path: str) -> None:
    response = place.get(place.browser(), f"/shopify/{path}")
    assert (response.status_code, place.code_of(response)) == (400, "nul_refused")
    assert "nonce=" in response.text


def test_whatever_else_a_link_carries_is_passed_over(place: Place) -> None:
    for query in ("?utm_source=mail&hmac=1&host=x", "?source=" + "x" * 5_000):
        response = place.get(place.browser(), f"/shopify/{SHOP}/login{query}")
        assert response.status_code == 303 or place.code_of(response) == "shop_not_found"


def test_scopes_that_were_not_granted_are_kept_and_shown(place: Place) -> None:
    place.shopify.granted = ("read_products", "write_inventory")
    browser = place.browser()
    there = place.get(browser, f"/shopify/{SHOP}/login").headers["Location"]
    back = requests.get(there, allow_redirects=False, timeout=5).headers["Location"]
    assert place.get(browser, back.removeprefix(CONSOLE)).status_code == 303
    page = place.get(browser, f"/shopify/{SHOP}").text
    assert "read_orders" in page
    assert "read_inventory" not in page


def test_a_rotated_secret_still_verifies_and_the_newest_exchanges(place: Place) -> None:
    ring, now = load_ring(place.settings), utc_now()
    with transaction(place.engine) as connection:
        sources.rotate(connection, ring, place.source, account_id=place.account, secret="newest", now=now)
    browser = place.browser()
    query = place.shopify.callback_query(SHOP, place.begun(browser))  # signed with the old one
    place.shopify.secret = "newest"
    assert place.back(browser, query).status_code == 303
