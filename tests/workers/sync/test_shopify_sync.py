"""A shop is read whole, however large, slow or forgetful it is; and what is read becomes documents and records."""

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from shared import integrations, sources
from shared.clock import after
from shared.db.engine import transaction
from shared.upstream_work import Kind
from tests import envelopes
from tests.doubles.shopify.shop import Bucket
from tests.workers.sync.conftest import SHOP, Rig
from workers.inbound.drain import drain
from workers.inbound.uninstall import Uninstalled, uninstall
from workers.sync.job import GoOn
from workers.sync.shopify_sync import sync
from workers.sync.upstream import Upstream, UpstreamFailed
from workers.sync.work import work


def document(rig: Rig, name: str) -> dict[str, Any]:
    [row] = rig.rows(f"SELECT * FROM documents WHERE path = 'users/{rig.account}/shopify/{SHOP}/{name}'")
    found: dict[str, Any] = json.loads(row["body"])
    return found


def on(rig: Rig, patience: int = 200) -> dict[str, Any]:
    """Do what is due, moving the clock, until the sync is done or failed."""
    for _ in range(patience):
        rig.run()
        standing = rig.standing(Kind.SYNC)
        if standing["state"] in ("done", "failed"):
            return standing
        rig.now = max(rig.now, standing["due_at"])
    raise AssertionError(standing)


def on_done(rig: Rig) -> dict[str, Any]:
    rig.ask(Kind.SYNC)
    result: dict[str, Any] = on(rig)["result"]
    return result


def test_everything_of_a_shop_is_read_though_lists_within_lists_go_on(rig: Rig) -> None:
    rig.shop.add_products(3, variants=2, levels=7, metafields=12)
    rig.shop.collections.append(
        {
            "id": "gid://shopify/Collection/1",
            "title": "All",
            "products": [{"id": one["id"]} for one in rig.shop.products] * 10,
        }
    )
    rig.shop.add_discount("DiscountAutomaticBasic")
    standing = rig.do(Kind.SYNC)
    assert standing["state"] == "done", standing
    counted = {"products": 3, "variants": 6, "inventoryLevels": 42, "collections": 1, "discounts": 1}
    assert counted.items() <= standing["result"].items()
    found = document(rig, "shop_products.json")
    assert [len(one["variants"]) for one in found["products"]] == [2, 2, 2]
    assert [len(one["metafields"]) for one in found["products"]] == [12, 12, 12]
    levels = [one["inventoryItem"]["inventoryLevels"] for product in found["products"] for one in product["variants"]]
    assert [len(one) for one in levels] == [7] * 6
    assert len(found["collections"][0]["products"]) == 30
    assert document(rig, "shop_metadata.json")["shop"]["myshopifyDomain"] == SHOP
    assert rig.rows("SELECT * FROM sync_pages") == []


def test_what_is_read_becomes_records_and_events_and_a_second_time_nothing(rig: Rig) -> None:
    rig.shop.add_products(2, levels=2)
    assert rig.do(Kind.SYNC)["result"]["events"] == 6
    [first, _] = rig.rows("SELECT * FROM products ORDER BY external_id::bigint")
    assert (first["title"], first["status"], first["tenant"]) == ("Kettle № 1", "active", SHOP)
    assert (first["variants"][0]["priceMinor"], first["variants"][0]["currency"]) == (1990, "EUR")
    assert rig.rows("SELECT settings FROM sources")[0]["settings"]["currencies"] == {SHOP: "EUR"}
    assert len(rig.rows("SELECT * FROM inventory_levels WHERE sku = 'K-1-0'")) == 2
    rig.forward(hours=1)
    assert rig.do(Kind.SYNC)["result"]["events"] == 0
    assert len(rig.rows("SELECT * FROM events")) == 6


def test_the_daily_reading_finds_what_webhooks_did_not_tell(rig: Rig) -> None:
    rig.shop.add_products(3)
    rig.do(Kind.SYNC)
    del rig.shop.products[0]
    rig.shop.products[0] |= {"title": "Renamed", "updatedAt": "2026-11-02T10:00:00Z"}
    rig.forward(hours=23)
    assert rig.run()["done"] == 0
    rig.forward(hours=2)
    rig.run()
    told = [envelopes.read(row["body"])["event"] for row in rig.rows("SELECT body FROM events ORDER BY id")]
    assert told[-2:] == ["product.updated", "product.deleted"]


