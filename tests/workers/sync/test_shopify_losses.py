"""What is not in a reading is told of as gone, so a reading that is not whole tells of nothing."""

from collections.abc import Callable
from typing import Any

import pytest

from shared.upstream_work import Kind
from tests.doubles.shopify import graphql
from tests.workers.sync.conftest import Rig
from workers.sync import shopify_sync
from workers.sync.job import GoOn
from workers.sync.upstream import Upstream
from workers.sync.work import work


def deleted(rig: Rig) -> int:
    return len(rig.rows("SELECT 1 FROM events WHERE type = 'product.deleted'"))


def read_once(rig: Rig, count: int) -> None:
    """A shop of which we know all, a day later."""
    rig.shop.add_products(count)
    assert rig.do(Kind.SYNC)["state"] == "done"
    rig.forward(hours=25)


def interrupted(rig: Rig, at: str, act: Callable[[], None]) -> None:
    """Do what is due, and when `at` is called for the first time, `act` first."""
    acts = [act]

    class Interrupted(Upstream):
        def exchange(self, what: str, *args: Any, **kwargs: Any) -> Any:
            if what == at and acts:
                acts.pop()()
            return super().exchange(what, *args, **kwargs)

    upstream = Interrupted(rig.context.settings, rig.context.client, sleep=rig.slept.append)
    work(rig.context, clock=lambda: rig.now, upstream=upstream)


def test_a_worker_that_stalled_before_its_first_page_wakes_to_another_s_reading_and_leaves_it_alone(rig: Rig) -> None:
    read_once(rig, 120)
    stalled, became = rig.claimed(Kind.SYNC), []
    rig.forward(seconds=91)
    interrupted(rig, "shopify.sync.variants", lambda: became.append(shopify_sync.sync(stalled)))
    assert isinstance(became[0], GoOn)
    assert rig.standing(Kind.SYNC)["result"]["products"] == 120
    assert deleted(rig) == 0


@pytest.mark.parametrize("gone", ["number = 0", "number = 2", "stage = 'products'"])
def test_pages_that_are_gone_are_no_products_that_are_gone_and_the_shop_is_read_anew(rig: Rig, gone: str) -> None:
    read_once(rig, 120)
    interrupted(
        rig,
        "shopify.sync.discounts",
        lambda: rig.execute(f"DELETE FROM sync_pages WHERE stage = 'products' AND {gone}"),
    )
    standing = rig.standing(Kind.SYNC)
    assert (standing["state"], standing["error_code"], standing["tries"]) == ("failed", "pages_missing", 1)
    assert deleted(rig) == 0
    rig.now = standing["due_at"]
    rig.run()
    assert rig.standing(Kind.SYNC)["result"]["products"] == 120
    assert deleted(rig) == 0


def test_a_sync_that_was_begun_by_a_release_that_did_not_count_its_pages_begins_anew(rig: Rig) -> None:
    read_once(rig, 1)
    rig.ask(Kind.SYNC)
    rig.execute(
        "UPDATE upstream_work SET progress = jsonb_build_object('stage', 'records', 'number', 0, 'after', null,"
        " 'startedAt', '2026-11-27T00:00:00.000Z', 'skipped', '{}'::jsonb)"
    )
    rig.run()
    assert rig.standing(Kind.SYNC)["result"]["products"] == 1
    assert deleted(rig) == 0


def answer_with(patch: pytest.MonkeyPatch, odd: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Have each page of products be what `odd` makes of it."""
    well = graphql.run

    def run(*asked: Any, **more: Any) -> dict[str, Any]:
        answer = well(*asked, **more)
        if "products" in answer["data"]:
            answer["data"]["products"] = odd(answer["data"]["products"])
        return answer

    patch.setattr(graphql, "run", run)


@pytest.mark.parametrize(
    "odd",
    [
        lambda page: page | {"nodes": [None, *page["nodes"][1:]]},
        lambda page: page | {"nodes": ["gid://shopify/Product/1", *page["nodes"][1:]]},
        lambda page: page | {"nodes": None},
        lambda page: page | {"pageInfo": {"hasNextPage": True, "endCursor": None}},
        lambda page: page | {"pageInfo": {"hasNextPage": False}, "nodes": {}},
        lambda page: page | {"pageInfo": {"hasNextPage": None, "endCursor": None}},
        lambda page: page | {"pageInfo": None},
    ],
)
def test_a_page_with_a_node_that_is_none_or_without_its_cursor_is_no_page(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, odd: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    read_once(rig, 60)
    with monkeypatch.context() as patch:
        answer_with(patch, odd)
        rig.run()
    standing = rig.standing(Kind.SYNC)
    assert (standing["state"], standing["error_code"]) == ("failed", "answer_malformed")
    rig.now = standing["due_at"]
    rig.run()
    assert rig.standing(Kind.SYNC)["state"] == "done"
    assert deleted(rig) == 0


def test_a_cursor_that_leads_to_the_same_page_again_is_not_followed_for_ever(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.shop.add_products(60)
    again: dict[str, Any] = {}

    def stuck(page: dict[str, Any]) -> dict[str, Any]:
        again.setdefault("pageInfo", page["pageInfo"])
        return page | again

    answer_with(monkeypatch, stuck)
    assert rig.do(Kind.SYNC)["error_code"] == "answer_malformed"
    assert rig.shop.calls.count("products") == 2
