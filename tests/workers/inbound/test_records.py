"""Records of every kind: applied in any order, told once, kept whole."""

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import jsonschema
import pytest
from sqlalchemy import text

from shared.errors import PayloadUnexpected
from shared.event_schemas import event_schema
from shared.providers.contract import Change, Headers, Identity, Outcome, Provider, Request
from shared.record_changes import record_change
from shared.record_kinds import KINDS
from shared.record_shapes import LINE
from shared.states import MessageState
from tests.workers.inbound.dock import NOW, Dock
from workers.inbound.guard import Effect
from workers.inbound.learn import learn
from workers.inbound.listings import load_listings
from workers.inbound.process import Inbound, Tally, process

SHOP = "lindenhof.myshopify.com"


def _transform(_: Any, payload: Any, __: Any) -> Outcome:
    changes = payload["changes"]
    return Outcome(
        changes=tuple(
            Change(
                one["kind"],
                one.get("op", "upsert"),
                str(one.get("id", "1")),
                NOW + timedelta(minutes=one.get("minute", 0)),
                one.get("fields", {}),
            )
            for one in changes
        )
    )


PARROT = Provider(
    "shopify",
    "Parrot",
    lambda *_: None,
    lambda *_: "",
    lambda request, _, __: Identity("t", request.body, None, SHOP, None),
    _transform,
    ("t",),
    lambda _: [],
)


def say(*changes: dict[str, Any], dock: Dock) -> Inbound:
    raw = json.dumps({"n": str(uuid4()), "changes": changes}).encode()
    return Inbound(uuid4(), dock.source_id, NOW, Request("POST", "/x", Headers(), raw))


def run(dock: Dock, *batch: Inbound, replay: bool = False) -> Tally:
    with dock.engine.begin() as connection:
        listings = load_listings(connection, dock.context.ring, NOW)
        return process(connection, batch, listings=listings, now=NOW, replay=replay, providers={"shopify": PARROT})


def hear(dock: Dock, *changes: dict[str, Any]) -> Inbound:
    message = say(*changes, dock=dock)
    run(dock, message)
    return message


def order(minute: int = 0, op: str = "upsert", **fields: Any) -> dict[str, Any]:
    return {"kind": "order", "op": op, "minute": minute, "fields": fields}


def test_an_order_of_250_lines_is_kept_and_told_whole(dock: Dock) -> None:
    lines = [
        {"id": str(9007199254740993 + n), "title": f"Tee Nº {n} 緑茶 😀", "quantity": 1, "priceMinor": 10**12 + n}
        for n in range(250)
    ]
    hear(dock, order(line_items=lines, total_minor=250 * 10**12, currency="JPY"))
    assert dock.rows("orders")[0]["line_items"] == lines
    [envelope] = dock.envelopes()
    assert envelope["data"]["order"]["lineItems"] == [{**LINE.blank, **line} for line in lines]
    assert envelope["data"]["order"]["totalMinor"] == 250 * 10**12


@pytest.mark.parametrize(
    "fields",
    [
        {"customer_external_id": None, "email": None, "phone": None, "billing_address": None, "shipping_address": None},
        {"customer_external_id": None, "email": "guest@x.example", "shipping_address": {"line1": "Gäßchen 1"}},
        {"currency": "EUR", "total_minor": 3390, "presentment": {"currency": "SEK", "totalMinor": 38120}},
        {"currency": "KWD", "total_minor": 12345, "discount_minor": 0},
        {},
    ],
)
def test_orders_of_guests_and_of_several_currencies_are_whole_and_keep_to_the_schema(
    dock: Dock, fields: dict[str, Any]
) -> None:
    hear(dock, order(**fields))
    [row] = dock.rows("orders")
    assert {name: row[name] for name in fields} == fields
    [envelope] = dock.envelopes()
    jsonschema.validate(envelope, event_schema("order.created"))