def test_ten_thousand_products_are_read_within_what_the_shop_allows(rig: Rig) -> None:
    rig.shop.add_products(10_000, metafields=0)
    rig.shop.bucket = Bucket(maximum=1000.0, restore_rate=15_000.0, available=0.0)
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        time.sleep(seconds)  # as long as the shop says, which is milliseconds here

    rig.ask(Kind.SYNC)
    upstream = Upstream(rig.context.settings, rig.context.client, sleep=sleep)
    for _ in range(50):
        work(rig.context, clock=lambda: rig.now, upstream=upstream)
        standing = rig.standing(Kind.SYNC)
        if standing["state"] == "done":
            break
        assert standing["state"] == "waiting", standing
        rig.now = max(rig.now, standing["due_at"])
    counted = {"products": 10_000, "variants": 10_000, "inventoryLevels": 10_000}
    assert counted.items() <= standing["result"].items()
    assert len({one["id"] for one in document(rig, "shop_products.json")["products"]}) == 10_000
    assert rig.rows("SELECT count(*) AS n FROM products") == [{"n": 10_000}]
    assert waits
    # It waits for points before it asks, so it is hardly ever told to.
    assert rig.shop.throttled < 20
    assert len(rig.shop.calls) < 320


def test_a_shop_without_points_puts_the_sync_off_and_it_goes_on_from_the_same_page(rig: Rig) -> None:
    rig.shop.add_products(120)
    rig.shop.bucket = Bucket(maximum=1000.0, restore_rate=1.0, available=700.0)
    rig.ask(Kind.SYNC)
    assert rig.run()["continued"] == 1
    standing = rig.standing(Kind.SYNC)
    assert (standing["state"], standing["error"], standing["tries"]) == ("waiting", None, 0)
    assert 60 < (standing["due_at"] - rig.now).total_seconds() <= 61
    assert rig.rows("SELECT stage FROM sync_pages") == [{"stage": "shop"}, {"stage": "products"}]
    rig.shop.bucket = Bucket(maximum=20_000.0, restore_rate=1.0, available=20_000.0)
    asked = len(rig.shop.calls)
    assert on(rig)["result"]["products"] == 120
    assert rig.shop.calls[asked:].count("products") == 2


def test_a_429_in_the_middle_puts_the_sync_off_that_long_and_it_goes_on_from_the_same_page(rig: Rig) -> None:
    rig.shop.add_products(120)
    answered = rig.shopify.answered

    class Refusing(Upstream):
        def exchange(self, what: str, *args: Any, **kwargs: Any) -> Any:
            if what == "shopify.sync.variants" and not any(status == 429 for status in answered):
                rig.shopify.fail(429, Retry_After="120")
            return super().exchange(what, *args, **kwargs)

    rig.ask(Kind.SYNC)
    work(rig.context, clock=lambda: rig.now, upstream=Refusing(rig.context.settings, rig.context.client))
    standing = rig.standing(Kind.SYNC)
    assert (standing["state"], standing["tries"], standing["error"]) == ("waiting", 0, None)
    assert 120 <= (standing["due_at"] - rig.now).total_seconds() < 180
    read = rig.shop.calls.count("products")
    assert on(rig)["result"]["products"] == 120
    assert rig.shop.calls.count("products") == read  # none of those pages again


