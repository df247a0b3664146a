"""The public signature vectors and sample payloads that stand beside the checkout, where they are."""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shared.providers import content_types, sns
from shared.providers.contract import Evidence, Headers, Identity, Request, Source
from shared.providers.registry import PROVIDERS
from shared.providers.schemes import PRESETS
from web.certificates import issuer_url

FOLDER = Path(__file__).parents[4] / "shared"
pytestmark = [
    pytest.mark.samples,
    pytest.mark.skipif(not (FOLDER / "vectors.json").exists(), reason="the public samples are not beside the checkout"),
]

# The vectors' scheme -> provider and settings; a scheme that no provider here has is not listed, and so not claimed.
SCHEMES: dict[str, tuple[str, dict[str, Any]]] = {
    "shopify": ("shopify", {}),
    "robaws": ("robaws", {}),
    "standard-webhooks": ("generic", {"preset": "standard-webhooks"}),
    "x-hub-256": ("generic", {"preset": "github"}),
    "stripe": ("generic", {"preset": "stripe"}),
    "slack": ("generic", {"preset": "slack"}),
    "hubspot-v1": ("generic", {"preset": "hubspot-v1"}),
    "hubspot-v2": ("generic", {"preset": "hubspot-v2"}),
    "hubspot-v3": ("generic", {"preset": "hubspot"}),
    "flipkart": ("flipkart", {}),
}


def vectors() -> list[dict[str, Any]]:
    path = FOLDER / "vectors.json"
    found: list[dict[str, Any]] = json.loads(path.read_text())["http"] if path.exists() else []
    return [vector for vector in found if vector["scheme"] in SCHEMES]


def test_the_schemes_are_those_of_the_registry():
    for name, settings in SCHEMES.values():
        assert name in PROVIDERS
        assert settings.get("preset", "hmac") in PRESETS


def test_every_published_vector_is_claimed():
    everything = json.loads((FOLDER / "vectors.json").read_text())
    assert len(vectors()) == len(everything["http"]) == 47
    assert set(everything) >= {"http", "shopify_oauth"}  # the others' own test has them: tests/web/test_shopify.py


@pytest.mark.parametrize("vector", vectors(), ids=lambda vector: vector["name"])
def test_a_public_vector_is_judged_as_published(vector):
    name, settings = SCHEMES[vector["scheme"]]
    if "svix-id" in vector["headers"]:
        settings = {"preset": "svix"}
    if vector["name"].startswith("meta-"):
        name, settings = "facebook", {}
    source = Source("source", name, (vector["secret"].encode(),), settings)
    body = base64.b64decode(vector["body_b64"])
    request = Request(vector["method"], "/", Headers(vector["headers"].items()), body, url=vector["url"] or "")
    now = datetime.fromtimestamp(vector["now"], UTC) if vector["now"] else datetime(2026, 11, 22, tzinfo=UTC)
    refusal = PROVIDERS[name].verify(request, source, Evidence(now))
    assert (refusal is None) == vector["valid"]
    assert refusal is None or refusal.status == 401
    assert content_types.check(PROVIDERS[name], request, source) is None


# The sample's file -> the kind and operation it comes to, and where its id stands; None: it says nothing to us.
SHOPIFYS: dict[str, tuple[str, str, str] | None] = {
    "app_uninstalled": ("integration", "delete", ""),
    "customers_create": ("user", "upsert", "id"),
    "customers_data_request": ("data_request", "upsert", "customer.id"),
    "customers_delete": ("user", "delete", "id"),
    "customers_email_marketing_consent_update": ("user", "upsert", "customer_id"),
    "customers_merge": None,  # one that failed
    "customers_redact": ("erasure", "delete", "customer.id"),
    "customers_update": ("user", "upsert", "id"),
    "fulfillments_create": ("shipment", "upsert", "id"),
    "fulfillments_update": ("shipment", "upsert", "id"),
    "inventory_levels_update": ("inventory", "upsert", ""),
    "orders_cancelled": ("order", "upsert", "id"),
    "orders_create": ("order", "upsert", "id"),
    "orders_delete": ("order", "delete", "id"),
    "orders_edited": ("order", "adjust", "order_edit.order_id"),
    "orders_fulfilled": ("order", "upsert", "id"),
    "orders_paid": ("order", "upsert", "id"),
    "orders_updated": ("order", "upsert", "id"),
    "products_create": ("product", "upsert", "id"),
    "products_delete": ("product", "delete", "id"),
    "products_update": ("product", "upsert", "id"),
    "refunds_create": ("refund", "upsert", "id"),
    "shop_redact": ("erasure", "delete", ""),
    "shop_update": ("inquiry", "upsert", ""),
}