TOLD: list[tuple[str, list[dict[str, Any]], list[str]]] = [
    (
        "an order's life",
        [
            order(0, financial_status="pending", fulfillment_status="unfulfilled", status="open"),
            order(1, financial_status="paid"),
            order(1, financial_status="paid"),
            order(2, fulfillment_status="partial"),
            order(3, fulfillment_status="fulfilled"),
            order(4, financial_status="refunded", status="cancelled", cancel_reason="fraud"),
            order(5, op="delete"),
        ],
        [
            "order.created",
            "order.updated",
            "order.paid",
            "order.updated",
            "order.updated",
            "order.fulfilled",
            "order.updated",
            "order.cancelled",
            "order.deleted",
        ],
    ),
    (
        "paid is heard of before created",
        [order(1, financial_status="paid"), order(0, financial_status="pending"), order(1, financial_status="paid")],
        ["order.created", "order.paid"],
    ),
    (
        "paid at once",
        [order(0, financial_status="paid", fulfillment_status="fulfilled")],
        ["order.created", "order.paid", "order.fulfilled"],
    ),
    (
        "a shipment comes back",
        [
            {"kind": "shipment", "minute": n, "fields": {"status": status}}
            for n, status in enumerate(["shipped", "in_transit", "delivered", "returned"])
        ],
        [
            "shipment.created",
            "shipment.updated",
            "shipment.updated",
            "shipment.delivered",
            "shipment.updated",
            "shipment.returned",
        ],
    ),
    (
        "a feed and a report end",
        [
            {"kind": "report", "id": "f", "fields": {"report_kind": "feed", "status": "done"}},
            {"kind": "report", "id": "r", "fields": {"report_kind": "report", "status": "failed"}},
            {"kind": "report", "id": "r", "minute": 1, "fields": {"status": "failed", "document_id": "d"}},
        ],
        ["feed.finished", "report.finished"],
    ),
    (
        "the rest",
        [
            {"kind": "refund", "fields": {"amount_minor": 100, "currency": "EUR"}},
            {"kind": "refund", "minute": 1, "fields": {"amount_minor": 90}},
            {"kind": "product", "fields": {"title": "Tea"}},
            {"kind": "product", "minute": 1, "fields": {"title": "Green tea"}},
            {"kind": "product", "minute": 2, "op": "delete"},
            {"kind": "inventory", "id": "1:2", "fields": {"available": 4}},
            {"kind": "inventory", "id": "1:2", "minute": 1, "fields": {"available": 3}},
            {"kind": "payment", "fields": {"status": "paid"}},
            {"kind": "article", "fields": {"stock": 2}},
            {"kind": "article", "minute": 1, "fields": {"stock": 1.5}},
        ],
        [
            "refund.created",
            "refund.updated",
            "product.created",
            "product.updated",
            "product.deleted",
            "inventory.updated",
            "inventory.updated",
            "payment.updated",
            "article.created",
            "article.updated",
        ],
    ),
]


@pytest.mark.parametrize("one_batch", [True, False], ids=["one batch", "one by one"])
@pytest.mark.parametrize(("story", "told"), [case[1:] for case in TOLD], ids=[case[0] for case in TOLD])
def test_each_effect_and_each_transition_is_told_exactly_once(
    dock: Dock, story: list[dict[str, Any]], told: list[str], one_batch: bool
) -> None:
    messages = [say(change, dock=dock) for change in story]
    if one_batch:
        run(dock, *messages)
    else:
        for message in messages:
            run(dock, message)
    assert dock.told() == told
    for envelope in dock.envelopes():
        jsonschema.validate(envelope, event_schema(envelope["event"]))


def test_what_changed_in_a_list_is_told_whole_too(dock: Dock) -> None:
    hear(dock, order(0, line_items=[{"id": "1", "quantity": 1}]))
    hear(dock, order(1, line_items=[{"id": "1", "quantity": 2}]))
    changes = dock.envelopes()[-1]["data"]["changes"]["lineItems"]
    assert changes == {
        said: [{**LINE.blank, "id": "1", "quantity": quantity}] for said, quantity in (("old", 1), ("new", 2))
    }


def test_a_replayed_message_of_any_kind_tells_nothing_that_is_known(dock: Dock) -> None:
    message = hear(dock, *({"kind": name, "id": "1:1"} for name in KINDS))
    told = dock.told()
    tally = run(dock, message, replay=True)
    assert (tally.processed, tally.events) == (1, 0)
    assert dock.told() == told


def test_one_message_may_speak_of_many_kinds_and_what_it_spoke_of_is_kept(dock: Dock) -> None:
    message = hear(
        dock,
        {"kind": "order", "id": "900", "fields": {"customer_external_id": "7"}},
        {"kind": "shipment", "id": "s", "fields": {"order_external_id": "900"}},
        {"kind": "user", "id": "7"},
    )
    subjects = dock.message(message.message_id)["subjects"]
    assert sorted(subjects) == ["order:900", "shipment:s", "user:7"]
    assert dock.told() == ["order.created", "shipment.created", "user.created"]


def test_a_word_that_is_not_ours_fails_its_message_with_the_words_that_are(dock: Dock) -> None:
    message = hear(dock, order(financial_status="kinda paid"))
    row = dock.message(message.message_id)
    assert row["state"] == MessageState.FAILED
    assert "one of pending, authorized" in row["reason"]


@pytest.mark.parametrize(
    "fields",
    [
        {"total_minor": 12.5},
        {"total_minor": "12"},
        {"total_minor": True},
        {"total_minor": 2**63},
        {"line_items": [1]},
        {"line_items": [{"quantity": "2"}]},
        {"line_items": [{"attributes": "many"}]},
        {"shipping_address": {"city": ["Wien"]}},
        {"line_items": {}},
        {"is_test": 1},
        {"tags": "a"},
        {"presentment": []},
        {"placed_at": "soon"},
        {"customer_external_id": "x" * 256},
        {"no_such": 1},
    ],
)
def test_a_field_that_is_not_of_its_form_is_unexpected(fields: dict[str, Any]) -> None:
    with pytest.raises(PayloadUnexpected, match=next(iter(fields))):
        record_change(
            Change("order", "upsert", "1", NOW, fields), account_id=uuid4(), provider="p", tenant="", version=NOW
        )


