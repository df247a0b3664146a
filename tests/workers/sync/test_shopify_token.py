"""A shop's token is renewed before it ends, by one at a time, and whatever happens meanwhile no pair is lost."""

import json
import threading
from datetime import timedelta
from typing import Any

import pytest
import structlog
from sqlalchemy import text

from shared import alerts, connections, integrations
from shared.clock import after, to_json
from shared.db.engine import transaction
from shared.ids import new_id
from shared.shopify_grant import Grant, grant_of, read_grant
from shared.upstream_work import Kind
from tests.workers.sync.conftest import SHOP, Rig
from workers.sync import shopify_token, token_lock
from workers.sync.claims import Claim
from workers.sync.job import Job
from workers.sync.shopify_token import ShopToken

LOGIN = "https://console.example.com/shopify/acme.myshopify.com/login?source=shopify"
WAITERS = text("""
SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database AND d.datname = current_database()
WHERE l.locktype = 'advisory' AND NOT l.granted
""")


class Died(BaseException):
    """What kill -9 is to a test: nothing of ours catches it."""


def connect(rig: Rig) -> None:
    """The shop's owner agrees, and its token is one that ends."""
    grant = read_grant(rig.shop.grant(rig.now, expiring=True), now=rig.now)
    assert grant is not None
    ring = rig.context.ring
    with transaction(rig.context.engine) as connection:
        connections.connect(
            connection,
            ring,
            connections.joinable(connection, ring, rig.source, now=rig.now),
            tenant=SHOP,
            credentials=grant.credentials(),
            detail={},
            work=(),
            actor="test",
            now=rig.now,
        )


def kept(rig: Rig) -> Grant | None:
    [row] = rig.rows("SELECT id, credentials FROM integrations")
    return grant_of(integrations.open_credentials(rig.context.ring, row["id"], row["credentials"]))


def is_current(rig: Rig) -> bool:
    """Whether the pair that is kept is the one that the shop takes."""
    grant = kept(rig)
    return grant is not None and (grant.access_token, grant.refresh_token) == (rig.shop.token, rig.shop.refresh_token)


def open_alerts(rig: Rig) -> list[tuple[str, str, str]]:
    with transaction(rig.context.engine) as connection:
        rows = alerts.list_alerts(connection, account_id=rig.account, is_open=True)
    return [(row["kind"], row["severity"], row["message"]) for row in rows]


def job_of(rig: Rig) -> Job:
    return rig.job(Claim(new_id(), rig.integration, Kind.SYNC, 0, None, {}))


@pytest.fixture
def shop(rig: Rig) -> Rig:
    """A shop of an app that asks for tokens that end."""
    rig.set(shopify_client_id=rig.shopify.client_id, console_url="https://console.example.com/")
    rig.shopify.clock = lambda: rig.now
    rig.shopify.is_public_app = True
    connect(rig)
    return rig


@pytest.mark.parametrize(("minutes", "renewals"), [(0, 0), (54, 0), (55, 1), (60, 1), (43_200, 1)])
def test_a_token_is_renewed_before_it_ends_and_not_sooner(shop: Rig, minutes: int, renewals: int) -> None:
    shop.forward(minutes=minutes)
    assert shop.do(Kind.SYNC)["state"] == "done"
    assert shop.shop.renewals == renewals
    assert 401 not in shop.shopify.answered
    assert is_current(shop)


def test_a_renewed_pair_is_sealed_and_shown_by_nothing_but_when_it_ends(shop: Rig) -> None:
    shop.forward(hours=2)
    with structlog.testing.capture_logs() as logged:
        shop.do(Kind.SYNC)
    [row] = shop.rows("SELECT * FROM integrations")
    with transaction(shop.context.engine) as connection:
        shown = integrations.get(connection, shop.context.ring, shop.integration, account_id=None)
    assert shown["credentials_end_at"] == (shop.now + timedelta(days=90)).replace(
        microsecond=shop.now.microsecond // 1000 * 1000
    )
    told = repr(logged) + repr(row) + repr(shown) + repr(shop.rows("SELECT * FROM audit_log"))
    assert shop.shop.token is not None
    assert shop.shop.refresh_token is not None
    assert shop.shop.token not in told
    assert shop.shop.refresh_token not in told
    [line] = [line for line in logged if line["event"] == "token.renewed"]
    assert (line["is_kept"], line["ends_at"]) == (True, to_json(shop.now + timedelta(hours=1)))


def test_a_token_that_the_shop_refuses_before_its_time_is_renewed_once(shop: Rig) -> None:
    shop.shop.token = "shpat_of_nobody"
    assert shop.do(Kind.SYNC)["state"] == "done"
    assert (shop.shop.renewals, shop.shopify.answered.count(401), is_current(shop)) == (1, 1, True)