def test_every_published_sample_of_shopify_is_claimed():
    assert {path.stem for path in (FOLDER / "payloads" / "shopify").glob("*.json")} == set(SHOPIFYS)


@pytest.mark.parametrize("stem", SHOPIFYS)
def test_shopifys_published_samples_are_understood(stem):
    provider = PROVIDERS["shopify"]
    topics = {topic.replace("/", "_"): topic for topic in provider.topics}
    # The privacy samples leave the shop's name open.
    text = (FOLDER / "payloads" / "shopify" / f"{stem}.json").read_text().replace("{shop}", "north")
    payload = json.loads(text)
    source = Source("source", "shopify", (b"x",), {})
    identity = Identity(topics[stem], b"", None, "north.myshopify.com", datetime(2026, 11, 22, tzinfo=UTC))
    changes = provider.transform(identity, payload, source).changes
    expected = SHOPIFYS[stem]
    if expected is None:
        assert changes == ()
        return
    change = changes[0]
    kind, operation, place = expected
    assert len(changes) == (2 if stem == "orders_edited" else 1)
    assert (change.kind, change.op) == (kind, operation)
    assert change.version is not None
    for name in filter(None, place.split(".")):
        payload = payload[name]
    assert not place or change.external_id == str(payload)


@pytest.mark.parametrize("topic", ["client.created", "client.updated"])
def test_robaws_samples_are_understood(topic):
    payload = json.loads((FOLDER / "payloads" / "robaws" / f"{topic.replace('.', '_')}.json").read_text())
    source = Source("source", "robaws", (b"x",), {})
    identity = PROVIDERS["robaws"].identify(Request("POST", "/", Headers(), b"{}"), source, payload)
    assert (identity.topic, identity.delivery_id) == (topic, payload["id"])
    [change] = PROVIDERS["robaws"].transform(identity, payload, source).changes
    assert change.external_id == payload["data"]["id"]
    assert change.fields["email"] == payload["data"]["email"]
    assert change.fields["roles"] == [payload["data"]["status"]]


@pytest.mark.parametrize(
    "name",
    [
        "notification_v1_nosubject",
        "notification_v1_subject",
        "notification_v2",
        "subscription_confirmation",
        "unsubscribe_confirmation",
    ],
)
def test_messages_that_amazon_really_signed_verify_while_their_certificate_held(name):
    folder = FOLDER / "payloads" / "sns"
    body = (folder / f"{name}.json").read_bytes()
    message = json.loads(body)
    sent = datetime.fromisoformat(message["Timestamp"])
    [published] = folder.glob("*.pem")

    def certificate(url: str) -> bytes:
        assert url.endswith(f"/{published.name}")
        return published.read_bytes()

    source = Source("source", "amazon", (b"x",), {"topicArns": [message["TopicArn"]]})
    verify = PROVIDERS["amazon"].verify
    request = Request("POST", "/", Headers(), body)
    assert verify(request, source, Evidence(sent, certificate)) is None
    forged = Request("POST", "/", Headers(), body.replace(b"dongie", b"bongie", 1))
    assert verify(forged, source, Evidence(sent, certificate)) is not None
    late = datetime(2026, 11, 22, tzinfo=UTC)  # past the certificate's end
    refusal = verify(request, source, Evidence(late, certificate))
    assert refusal is not None
    assert refusal.code == "certificate_refused"


def test_amazons_certificate_says_where_its_issuer_is_and_we_go_there():
    [published] = (FOLDER / "payloads" / "sns").glob("*.pem")
    certificate = sns.leaf(published.read_bytes())
    assert certificate is not None
    assert issuer_url(certificate) == "http://crt.r2m01.amazontrust.com/r2m01.cer"
    assert sns.dns_names(certificate) == ("sns.amazonaws.com",)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("ORDER_CHANGE", "order"),
        ("FEED_PROCESSING_FINISHED", "report"),
        ("REPORT_PROCESSING_FINISHED", "report"),
        ("eventbridge_LISTINGS_ITEM_STATUS_CHANGE", None),
    ],
)
def test_amazons_published_notifications_are_understood(name, kind):
    payload = json.loads((FOLDER / "payloads" / "sp-api" / f"{name}.json").read_text())
    source = Source("source", "amazon", (b"x",), {})
    identity = PROVIDERS["amazon"].identify(Request("POST", "/", Headers(), b"{}"), source, payload)
    outcome = PROVIDERS["amazon"].transform(identity, payload, source)
    assert identity.topic == name.removeprefix("eventbridge_")
    assert identity.tenant.startswith("A3")
    assert [change.kind for change in outcome.changes] == ([kind] if kind else [])
    assert bool(outcome.ignored) == (kind is None)


