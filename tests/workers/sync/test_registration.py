"""Webhooks at Shopify are brought to what we want and stay so; each kind of trouble is told as what it is."""

from typing import Any, cast

import pytest

from shared import connections
from shared.db.engine import transaction
from shared.upstream_work import Kind
from tests.workers.sync.conftest import SHOP, Rig
from workers.inbound.drain import drain
from workers.sync.shopify_webhooks import ALWAYS, BY_HAND
from workers.sync.upstream import Upstream
from workers.sync.work import DOINGS, work


def topics(rig: Rig) -> dict[str, dict[str, Any]]:
    return {row["topic"]: row for row in rig.rows("SELECT * FROM registrations")}


def there(rig: Rig) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in rig.shop.subscriptions:
        found.setdefault(one["topic"], []).append(one["uri"])
    return found


def writes(rig: Rig) -> list[str]:
    return [call for call in rig.shop.calls if call != "webhookSubscriptions"]


def test_every_wanted_topic_is_registered_once_at_our_address(rig: Rig) -> None:
    assert rig.do(Kind.REGISTRATION)["state"] == "done"
    found = topics(rig)
    assert {"customers/create", *ALWAYS} <= {name for name, row in found.items() if row["state"] == "registered"}
    assert there(rig) == {
        name.replace("/", "_").upper(): ["http://127.0.0.1:61001/api/webhooks/shopify"]
        for name, row in found.items()
        if row["state"] == "registered"
    }
    assert {found[name]["state"] for name in BY_HAND} == {"by_hand"}
    ids = {one["topic"]: one["id"] for one in rig.shop.subscriptions}
    assert found["products/update"]["external_id"] == ids["PRODUCTS_UPDATE"]


def test_a_second_time_changes_nothing_and_it_is_due_again_in_a_day(rig: Rig) -> None:
    rig.do(Kind.REGISTRATION)
    rig.shop.calls.clear()
    rig.forward(hours=23)
    assert rig.run()["done"] == 0
    rig.forward(hours=2)
    assert rig.run()["done"] >= 1
    assert writes(rig) == []
    assert rig.rows("SELECT * FROM alerts WHERE kind = 'registration.dropped'") == []


def test_what_the_shop_dropped_is_put_back_and_an_alert_is_raised(rig: Rig) -> None:
    rig.do(Kind.REGISTRATION)
    rig.shop.subscriptions = [one for one in rig.shop.subscriptions if one["topic"] != "PRODUCTS_UPDATE"]
    rig.forward(hours=25)
    rig.run()
    assert there(rig)["PRODUCTS_UPDATE"] == ["http://127.0.0.1:61001/api/webhooks/shopify"]
    assert topics(rig)["products/update"]["drops"] == 1
    [alert] = rig.rows("SELECT * FROM alerts WHERE kind = 'registration.dropped'")
    assert alert["detail"]["topics"] == ["products/update"]
    assert [row["action"] for row in rig.rows("SELECT action FROM audit_log WHERE actor = 'system'")] == [
        "integration.reregistered"
    ]


def test_a_webhook_that_failed_eight_times_is_dropped_by_the_shop_put_back_by_the_daily_look_and_told_of(
    rig: Rig,
) -> None:
    rig.do(Kind.REGISTRATION)
    product = {"id": 1, "updated_at": "2026-11-01T10:00:00Z"}
    assert rig.shop.tell("products/update", product) == [0]  # nobody listens at our address
    for _ in range(6):
        assert not rig.shop.post()
    assert "PRODUCTS_UPDATE" in there(rig)
    assert rig.shop.post()  # owed no more, since there is nobody left to owe it to
    assert "PRODUCTS_UPDATE" not in there(rig)
    rig.forward(hours=25)
    rig.run()
    assert there(rig)["PRODUCTS_UPDATE"] == ["http://127.0.0.1:61001/api/webhooks/shopify"]
    [alert] = rig.rows("SELECT * FROM alerts WHERE kind = 'registration.dropped'")
    assert (alert["severity"], alert["detail"]["topics"]) == ("warning", ["products/update"])