def test_a_shop_that_refuses_the_next_token_too_is_asked_no_more_that_day(
    shop: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shop.shop, "takes", lambda *_: False)
    failed = shop.do(Kind.SYNC)
    assert (failed["state"], failed["error_code"]) == ("failed", "denied")
    assert failed["due_at"] == after(shop.now, 24 * 3600)
    assert (shop.shop.renewals, shop.shopify.answered) == (1, [401, 200, 401])


def test_a_token_that_does_not_end_is_not_renewed(rig: Rig) -> None:
    rig.shop.token = "shpat_of_nobody"
    assert rig.do(Kind.SYNC)["error_code"] == "denied"
    assert rig.shopify.answered == [401]


def test_a_refused_refresh_says_what_to_do_and_is_not_tried_again(shop: Rig) -> None:
    shop.shop.throw_out()
    shop.forward(hours=2)
    failed = shop.do(Kind.SYNC)
    assert (failed["state"], failed["error_code"], failed["due_at"]) == ("failed", "refresh_refused", None)
    assert LOGIN in failed["error"]
    [(kind, severity, message)] = open_alerts(shop)
    assert (kind, severity, LOGIN in message) == ("sync.failing", "error", True)
    assert shop.shopify.answered == [400]
    # A webhook that asks for the work again has nothing sent: the refresh token is forgotten.
    assert shop.do(Kind.SYNC)["error_code"] == "refresh_refused"
    assert shop.shopify.answered == [400]
    grant = kept(shop)
    assert grant is not None
    assert (grant.refresh_token, grant.is_refused) == (None, True)


def test_a_refresh_token_that_has_ended_is_not_even_sent(shop: Rig) -> None:
    shop.forward(days=90)
    failed = shop.do(Kind.SYNC)
    assert (failed["error_code"], failed["due_at"], LOGIN in failed["error"]) == ("refresh_ended", None, True)
    assert shop.shopify.answered == []
    assert [alert[:2] for alert in open_alerts(shop)] == [("sync.failing", "error")]


@pytest.mark.parametrize("days", [1, 91])
def test_connecting_again_mends_it(shop: Rig, days: int) -> None:
    old = shop.shop.refresh_token
    if days == 1:
        shop.shop.throw_out()
    shop.forward(days=days)
    assert shop.do(Kind.SYNC)["state"] == "failed"
    connect(shop)
    assert shop.do(Kind.SYNC)["state"] == "done"
    assert (open_alerts(shop), is_current(shop), shop.shop.refresh_token != old) == ([], True, True)


def test_a_wrong_client_secret_does_not_cost_the_refresh_token(shop: Rig) -> None:
    secret, shop.shopify.secret = shop.shopify.secret, "rotated"
    shop.forward(hours=2)
    failed = shop.do(Kind.SYNC)
    assert (failed["error_code"], failed["due_at"]) == ("renewal_denied", after(shop.now, 24 * 3600))
    assert "newest secret" in failed["error"]
    assert is_current(shop)
    shop.shopify.secret = secret
    assert shop.do(Kind.SYNC)["state"] == "done"


def test_without_the_apps_id_nothing_is_sent(shop: Rig) -> None:
    shop.set(shopify_client_id="")
    shop.forward(hours=2)
    assert shop.do(Kind.SYNC)["error_code"] == "app_unknown"
    assert (shop.shopify.answered, is_current(shop)) == ([], True)


@pytest.mark.parametrize(("status", "code"), [(503, "server_error"), (200, "answer_malformed")])
def test_trouble_that_passes_is_tried_again_with_the_same_refresh_token(shop: Rig, status: int, code: str) -> None:
    shop.forward(hours=2)
    shop.shopify.fail(status)
    failed = shop.do(Kind.SYNC)
    assert (failed["error_code"], failed["due_at"]) == (code, shop.now + timedelta(minutes=1))
    assert (shop.shop.renewals, is_current(shop)) == (0, True)
    shop.now = failed["due_at"]
    shop.run()
    assert (shop.standing(Kind.SYNC)["state"], shop.shop.renewals) == ("done", 1)


def test_a_shop_that_is_asked_too_often_is_left_alone_for_a_minute(shop: Rig) -> None:
    shop.forward(hours=2)
    shop.shopify.fail(429)
    put_off = shop.do(Kind.SYNC)
    assert (put_off["state"], put_off["due_at"] >= shop.now + timedelta(minutes=1)) == ("waiting", True)
    assert (shop.shopify.answered, open_alerts(shop), is_current(shop)) == ([429], [], True)
    shop.now = put_off["due_at"]
    shop.run()
    assert shop.standing(Kind.SYNC)["state"] == "done"