# The provider -> what its published samples come to, by the names of their files; None: it says nothing to us.
CHANNELS: dict[str, dict[str, tuple[str, ...] | None]] = {
    "flipkart": {
        "shipment_created": ("order", "shipment", "shipment"),
        "return_created": ("shipment", "shipment"),
        "return_completed": ("shipment", "refund"),
        **dict.fromkeys(
            (
                "return_cancelled",
                "return_expected_date_changed",
                "return_item_tracking_id_update",
                "return_picked_up",
                "shipment_cancelled",
                "shipment_delivered",
                "shipment_dispatch_dates_changed",
                "shipment_form_failed",
                "shipment_hold",
                "shipment_packed",
                "shipment_pickup_complete",
                "shipment_ready_to_dispatch",
                "shipment_shipped",
                "shipment_unhold",
            ),
            ("shipment",),
        ),
    },
    "selloship": {"waybill_status": ("shipment",)},
    "manychat": dict.fromkeys(("api_subscriber_getInfo", "full_contact_data_docs", "subscriber_full_info"), ("user",)),
    "facebook": {
        "page_delivery": None,
        "page_leadgen": None,
        "page_message": ("user", "interaction"),
        "page_message_attachment": ("user", "interaction"),
        "page_message_echo": None,
        "page_message_quick_reply": ("user", "interaction"),
        "page_postback": ("user", "interaction"),
        "page_read": None,
        "user_photos_change": None,
    },
}


@pytest.mark.parametrize(
    ("name", "file", "kinds"),
    [(name, file, kinds) for name, files in CHANNELS.items() for file, kinds in files.items()],
)
def test_a_published_sample_comes_to_its_changes(name, file, kinds):
    body = (FOLDER / "payloads" / name / f"{file}.json").read_bytes()
    source = Source("source", name, (b"x",), {})
    identity = PROVIDERS[name].identify(Request("POST", "/", Headers(), body), source, json.loads(body))
    outcome = PROVIDERS[name].transform(identity, json.loads(body), source)
    assert tuple(change.kind for change in outcome.changes) == (kinds or ())
    assert bool(outcome.ignored) == (kinds is None)


def test_every_published_sample_of_the_channels_is_tried():
    for name, files in CHANNELS.items():
        assert set(files) == {path.stem for path in (FOLDER / "payloads" / name).glob("*.json")}


def test_flipkarts_published_shipment_has_its_order():
    body = json.loads((FOLDER / "payloads" / "flipkart" / "shipment_created.json").read_text())
    source = Source("source", "flipkart", (b"x",), {})
    identity = PROVIDERS["flipkart"].identify(Request("POST", "/", Headers(), b"{}"), source, body)
    [order] = [one for one in PROVIDERS["flipkart"].transform(identity, body, source).changes if one.kind == "order"]
    item = body["attributes"]["orderItems"][0]
    assert (order.external_id, order.fields["currency"]) == (item["orderId"], "INR")
    assert order.fields["total_minor"] == int(item["priceComponents"]["totalPrice"] * 100)
    assert order.fields["line_items"][0]["sku"] == item["sku"]


@pytest.mark.parametrize(
    ("file", "kind", "status"),
    [
        ("create_order", "order", "open"),
        ("order_cancelItems", "order", None),
        ("order_shipped", "shipment", "shipped"),
        ("return_created", "shipment", "pending"),
    ],
)
def test_myntras_published_calls_are_understood_by_their_paths(file, kind, status):
    called = json.loads((FOLDER / "payloads" / "myntra" / f"{file}.json").read_text())
    body = json.dumps(called["body"]).encode()
    path = f"/api/webhooks/myntra{called['path']}"
    source = Source("source", "myntra", (b"x",), {})
    request = Request(called["method"], path, Headers(called["headers"].items()), body)
    identity = PROVIDERS["myntra"].identify(request, source, called["body"])
    [change] = PROVIDERS["myntra"].transform(identity, called["body"], source).changes
    assert (change.kind, change.fields.get("status")) == (kind, status)
