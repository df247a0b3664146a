"""A shop is read in slices as short as they must be: the time of an order may end after any answer."""

import json
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded

from shared.upstream_work import Kind
from tests.doubles.shopify.shop import Bucket
from tests.workers.sync.conftest import Rig
from tests.workers.sync.test_shopify_sync import document
from workers import stopping
from workers.sync import claims
from workers.sync.upstream import Upstream
from workers.sync.work import work

CALLS = 30


@pytest.fixture
def short(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Rig:
    """A rig whose orders end after thirty calls of the shop."""
    rig.shop.bucket = Bucket(maximum=1e6, available=1e6)
    begun = [0]

    def run() -> dict[str, int]:
        begun[0] = len(rig.shop.calls)
        return Rig.run(rig)

    monkeypatch.setattr(stopping, "is_stopping", lambda: len(rig.shop.calls) - begun[0] >= CALLS)
    monkeypatch.setattr(rig, "run", run)
    return rig


def orders_until_done(rig: Rig, most: int) -> int:
    """How many orders it took."""
    rig.ask(Kind.SYNC)
    for number in range(1, most + 1):
        before = len(rig.shop.calls)
        rig.run()
        assert len(rig.shop.calls) - before <= CALLS
        standing = rig.standing(Kind.SYNC)
        if standing["state"] == "done":
            return number
        assert (standing["state"], standing["tries"], standing["error"]) == ("waiting", 0, None)
        rig.now = max(rig.now, standing["due_at"])
    raise AssertionError(standing)


def test_a_page_whose_lists_take_longer_than_an_order_may_is_read_over_several(short: Rig) -> None:
    short.shop.add_products(100, levels=6)
    assert orders_until_done(short, most=6) > 3
    assert short.standing(Kind.SYNC)["result"]["inventoryLevels"] == 600
    assert short.shop.calls.count("inventoryItem") == 100  # none of them twice
    variants = [one for product in document(short, "shop_products.json")["products"] for one in product["variants"]]
    assert all(len({level["id"] for level in one["inventoryItem"]["inventoryLevels"]}) == 6 for one in variants)
    assert short.rows("SELECT count(*) AS n FROM inventory_levels") == [{"n": 600}]


def test_one_list_that_takes_longer_than_an_order_may_is_read_over_several_and_in_its_order(short: Rig) -> None:
    members = [{"id": f"gid://shopify/Product/{number}"} for number in range(10_000)]
    for number in (1, 2):
        title = f"Collection {number}"
        short.shop.collections.append(
            {"id": f"gid://shopify/Collection/{number}", "title": title, "products": members[number:]}
        )
    assert orders_until_done(short, most=5) > 2
    found = document(short, "shop_products.json")["collections"]
    assert [[one["id"] for one in collection["products"]] for collection in found] == [
        [one["id"] for one in members[number:]] for number in (1, 2)
    ]
    assert short.shop.calls.count("collection") == 80  # none of them twice


def test_a_worker_that_dies_within_a_page_leaves_the_lists_that_were_read(rig: Rig) -> None:
    rig.shop.add_products(20, levels=6)
    calls = list(range(12))

    class Dying(Upstream):
        def exchange(self, what: str, *args: Any, **kwargs: Any) -> Any:
            if what == "shopify.sync.inventoryItem.inventoryLevels" and not (calls and calls.pop()):
                raise KeyboardInterrupt
            return super().exchange(what, *args, **kwargs)

    rig.ask(Kind.SYNC)
    with pytest.raises(KeyboardInterrupt):
        work(rig.context, clock=lambda: rig.now, upstream=Dying(rig.context.settings, rig.context.client))
    rig.forward(seconds=91)
    rig.run()
    assert rig.standing(Kind.SYNC)["result"]["inventoryLevels"] == 120
    assert rig.shop.calls.count("inventoryItem") == 20
    assert rig.shop.calls.count("productVariants") == 1


def test_a_shop_without_points_within_a_page_puts_the_sync_off_and_it_goes_on_from_the_same_list(rig: Rig) -> None:
    rig.shop.add_products(20, levels=6)
    # The variants' page costs 601, and a list within it 101.
    rig.shop.bucket = Bucket(maximum=2000.0, restore_rate=1.0, available=1850.0)
    rig.ask(Kind.SYNC)
    assert rig.run()["continued"] == 1
    read = rig.shop.calls.count("inventoryItem")
    assert 0 < read < 20
    rig.shop.bucket = Bucket(maximum=20_000.0, available=20_000.0)
    rig.now = rig.standing(Kind.SYNC)["due_at"]
    rig.run()
    assert rig.standing(Kind.SYNC)["result"]["inventoryLevels"] == 120
    assert rig.shop.calls.count("inventoryItem") == 20


def test_what_had_a_list_and_is_gone_before_the_list_was_whole_costs_nothing_else(rig: Rig) -> None:
    rig.shop.add_products(3, levels=6)
    gone = rig.shop.products[1]["variants"][0]

    class Deleting(Upstream):
        def exchange(self, what: str, *args: Any, **kwargs: Any) -> Any:
            if what == "shopify.sync.inventoryItem.inventoryLevels":
                rig.shop.products[1]["variants"] = []
            return super().exchange(what, *args, **kwargs)

    rig.ask(Kind.SYNC)
    work(rig.context, clock=lambda: rig.now, upstream=Deleting(rig.context.settings, rig.context.client))
    assert rig.standing(Kind.SYNC)["result"]["inventoryLevels"] == 17
    assert gone["id"] in json.dumps(document(rig, "shop_products.json"))


def test_a_worker_that_dies_after_the_documents_were_written_leaves_nothing_to_do_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.shop.add_products(2)
    with monkeypatch.context() as patch:
        patch.setattr("workers.sync.shopify_sync.Done", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        rig.ask(Kind.SYNC)
        with pytest.raises(KeyboardInterrupt):
            rig.run()
    calls = len(rig.shop.calls)
    rig.forward(seconds=91)
    rig.run()
    standing = rig.standing(Kind.SYNC)
    assert (standing["state"], standing["result"]["products"], len(rig.shop.calls)) == ("done", 2, calls)
    assert len(document(rig, "shop_products.json")["products"]) == 2


def test_work_that_celery_stops_for_its_time_is_a_failed_try_and_a_person_is_told(rig: Rig) -> None:
    rig.shop.add_products(1)

    class Slow(Upstream):
        def exchange(self, what: str, *args: Any, **kwargs: Any) -> Any:
            if what == "shopify.sync.variants":
                raise SoftTimeLimitExceeded
            return super().exchange(what, *args, **kwargs)

    rig.ask(Kind.SYNC)
    for tries in range(1, len(claims.RETRY_SECONDS) + 1):
        assert rig.rows("SELECT * FROM alerts") == []
        assert rig.shop.calls.count("products") <= 1  # it goes on from where it had come to
        slow = Slow(rig.context.settings, rig.context.client)
        assert work(rig.context, clock=lambda: rig.now, upstream=slow)["failed"] == 1
        standing = rig.standing(Kind.SYNC)
        assert (standing["state"], standing["error_code"], standing["tries"]) == ("failed", "out_of_time", tries)
        rig.now = standing["due_at"]
    [alert] = rig.rows("SELECT * FROM alerts")
    assert (alert["kind"], alert["severity"], alert["detail"]["code"]) == ("sync.failing", "warning", "out_of_time")
    rig.run()
    assert rig.shop.calls.count("products") == 2  # but not from what is six hours old by now
    assert rig.rows("SELECT * FROM alerts WHERE resolved_at IS NULL") == []
