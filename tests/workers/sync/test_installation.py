"""A shop that somebody says is gone is asked: who takes our token has the app, and who does not has not."""

from datetime import timedelta
from typing import Any

import pytest

from shared import integrations
from shared.db.engine import transaction
from shared.shopify_grant import read_grant
from shared.upstream_work import Kind
from tests.workers.sync.conftest import SHOP, Rig
from workers.inbound.drain import drain
from workers.privacy.run import run

BODY: dict[str, Any] = {"id": 1, "shop_owner": "Zoë", "updated_at": "2026-11-01T10:00:00Z"}
REDACT = {"shop_id": 1, "shop_domain": SHOP}


@pytest.fixture
def shop(served: Rig) -> Rig:
    """A shop that was connected long ago, with everything registered."""
    served.set(sync_debounce_seconds=30.0)
    served.do(Kind.REGISTRATION)
    served.execute("UPDATE integrations SET created_at = '2026-10-01', installed_at = '2026-10-01'")
    for topic in ("APP_UNINSTALLED", "SHOP_REDACT"):  # the second is set in the app's own settings
        served.shop.subscribe(topic, served.shop.subscriptions[0]["uri"])
    return served


def tell(rig: Rig, topic: str, body: dict[str, Any]) -> None:
    assert set(rig.shop.tell(topic, body)) == {200}
    for shard in range(4):
        drain(rig.context, shard, clock=lambda: rig.now)


def replay(rig: Rig) -> None:
    """What somebody makes of a captured shop/update."""
    tell(rig, "shop/update", BODY)
    tell(rig, "app/uninstalled", BODY)


def ask(rig: Rig) -> dict[str, Any]:
    rig.forward(minutes=1)
    rig.run()
    return rig.standing(Kind.INQUIRY)


def integration(rig: Rig) -> tuple[str, bool]:
    [row] = rig.rows("SELECT * FROM integrations")
    return row["state"], row["credentials"] is not None


def alerts(rig: Rig) -> list[str]:
    return [row["kind"] for row in rig.rows("SELECT kind FROM alerts WHERE resolved_at IS NULL")]


def test_a_shop_that_takes_the_token_stays_and_somebody_is_told(shop: Rig) -> None:
    replay(shop)
    assert ask(shop)["state"] == "done"
    assert integration(shop) == ("active", True)
    assert alerts(shop) == ["integration.doubted"]
    assert shop.rows("SELECT * FROM inquiries") == []


def test_a_shop_that_does_not_take_it_is_let_go(shop: Rig) -> None:
    tell(shop, "shop/update", BODY)
    shop.shop.token = None
    tell(shop, "app/uninstalled", BODY)
    assert integration(shop) == ("active", True)
    ask(shop)
    assert integration(shop) == ("uninstalled", False)
    assert "integration.uninstalled" in alerts(shop)
    [entry] = shop.rows("SELECT reason FROM audit_log WHERE action = 'integration.uninstalled'")
    assert entry["reason"] == "the shop does not take the token"


def expire(rig: Rig, **by: float) -> None:
    """The shop's token is one that ends, and has."""
    rig.set(shopify_client_id=rig.shopify.client_id)
    rig.shopify.clock = lambda: rig.now
    grant = read_grant(rig.shop.grant(rig.now, expiring=True), now=rig.now)
    assert grant is not None
    changes = {"credentials": grant.credentials()}
    with transaction(rig.context.engine) as connection:
        integrations.change(
            connection, rig.context.ring, rig.integration, account_id=rig.account, changes=changes, now=rig.now
        )
    rig.forward(**by)


def test_a_shop_that_renews_the_token_stays(shop: Rig) -> None:
    expire(shop, hours=2)
    replay(shop)
    assert ask(shop)["state"] == "done"
    assert (integration(shop), alerts(shop)) == (("active", True), ["integration.doubted"])


def test_a_shop_that_does_not_renew_it_is_let_go(shop: Rig) -> None:
    expire(shop, hours=2)
    tell(shop, "shop/update", BODY)
    shop.shop.throw_out()
    tell(shop, "app/uninstalled", BODY)
    ask(shop)
    assert integration(shop) == ("uninstalled", False)


def test_a_token_that_ended_by_itself_proves_nothing_and_nothing_is_erased(shop: Rig) -> None:
    expire(shop, days=91)
    tell(shop, "shop/redact", REDACT)
    assert ask(shop)["error_code"] == "refresh_ended"
    assert integration(shop) == ("active", True)
    assert alerts(shop) == ["registration.failing", "inquiry.failing"]
    assert run(shop.context, now=shop.now)["erasures"] == 0


def test_what_nobody_could_ask_is_asked_when_the_shop_is_connected_again(shop: Rig) -> None:
    expire(shop, days=91)
    tell(shop, "shop/redact", REDACT)
    assert ask(shop)["error_code"] == "refresh_ended"
    expire(shop)
    shop.execute("UPDATE integrations SET installed_at = :at", at=shop.now)
    assert shop.do(Kind.INQUIRY)["state"] == "done"
    assert "inquiry.failing" not in alerts(shop)
    assert [row["state"] for row in shop.rows("SELECT state FROM erasures")] == ["refused"]


def test_a_shop_that_cannot_be_reached_is_asked_again_and_stays_until_then(shop: Rig) -> None:
    replay(shop)
    shop.shopify.fail(500, times=3)
    failed = ask(shop)
    assert (failed["error_code"], integration(shop)) == ("server_error", ("active", True))
    shop.now = failed["due_at"]
    shop.run()
    assert alerts(shop) == ["integration.doubted"]


def test_of_a_shop_that_takes_the_token_nothing_is_erased(shop: Rig) -> None:
    tell(shop, "shop/redact", REDACT)
    assert run(shop.context, now=shop.now)["erasures"] == 0
    ask(shop)
    [erasure] = shop.rows("SELECT state, finished_at FROM erasures")
    assert erasure["state"] == "refused"
    assert alerts(shop) == ["integration.doubted"]
    assert [row["action"] for row in shop.rows("SELECT action FROM audit_log WHERE action LIKE 'erasure%'")] == [
        "erasure.refused"
    ]
    assert run(shop.context, now=shop.now)["erasures"] == 0


def test_of_a_shop_that_does_not_everything_is(shop: Rig) -> None:
    shop.shop.token = None
    tell(shop, "shop/redact", REDACT)
    ask(shop)
    assert integration(shop) == ("uninstalled", False)
    assert run(shop.context, now=shop.now)["erasures"] == 1
    assert [row["state"] for row in shop.rows("SELECT state FROM erasures")] == ["done"]


@pytest.mark.parametrize(
    "how",
    ["UPDATE integrations SET state = 'disabled'", "DELETE FROM integrations", "UPDATE sources SET provider = 'x'"],
)
def test_a_shop_that_is_let_go_otherwise_holds_up_no_erasure(shop: Rig, how: str) -> None:
    tell(shop, "shop/redact", REDACT)
    shop.execute(how)
    assert run(shop.context, now=shop.now)["erasures"] == 1


def test_what_was_told_before_the_shop_came_back_is_no_replay(shop: Rig) -> None:
    replay(shop)
    shop.execute("UPDATE integrations SET installed_at = :at", at=shop.now + timedelta(days=1))
    ask(shop)
    assert (integration(shop), alerts(shop)) == (("active", True), [])
    assert shop.rows("SELECT * FROM inquiries") == []