class _Dying(Upstream):
    """A worker's way out that dies after so many calls of a kind were answered."""

    def __init__(self, rig: Rig, what: str, *, after: int = 1) -> None:
        super().__init__(rig.context.settings, rig.context.client)
        self.what, self.left = what, after

    def exchange(self, what: str, *args: Any, **more: Any) -> Any:
        reply = super().exchange(what, *args, **more)
        self.left -= what == self.what
        if not self.left:
            raise KeyboardInterrupt
        return reply


@pytest.mark.parametrize("after", [1, 12])
def test_what_was_dropped_is_told_of_though_the_worker_dies_while_putting_it_back(rig: Rig, after: int) -> None:
    rig.do(Kind.REGISTRATION)
    kept = [] if after > 1 else [one for one in rig.shop.subscriptions if one["topic"] != "PRODUCTS_UPDATE"]
    dropped = len(rig.shop.subscriptions) - len(kept)
    rig.shop.subscriptions = kept
    rig.forward(hours=25)
    with pytest.raises(KeyboardInterrupt):
        work(rig.context, clock=lambda: rig.now, upstream=_Dying(rig, "shopify.webhooks.add", after=after))
    rig.forward(seconds=91)
    rig.run()
    assert rig.standing(Kind.REGISTRATION)["state"] == "done"
    assert sum(row["drops"] for row in topics(rig).values()) == dropped
    [alert] = rig.rows("SELECT * FROM alerts WHERE kind = 'registration.dropped'")
    assert len(alert["detail"]["topics"]) == dropped
    rig.forward(hours=25)
    rig.run()
    assert sum(row["drops"] for row in topics(rig).values()) == dropped  # once


def test_ours_at_an_old_address_are_mended_extra_ones_removed_and_others_left_alone(rig: Rig) -> None:
    rig.do(Kind.REGISTRATION)
    elsewhere = rig.shop.subscribe("ORDERS_CREATE", "https://elsewhere.example.com/hooks")
    rig.set(public_url="http://127.0.0.1:61002")
    rig.shop.subscribe("PRODUCTS_UPDATE", "http://127.0.0.1:61002/api/webhooks/shopify")
    rig.shop.subscribe("THEMES_UPDATE", "http://127.0.0.1:61002/api/webhooks/shopify")
    rig.do(Kind.REGISTRATION)
    found = there(rig)
    assert "THEMES_UPDATE" not in found
    assert found["PRODUCTS_UPDATE"] == ["http://127.0.0.1:61002/api/webhooks/shopify"]
    assert elsewhere in rig.shop.subscriptions
    assert all("127.0.0.1:61001" not in uri for uris in found.values() for uri in uris)
    assert "webhookSubscriptionUpdate" in rig.shop.calls


def subscription(rig: Rig, topic: str) -> dict[str, Any]:
    [one] = [one for one in rig.shop.subscriptions if one["topic"] == topic]
    return one


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("format", "XML"),
        ("filter", "total_price:>1000"),
        ("includeFields", ["id"]),
        ("metafieldNamespaces", ["care"]),
    ],
)
@pytest.mark.parametrize("is_mended", [True, False])
def test_one_that_brings_less_than_all_or_in_another_form_is_mended_or_made_anew(
    rig: Rig, field: str, value: object, is_mended: bool
) -> None:
    rig.do(Kind.REGISTRATION)
    subscription(rig, "ORDERS_CREATE")[field] = value
    if not is_mended:
        rig.shop.unmended = {field}
    rig.shop.calls.clear()
    rig.do(Kind.REGISTRATION)
    remade = ["webhookSubscriptionDelete", "webhookSubscriptionCreate"]
    assert writes(rig) == ["webhookSubscriptionUpdate", *([] if is_mended else remade)]
    one, row = subscription(rig, "ORDERS_CREATE"), topics(rig)["orders/create"]
    assert one[field] == ("JSON" if field == "format" else None if field == "filter" else [])
    assert (row["state"], row["external_id"], row["note"], row["drops"]) == ("registered", one["id"], None, 0)
    rig.shop.calls.clear()
    rig.do(Kind.REGISTRATION)
    assert writes(rig) == []