def test_of_two_who_find_the_token_ended_one_renews_it_and_both_have_it(shop: Rig) -> None:
    shop.forward(hours=2)
    tokens = [ShopToken(job_of(shop)), ShopToken(job_of(shop))]
    came: list[str] = []

    def wait_for_the_other() -> None:
        # The answer is held back until the other one is known to wait.
        while True:
            with transaction(shop.context.engine) as connection:
                if connection.execute(WAITERS).scalar():
                    return

    shop.shopify.before_renewal = wait_for_the_other
    threads = [threading.Thread(target=lambda token=token: came.append(token.fresh())) for token in tokens]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert came == [shop.shop.token] * 2
    assert (shop.shop.renewals, is_current(shop)) == (1, True)


def test_two_whose_token_was_refused_renew_it_once(shop: Rig) -> None:
    first, second = ShopToken(job_of(shop)), ShopToken(job_of(shop))
    assert first.renewed() == second.renewed() == shop.shop.token
    assert shop.shop.renewals == 1


def test_who_waits_too_long_for_the_other_puts_its_work_off(shop: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_lock, "WAIT_SECONDS", 0.01)
    shop.forward(hours=2)
    with token_lock.token_lock(shop.context.engine, shop.integration):
        failed = shop.do(Kind.SYNC)
    assert (failed["error_code"], failed["due_at"]) == ("renewal_busy", shop.now + timedelta(minutes=1))
    assert shop.shopify.answered == []
    assert shop.do(Kind.SYNC)["state"] == "done"


@pytest.mark.parametrize(("is_forgiving", "state"), [(True, "done"), (False, "failed")])
def test_who_dies_between_the_answer_and_the_commit_loses_nothing_that_shopify_gives_twice(
    shop: Rig, monkeypatch: pytest.MonkeyPatch, *, is_forgiving: bool, state: str
) -> None:
    def die(*_: Any, **__: Any) -> bool:
        raise Died

    shop.shopify.is_forgiving = is_forgiving
    shop.forward(hours=2)
    with monkeypatch.context() as patch:
        patch.setattr(shopify_token, "renew_credentials", die)
        with pytest.raises(Died):
            shop.do(Kind.SYNC)
    assert (shop.shop.renewals, is_current(shop)) == (1, False)
    shop.forward(seconds=shop.context.settings.lease_seconds)
    shop.run()
    standing = shop.standing(Kind.SYNC)
    assert standing["state"] == state
    assert is_current(shop) is is_forgiving
    assert is_forgiving or (standing["error_code"], LOGIN in standing["error"]) == ("refresh_refused", True)


@pytest.mark.parametrize("is_forgiving", [True, False])
def test_a_shop_that_is_connected_again_meanwhile_has_its_new_pair_kept(shop: Rig, *, is_forgiving: bool) -> None:
    """Whether the old refresh token is then refused, or still gives a pair that nobody keeps."""
    old = shop.shop.refresh_token

    def agree() -> None:
        connect(shop)
        shop.shop.used = old

    shop.shopify.is_forgiving = is_forgiving
    shop.shopify.before_renewal = agree
    shop.forward(hours=2)
    shop.do(Kind.SYNC)
    grant = kept(shop)
    assert grant is not None
    assert (grant.is_refused, grant.refresh_token != old) == (False, True)
    assert shop.rows("SELECT state FROM integrations") == [{"state": "active"}]
    if not is_forgiving:
        assert (shop.standing(Kind.SYNC)["state"], is_current(shop)) == ("done", True)


def test_a_shop_that_is_let_go_meanwhile_has_nothing_kept_of_it(shop: Rig) -> None:
    wipe = "UPDATE integrations SET state = 'uninstalled', credentials = NULL"
    shop.shopify.before_renewal = lambda: shop.execute(wipe)
    shop.forward(hours=2)
    standing = shop.do(Kind.SYNC)
    assert (standing["state"], standing["error_code"]) == ("waiting", None)
    assert shop.rows("SELECT progress FROM upstream_work WHERE progress IS NOT NULL") == []
    assert shop.rows("SELECT * FROM alerts") == []
    assert shop.rows("SELECT credentials FROM integrations") == [{"credentials": None}]
    with transaction(shop.context.engine) as connection:
        shown = integrations.get(connection, shop.context.ring, shop.integration, account_id=None)
    assert (shown["has_credentials"], shown["credentials_end_at"]) == (False, None)


def test_the_refused_and_the_kept_are_read_back_as_they_were(shop: Rig) -> None:
    for grant in (
        Grant("secret a"),
        Grant("secret a", shop.now.replace(microsecond=0), is_refused=True),
        Grant("secret a", shop.now.replace(microsecond=0), "secret r", shop.now.replace(microsecond=5000)),
    ):
        assert grant_of(json.loads(json.dumps(grant.credentials()))) == grant
        assert "secret" not in repr(grant)