def test_a_worker_that_dies_leaves_whole_pages_and_the_next_goes_on(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.shop.add_products(120)
    rig.ask(Kind.SYNC)
    tables = list(range(3))

    def dying(*_: object, **__: object) -> None:
        if not tables:
            raise KeyboardInterrupt
        tables.pop()

    with monkeypatch.context() as patch:
        patch.setattr("shared.egress.calls._log.info", dying, raising=False)
        with pytest.raises(KeyboardInterrupt):
            rig.run()
    assert rig.standing(Kind.SYNC)["state"] == "running"
    assert rig.run()["done"] == 0  # its lease still stands
    rig.forward(seconds=91)
    asked = len(rig.shop.calls)
    rig.run()
    assert rig.standing(Kind.SYNC)["result"]["products"] == 120
    assert rig.shop.calls[asked:].count("products") < 3


def test_trouble_in_the_middle_is_tried_again_from_there(rig: Rig) -> None:
    rig.shop.add_products(60)
    rig.shopify.fail(200)  # the first answer has no data
    failed = rig.do(Kind.SYNC)
    assert (failed["state"], failed["error_code"]) == ("failed", "answer_malformed")
    rig.now = failed["due_at"]
    assert on(rig)["result"]["products"] == 60


@pytest.mark.parametrize(
    ("odd", "named"),
    [
        ({"title": {"no": "text"}}, ("product", "2")),
        ({"id": "gid://shopify/Product/" + "9" * 300}, ("product", "9" * 300)),
        ({"tags": 7}, ("product", "2")),
        ({"vendor": True}, ("product", "2")),
        ({"id": None}, ("product", "")),
    ],
)
def test_a_product_that_no_record_can_hold_is_left_out_and_named_and_the_rest_is_read(
    rig: Rig, odd: dict[str, Any], named: tuple[str, str]
) -> None:
    rig.shop.add_products(3)
    well = dict(rig.shop.products[1])
    rig.shop.products[1].update(odd)
    standing = rig.do(Kind.SYNC)
    assert (standing["state"], standing["error_code"]) == ("done", None), standing
    titles = [row["title"] for row in rig.rows("SELECT title FROM products ORDER BY external_id")]
    assert titles == ["Kettle № 1", "Kettle № 3"]
    left_out = standing["result"]["leftOut"]
    assert left_out["count"] == 1
    [one] = left_out["named"]
    assert (one["kind"], one["externalId"]) == named
    assert one["reason"]
    assert len(document(rig, "shop_products.json")["products"]) == 3  # as it was read
    [alert] = rig.rows("SELECT * FROM alerts")
    assert (alert["kind"], alert["severity"], alert["detail"]["count"]) == ("sync.incomplete", "warning", 1)

    rig.shop.products[1] = well
    rig.forward(hours=25)
    rig.run()
    assert rig.standing(Kind.SYNC)["result"]["leftOut"] == {"count": 0, "named": []}
    assert len(rig.rows("SELECT * FROM products WHERE deleted_at IS NULL")) == 3
    assert rig.rows("SELECT * FROM alerts WHERE resolved_at IS NULL") == []


def test_a_level_without_a_place_and_a_variant_without_a_product_cost_themselves_only(rig: Rig) -> None:
    rig.shop.add_products(3)
    rig.shop.products[0]["variants"][0]["inventoryItem"]["inventoryLevels"][0]["location"] = None
    rig.shop.products[1]["variants"][0]["product"] = None
    standing = rig.do(Kind.SYNC)
    assert standing["state"] == "done", standing
    left_out = standing["result"]["leftOut"]
    assert [one["kind"] for one in left_out["named"]] == ["inventory", "variant"]
    assert len(rig.rows("SELECT * FROM inventory_levels")) == 2
    variants = [len(row["variants"]) for row in rig.rows("SELECT variants FROM products ORDER BY external_id")]
    assert variants == [1, 0, 1]


def test_a_product_that_cannot_be_held_any_more_stays_as_we_know_it(rig: Rig) -> None:
    rig.shop.add_products(2)
    rig.do(Kind.SYNC)
    rig.shop.products[0].update({"title": ["Renamed"], "updatedAt": "2026-11-02T10:00:00Z"})
    rig.forward(hours=25)
    rig.run()
    rows = rig.rows("SELECT title, deleted_at FROM products ORDER BY external_id")
    assert [(row["title"], row["deleted_at"]) for row in rows] == [("Kettle № 1", None), ("Kettle № 2", None)]
    assert [row["type"] for row in rig.rows("SELECT type FROM events")].count("product.deleted") == 0


def test_a_level_that_postgresql_refuses_is_left_out_alone(rig: Rig) -> None:
    rig.execute("ALTER TABLE inventory_levels ADD CHECK (available <> 3)")
    rig.shop.add_products(7)
    result = rig.do(Kind.SYNC)["result"]
    assert result["leftOut"]["count"] == 1
    assert "CheckViolation" in result["leftOut"]["named"][0]["reason"]
    assert len(rig.rows("SELECT * FROM inventory_levels")) == 6
    assert len(rig.rows("SELECT * FROM products")) == 7


def test_of_many_that_are_left_out_all_are_counted_and_the_first_are_named(rig: Rig) -> None:
    rig.shop.add_products(700)
    for product in rig.shop.products[:600]:
        product["title"] = ["no text"]
    left_out = on_done(rig)["leftOut"]
    assert (left_out["count"], len(left_out["named"])) == (600, 20)
    assert rig.rows("SELECT count(*) AS n FROM products") == [{"n": 100}]


def test_a_stage_that_was_not_granted_is_left_out_and_named(rig: Rig) -> None:
    rig.shop.add_products(1)
    rig.shop.denied.add("discountNodes")
    result = rig.do(Kind.SYNC)["result"]
    assert list(result["skipped"]) == ["discounts"]
    assert document(rig, "shop_products.json")["skipped"] == result["skipped"]
    rig.shop.denied.add("products")
    assert rig.do(Kind.SYNC)["error_code"] == "access_denied"


def test_a_dead_token_ends_it_for_the_day_and_a_person_is_told(rig: Rig) -> None:
    rig.shop.token = "another"
    standing = rig.do(Kind.SYNC)
    assert (standing["state"], standing["error_code"]) == ("failed", "denied")
    assert standing["due_at"] == after(rig.now, 24 * 3600)
    [alert] = rig.rows("SELECT * FROM alerts")
    assert (alert["kind"], alert["severity"]) == ("sync.failing", "error")


def test_many_product_webhooks_have_the_shop_read_once(served: Rig) -> None:
    served.set(sync_debounce_seconds=30.0)
    served.do(Kind.REGISTRATION)
    served.shop.add_products(1)
    product = {
        "id": 1,
        "title": "Kettle",
        "created_at": "2026-11-01T10:00:00Z",
        "updated_at": "2026-11-01T10:00:00Z",
        "variants": [],
    }
    for _ in range(5):
        assert served.shop.tell("products/update", product) == [200]
    for shard in range(4):
        drain(served.context, shard, clock=lambda: served.now)
    assert served.standing(Kind.SYNC)["due_at"] == after(served.now, 30)
    served.shop.calls.clear()
    assert served.run() == {"done": 0, "continued": 0, "failed": 0}
    served.forward(seconds=31)
    assert served.run()["done"] == 1
    assert served.shop.calls.count("shop") == 1
    assert served.standing(Kind.SYNC)["due_at"] > after(served.now, 80_000)


def test_a_drain_and_a_sync_of_one_shop_lock_in_one_order_and_never_deadlock(served: Rig) -> None:
    product = {"id": 1, "title": "Kettle", "updated_at": "2026-11-01T10:00:00Z", "variants": []}

    def drain_all() -> None:
        for shard in range(4):
            drain(served.context, shard, clock=lambda: served.now)

    served.do(Kind.REGISTRATION)
    assert served.shop.tell("products/update", product) == [200]
    drain_all()
    assert served.shop.tell("products/update", product | {"updated_at": "2026-11-01T11:00:00Z"}) == [200]
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    with transaction(served.context.engine) as sync:
        sync.execute(text("SELECT 1 FROM upstream_work FOR UPDATE"))
        draining = threading.Thread(target=drain_all)
        draining.start()
        with served.context.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as looking:
            while draining.is_alive() and not looking.execute(waiting).scalar():
                pass
        # What the sync goes on to lock, the drain that waits for it does not hold.
        assert sync.execute(text("SELECT 1 FROM products FOR UPDATE NOWAIT")).scalar() == 1
    draining.join()
    [row] = served.rows("SELECT version FROM products")
    assert row["version"].hour == 11


def test_a_customers_webhook_has_nothing_read(served: Rig) -> None:
    served.do(Kind.REGISTRATION)
    served.shop.tell("customers/update", {"id": 1, "updated_at": "2026-11-01T10:00:00Z"})
    for shard in range(4):
        drain(served.context, shard)
    with transaction(served.context.engine):
        assert served.rows("SELECT * FROM upstream_work WHERE kind = 'sync'") == []


def test_what_a_person_sets_while_the_shops_currency_is_learned_is_not_lost(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person's change comes at the worst moment: if it can, then at once, and if the row is locked, afterwards."""
    real = sources.get

    def person() -> bool:
        with transaction(rig.context.engine) as connection:
            free = connection.execute(text("SELECT settings FROM sources FOR UPDATE SKIP LOCKED")).scalar()
            if free is None:
                return False
            currencies = {**free.get("currencies", {}), "other.myshopify.com": "JPY"}
            changes = {"settings": {**free, "currencies": currencies}}
            sources.change(connection, rig.source, account_id=rig.account, changes=changes, now=rig.now)
            return True

    is_done: list[bool] = []

    def disturbed(*args: Any, **more: Any) -> dict[str, Any]:
        row = real(*args, **more)
        is_done.append(person())
        return row

    with monkeypatch.context() as patch:
        patch.setattr("workers.sync.shopify_shop.sources.get", disturbed)
        rig.do(Kind.SYNC)
    assert len(is_done) == 1
    assert is_done[0] or person()
    [source] = rig.rows("SELECT settings FROM sources")
    assert source["settings"]["currencies"] == {SHOP: "EUR", "other.myshopify.com": "JPY"}


class _Disturbed(Upstream):
    """A worker's way out, before whose reading of variants something happens."""

    def __init__(self, rig: Rig, happens: Callable[[], None]) -> None:
        super().__init__(rig.context.settings, rig.context.client)
        self.happens = happens

    def exchange(self, what: str, *args: Any, **more: Any) -> Any:
        if what == "shopify.sync.variants":
            self.happens()
        return super().exchange(what, *args, **more)


def leave(rig: Rig) -> None:
    """The shop throws the app out, and its webhook says so."""
    rig.shop.throw_out()
    told = Uninstalled(rig.account, rig.source, "shopify", SHOP, rig.now, "told")
    with transaction(rig.context.engine) as connection:
        uninstall(connection, told, now=rig.now)


def open_alerts(rig: Rig) -> list[str]:
    return [row["kind"] for row in rig.rows("SELECT kind FROM alerts WHERE resolved_at IS NULL")]


def test_an_uninstall_in_the_middle_of_a_sync_leaves_no_alert_that_it_fails_and_no_pages(rig: Rig) -> None:
    rig.shop.add_products(3)
    rig.ask(Kind.SYNC)
    work(rig.context, clock=lambda: rig.now, upstream=_Disturbed(rig, lambda: leave(rig)))
    assert open_alerts(rig) == ["integration.uninstalled"]
    assert rig.rows("SELECT * FROM sync_pages") == []
    assert rig.standing(Kind.SYNC)["state"] == "waiting"
    assert rig.run() == {"done": 0, "continued": 0, "failed": 0}


def test_an_alert_that_a_sync_fails_ends_with_the_uninstall_that_was_its_reason(rig: Rig) -> None:
    rig.shop.throw_out()
    rig.do(Kind.SYNC)
    assert open_alerts(rig) == ["sync.failing"]
    leave(rig)
    assert open_alerts(rig) == ["integration.uninstalled"]


def test_what_was_read_before_the_shop_let_nobody_in_any_more_goes_with_it(rig: Rig) -> None:
    rig.shop.add_products(3)
    rig.ask(Kind.SYNC)
    work(rig.context, clock=lambda: rig.now, upstream=_Disturbed(rig, rig.shop.throw_out))
    assert rig.standing(Kind.SYNC)["state"] == "failed"
    assert rig.rows("SELECT * FROM sync_pages") != []
    leave(rig)
    rig.run()
    assert rig.rows("SELECT * FROM sync_pages") == []
    assert rig.rows("SELECT 1 FROM upstream_work WHERE progress IS NOT NULL OR state = 'running'") == []


def test_a_failure_does_not_wait_for_who_connects_the_shop_anew_and_is_told_once_they_have(rig: Rig) -> None:
    rig.shop.throw_out()
    rig.ask(Kind.SYNC)
    with rig.context.engine.begin() as connecting:
        connecting.execute(text("SELECT 1 FROM integrations FOR UPDATE"))
        rig.run()
        assert rig.standing(Kind.SYNC)["state"] == "running"
    rig.forward(seconds=91)
    rig.run()
    assert rig.standing(Kind.SYNC)["state"] == "failed"
    assert open_alerts(rig) == ["sync.failing"]


def test_a_shop_that_leaves_while_its_sync_waits_and_comes_back_is_read_anew_and_whole(rig: Rig) -> None:
    rig.shop.add_products(3)
    rig.do(Kind.SYNC)

    def stumble() -> None:
        raise UpstreamFailed("throttled", "later", wait_seconds=300)

    rig.ask(Kind.SYNC)
    work(rig.context, clock=lambda: rig.now, upstream=_Disturbed(rig, stumble))
    assert rig.rows("SELECT * FROM sync_pages") != []
    leave(rig)
    rig.run()
    assert rig.rows("SELECT * FROM sync_pages") == []
    rig.forward(hours=1)
    rig.shop.token = "shpat_good"
    with transaction(rig.context.engine) as connection:
        changes = {"state": "active", "credentials": {"access_token": "shpat_good"}}
        ring = rig.context.ring
        integrations.change(connection, ring, rig.integration, account_id=rig.account, changes=changes, now=rig.now)
    assert on_done(rig)["products"] == 3
    assert rig.rows("SELECT * FROM products WHERE deleted_at IS NOT NULL") == []


def test_a_worker_whose_work_was_given_up_by_another_settles_nothing(rig: Rig) -> None:
    rig.shop.add_products(3)

    def let_go() -> None:
        rig.execute("UPDATE integrations SET state = 'disabled'")
        rig.run()  # another worker looks
        rig.execute("UPDATE integrations SET state = 'active'")

    rig.ask(Kind.SYNC)
    job = rig.claimed(Kind.SYNC, upstream=_Disturbed(rig, let_go))
    assert isinstance(sync(job), GoOn)
    assert (rig.rows("SELECT path FROM documents"), rig.rows("SELECT * FROM sync_pages")) == ([], [])
    assert on_done(rig)["products"] == 3