def test_webhooks_of_an_older_version_are_made_anew_in_ours(rig: Rig) -> None:
    rig.do(Kind.REGISTRATION)
    subscription(rig, "ORDERS_CREATE")["apiVersion"] = {"handle": "2025-10"}
    rig.shop.calls.clear()
    rig.do(Kind.REGISTRATION)
    assert writes(rig) == ["webhookSubscriptionDelete", "webhookSubscriptionCreate"]
    one, row = subscription(rig, "ORDERS_CREATE"), topics(rig)["orders/create"]
    assert one["apiVersion"] == {"handle": rig.context.settings.shopify_api_version}
    assert (row["state"], row["external_id"], row["note"], row["drops"]) == ("registered", one["id"], None, 0)
    assert rig.rows("SELECT * FROM alerts WHERE kind = 'registration.dropped'") == []


def test_a_version_that_the_app_itself_sets_is_told_and_not_fought_over(rig: Rig) -> None:
    rig.do(Kind.REGISTRATION)
    rig.shop.webhook_version = "2026-07"
    subscription(rig, "ORDERS_CREATE")["apiVersion"] = {"handle": "2026-07"}
    rig.do(Kind.REGISTRATION)
    row = topics(rig)["orders/create"]
    assert row["state"] == "registered"
    assert "2026-07" in row["note"]
    rig.shop.calls.clear()
    rig.do(Kind.REGISTRATION)
    assert (writes(rig), topics(rig)["orders/create"]["note"]) == ([], row["note"])
    rig.shop.webhook_version = None
    rig.set(shopify_api_version="2027-01")
    rig.do(Kind.REGISTRATION)
    assert {one["apiVersion"]["handle"] for one in rig.shop.subscriptions} == {"2027-01"}
    assert topics(rig)["orders/create"]["note"] is None


def test_a_topic_that_is_refused_says_why_and_does_not_keep_the_others_from_it(rig: Rig) -> None:
    rig.shop.refused_topics.add("CUSTOMERS_CREATE")
    assert rig.do(Kind.REGISTRATION)["state"] == "done"
    assert topics(rig)["customers/create"]["state"] == "refused"
    assert "permission" in topics(rig)["customers/create"]["note"]
    assert topics(rig)["products/update"]["state"] == "registered"


def test_one_that_is_taken_already_counts_as_registered(rig: Rig) -> None:
    rig.shop.taken_although_unlisted.add("PRODUCTS_UPDATE")
    rig.do(Kind.REGISTRATION)
    assert topics(rig)["products/update"]["state"] == "registered"


def test_what_the_source_does_not_allow_is_not_registered(rig: Rig) -> None:
    rig.execute("UPDATE sources SET allowed_topics = ARRAY['customers/update']")
    rig.do(Kind.REGISTRATION)
    assert {"customers/update", *ALWAYS, *BY_HAND} == set(topics(rig))


def test_a_registered_webhook_is_really_posted_and_taken_in(served: Rig) -> None:
    served.do(Kind.REGISTRATION)
    assert served.shop.tell("products/update", {"id": 1, "updated_at": "2026-11-01T10:00:00Z"}) == [200]
    served.shop.secret = "forged"
    assert served.shop.tell("products/update", {"id": 1}) == [401]


def test_the_webhook_test_goes_the_whole_way_and_leaves_an_ignored_message(served: Rig) -> None:
    served.do(Kind.REGISTRATION)  # asks for the test by itself, the first time
    trial = served.standing(Kind.TRIAL)
    assert (trial["state"], trial["error"]) == ("done", None)
    assert trial["result"]["address"].endswith("/api/webhooks/shopify")
    for shard in range(4):
        drain(served.context, shard)
    [message] = served.rows("SELECT * FROM messages")
    assert (str(message["id"]), message["state"]) == (trial["result"]["message_id"], "ignored")
    assert (message["topic"], message["tenant"]) == ("crossdock/test", SHOP)