def test_an_uninstalled_app_loses_its_credentials_but_a_newer_install_does_not(dock: Dock) -> None:
    def install(shop: str, at: datetime, installed_at: datetime | None = None) -> None:
        with dock.engine.begin() as connection:
            connection.execute(
                text("""
                    INSERT INTO integrations (id, account_id, source_id, external_id, state, credentials, created_at,
                                              updated_at, installed_at)
                    VALUES (uuidv7(), :account, :source, :shop, 'active', 'sealed', :at, :at, :installed)
                """),
                {
                    "account": dock.account_id,
                    "source": dock.source_id,
                    "shop": shop,
                    "at": at,
                    "installed": installed_at,
                },
            )

    before, later = NOW - timedelta(days=9), NOW + timedelta(minutes=1)
    install("Gone.myshopify.com", before)
    install("back.myshopify.com", before, later)
    install("other.myshopify.com", before)
    for shop in ("gone.myshopify.com", "back.myshopify.com"):
        hear(dock, {"kind": "integration", "op": "delete", "id": shop})
    found = {row["external_id"]: (row["state"], row["credentials"]) for row in dock.rows("integrations")}
    assert found == {
        "Gone.myshopify.com": ("uninstalled", None),
        "back.myshopify.com": ("active", "sealed"),
        "other.myshopify.com": ("active", "sealed"),
    }
    assert [row["action"] for row in dock.rows("audit_log")] == ["integration.uninstalled"]
    assert [row["kind"] for row in dock.rows("alerts")] == ["integration.uninstalled"]


def interaction(key: str | None, **counts: int) -> dict[str, Any]:
    fields: dict[str, Any] = dict(counts) if key is None else {**counts, "key": key}
    return {"kind": "interaction", "id": "7", "fields": fields}


def test_an_interaction_is_counted_once_however_often_it_is_told(dock: Dock) -> None:
    first = hear(dock, interaction("mid-1", messages=1), interaction("mid-1", messages=1))
    hear(dock, interaction("mid-1", messages=1), interaction("c-1", comments=1))
    run(dock, first, replay=True)
    run(dock, say(interaction("mid-2", stories=1), dock=dock), say(interaction("mid-2", stories=1), dock=dock))
    [user] = dock.rows("users")
    counted = {name: count for name, count in user["interactions"].items() if name != "lastUpdated"}
    assert counted == {"messagesCount": 1, "commentsCount": 1, "storiesCount": 1, "totalCount": 3}
    assert user["version"] is None
    assert dock.told() == ["user.created", "user.updated", "user.updated"]
    hear(dock, {"kind": "user", "id": "7", "minute": -60, "fields": {"first_name": "Zoë"}})
    [user] = dock.rows("users")
    assert (user["first_name"], user["interactions"]["totalCount"]) == ("Zoë", 3)


def test_a_deleted_user_counts_nothing(dock: Dock) -> None:
    hear(dock, {"kind": "user", "id": "7"})
    hear(dock, {"kind": "user", "id": "7", "op": "delete", "minute": 1})
    message = hear(dock, interaction("late", messages=1))
    assert dock.message(message.message_id)["state"] == MessageState.STALE
    assert dock.rows("users")[0]["interactions"] == {}


def test_what_an_upstream_api_says_is_learned_and_told_like_a_message(dock: Dock) -> None:
    with dock.engine.begin() as connection:
        for effect, events in ((Effect.CREATED, 1), (Effect.UNCHANGED, 0)):
            learned = learn(
                connection,
                [Change("product", "upsert", "1", None, {"title": "Tea"})],
                account_id=dock.account_id,
                provider="shopify",
                tenant=SHOP,
                source_id=dock.source_id,
                now=NOW,
            )
            assert (dict(learned.effects), learned.events, learned.deliveries) == ({effect: 1}, events, events)
    assert [row["message_id"] for row in dock.rows("events")] == [None]


def test_of_what_an_upstream_api_says_that_which_no_record_can_hold_is_left_out_and_named(dock: Dock) -> None:
    with dock.engine.begin() as connection:
        connection.execute(text("ALTER TABLE products ADD CHECK (title <> 'poison')"))
        learned = learn(
            connection,
            [
                Change("product", "upsert", "1", None, {"title": "Tea"}),
                Change("product", "upsert", "2", None, {"title": ["no text"]}),
                Change("product", "upsert", "3", None, {"title": "poison"}),
                Change("no such kind", "upsert", "4", None, {}),
                Change("product", "upsert", "5", None, {"title": "Pot"}),
            ],
            account_id=dock.account_id,
            provider="shopify",
            tenant=SHOP,
            source_id=dock.source_id,
            now=NOW,
        )
    assert sorted((one.kind, one.external_id) for one in learned.left_out) == [
        ("no such kind", "4"),
        ("product", "2"),
        ("product", "3"),
    ]
    assert (learned.events, learned.effects.total()) == (2, 2)
    assert [row["external_id"] for row in dock.rows("products", "external_id")] == ["1", "5"]