def test_a_public_address_where_nobody_answers_fails_the_test_and_is_tried_again(rig: Rig) -> None:
    rig.do(Kind.REGISTRATION)
    trial = rig.standing(Kind.TRIAL)
    assert (trial["state"], trial["error_code"], trial["tries"]) == ("failed", "unreachable", 1)
    assert trial["due_at"] > rig.now


@pytest.mark.parametrize(
    ("status", "code", "is_final"),
    [(401, "denied", True), (403, "denied", True), (404, "not_accepted", True), (402, "account_shut", False)],
)
def test_what_no_other_try_would_change_is_not_tried_again_here(
    rig: Rig, status: int, code: str, is_final: bool
) -> None:
    rig.shopify.fail(status)
    work = rig.do(Kind.REGISTRATION)
    assert (work["state"], work["error_code"]) == ("failed", code)
    hours = (work["due_at"] - rig.now).total_seconds() / 3600
    assert hours == (24 if is_final else 6)
    assert len(rig.shopify.answered) == 1
    alerts = rig.rows("SELECT * FROM alerts")
    assert [alert["kind"] for alert in alerts] == (["registration.failing"] if is_final else [])
    assert "shpat" not in str(alerts) + str(work)


@pytest.mark.parametrize("kind", [Kind.REGISTRATION, Kind.SYNC])
def test_what_is_done_daily_is_done_again_the_day_after_it_failed_for_good(rig: Rig, kind: Kind) -> None:
    rig.ask(kind)
    for days in range(1, 4):
        rig.shopify.fail(404)
        rig.run()
        work = rig.standing(kind)
        assert (work["state"], work["error_code"], work["tries"]) == ("failed", "not_accepted", days)
        [alert] = rig.rows("SELECT * FROM alerts")  # one, however often it fails
        assert (alert["kind"], alert["severity"]) == (f"{kind}.failing", "error")
        assert "tried again in 24 hours" in alert["message"]
        rig.forward(hours=24)
    rig.run()
    assert rig.standing(kind)["state"] == "done"
    assert rig.rows("SELECT * FROM alerts WHERE resolved_at IS NULL") == []


def test_what_is_dropped_after_a_check_that_failed_for_good_is_put_back(rig: Rig) -> None:
    rig.do(Kind.REGISTRATION)
    rig.forward(hours=25)
    rig.shopify.fail(404)
    rig.run()
    rig.shop.subscriptions.clear()
    rig.forward(hours=24)
    rig.run()
    assert there(rig)["PRODUCTS_UPDATE"] == ["http://127.0.0.1:61001/api/webhooks/shopify"]
    assert topics(rig)["products/update"]["drops"] == 1


def test_what_only_a_person_can_mend_waits_for_one(rig: Rig) -> None:
    rig.execute("UPDATE integrations SET credentials = NULL")
    work = rig.do(Kind.SYNC)
    assert (work["state"], work["error_code"], work["due_at"]) == ("failed", "credentials_missing", None)
    [alert] = rig.rows("SELECT * FROM alerts")
    assert "until somebody mends it" in alert["message"]


def test_short_trouble_is_sat_out(rig: Rig) -> None:
    rig.shopify.fail(500)
    rig.shopify.fail(429, Retry_After="2")
    assert rig.do(Kind.REGISTRATION)["state"] == "done"
    assert len(rig.shopify.answered) == len(rig.shop.calls) + 2
    assert rig.slept[1] >= 2


def test_a_long_retry_after_puts_the_work_off_that_long(rig: Rig) -> None:
    rig.shopify.fail(429, Retry_After="120")
    work = rig.do(Kind.REGISTRATION)
    assert work["error_code"] == "too_many_requests"
    assert rig.slept == []
    assert (work["due_at"] - rig.now).total_seconds() >= 120
    rig.forward(seconds=121)
    rig.run()
    assert rig.standing(Kind.REGISTRATION)["state"] == "done"


def test_a_long_retry_after_of_a_server_that_is_down_puts_the_work_off_that_long(rig: Rig) -> None:
    rig.shopify.fail(503, Retry_After="120")
    work = rig.do(Kind.REGISTRATION)
    assert (work["error_code"], rig.shopify.answered, rig.slept) == ("server_error", [503], [])
    assert (work["due_at"] - rig.now).total_seconds() == 120
    rig.ask(Kind.REGISTRATION, by_person=True)
    assert (rig.standing(Kind.REGISTRATION)["due_at"] - rig.now).total_seconds() == 120
    rig.forward(seconds=121)
    rig.run()
    assert rig.standing(Kind.REGISTRATION)["state"] == "done"


def test_trouble_that_lasts_is_tried_ever_more_seldom_and_an_alert_ends_with_it(rig: Rig) -> None:
    rig.ask(Kind.REGISTRATION)
    for tries in range(1, 6):
        rig.context.client.flushall()  # its circuit too
        rig.shopify.fail(503, times=3)
        rig.run()
        work = rig.standing(Kind.REGISTRATION)
        assert work["tries"] == tries
        rig.now = work["due_at"]
    assert [alert["resolved_at"] for alert in rig.rows("SELECT * FROM alerts")] == [None]
    rig.context.client.flushall()
    rig.run()
    assert rig.standing(Kind.REGISTRATION)["state"] == "done"
    assert all(alert["resolved_at"] for alert in rig.rows("SELECT * FROM alerts WHERE kind LIKE 'registration%'"))


def test_what_nobody_expected_of_one_is_told_and_does_not_hold_up_the_rest(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumble(_: object) -> None:
        raise KeyError("shpat_good")

    monkeypatch.setitem(cast("dict[Kind, object]", DOINGS), Kind.SYNC, stumble)
    rig.ask(Kind.SYNC)
    rig.ask(Kind.REGISTRATION)
    rig.run()
    assert rig.standing(Kind.REGISTRATION)["state"] == "done"
    standing = rig.standing(Kind.SYNC)
    assert (standing["state"], standing["error_code"], standing["tries"]) == ("failed", "unexpected", 1)
    assert standing["due_at"] > rig.now  # it is tried again
    assert "shpat_good" not in str(standing)


def test_a_host_that_fails_five_times_is_left_alone_for_a_while(rig: Rig) -> None:
    rig.shopify.fail(500, times=6)
    rig.do(Kind.REGISTRATION)
    rig.do(Kind.REGISTRATION)
    assert len(rig.shopify.answered) == 5
    assert rig.standing(Kind.REGISTRATION)["error_code"] == "circuit_open"


def test_without_a_public_address_nothing_is_asked_of_the_shop(rig: Rig) -> None:
    rig.set(public_url="")
    assert rig.do(Kind.REGISTRATION)["error_code"] == "public_url_missing"
    assert rig.shopify.answered == []


def test_a_shop_that_left_is_left_alone(rig: Rig) -> None:
    rig.execute("UPDATE integrations SET state = 'uninstalled'")
    rig.ask(Kind.REGISTRATION)
    assert rig.run() == {"done": 0, "continued": 0, "failed": 0}
    assert rig.shopify.answered == []


def test_a_shop_that_connects_again_has_dropped_nothing(rig: Rig) -> None:
    rig.do(Kind.REGISTRATION)
    rig.execute("UPDATE integrations SET state = 'uninstalled', credentials = NULL")
    rig.shop.subscriptions.clear()
    with transaction(rig.context.engine) as connection:
        connections.connect(
            connection,
            rig.context.ring,
            connections.joinable(connection, rig.context.ring, rig.source, now=rig.now),
            tenant=SHOP,
            credentials={"access_token": "shpat_good"},
            detail={},
            work=(Kind.REGISTRATION,),
            actor="test",
            now=rig.now,
        )
    rig.run()
    assert {row["drops"] for row in topics(rig).values()} == {0}
    assert len(rig.shop.subscriptions) > 3
    assert rig.rows("SELECT * FROM alerts WHERE kind = 'registration.dropped'") == []
