"""The public signature vectors and sample payloads that stand beside the checkout, where they are."""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shared.providers.contract import Evidence, Headers, Identity, Request, Source
from shared.providers.registry import PROVIDERS
from shared.providers.schemes import PRESETS

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
}


def vectors() -> list[dict[str, Any]]:
    path = FOLDER / "vectors.json"
    found: list[dict[str, Any]] = json.loads(path.read_text())["http"] if path.exists() else []
    return [vector for vector in found if vector["scheme"] in SCHEMES]


def test_the_schemes_are_those_of_the_registry():
    for name, settings in SCHEMES.values():
        assert name in PROVIDERS
        assert settings.get("preset", "hmac") in PRESETS


@pytest.mark.parametrize("vector", vectors(), ids=lambda vector: vector["name"])
def test_a_public_vector_is_judged_as_published(vector):
    name, settings = SCHEMES[vector["scheme"]]
    if "svix-id" in vector["headers"]:
        settings = {"preset": "svix"}
    source = Source("source", name, (vector["secret"].encode(),), settings)
    body = base64.b64decode(vector["body_b64"])
    request = Request(vector["method"], "/", Headers(vector["headers"].items()), body, url=vector["url"] or "")
    now = datetime.fromtimestamp(vector["now"], UTC) if vector["now"] else datetime(2026, 11, 22, tzinfo=UTC)
    refusal = PROVIDERS[name].verify(request, source, Evidence(now))
    assert (refusal is None) == vector["valid"]
    assert refusal is None or refusal.status == 401


@pytest.mark.parametrize("topic", ["customers/create", "customers/update", "customers/delete"])
def test_shopifys_published_samples_are_understood(topic):
    payload = json.loads((FOLDER / "payloads" / "shopify" / f"{topic.replace('/', '_')}.json").read_text())
    source = Source("source", "shopify", (b"x",), {})
    headers = Headers([("X-Shopify-Topic", topic), ("X-Shopify-Triggered-At", "2026-11-22T00:00:00Z")])
    identity = PROVIDERS["shopify"].identify(Request("POST", "/", headers, b"{}"), source, payload)
    [change] = PROVIDERS["shopify"].transform(identity, payload, source).changes
    assert change.external_id == str(payload["id"])
    assert change.op == ("delete" if topic.endswith("delete") else "upsert")
    assert change.version is not None


def test_shopifys_other_published_samples_are_not_mistaken_for_customers():
    source = Source("source", "shopify", (b"x",), {})
    for path in sorted((FOLDER / "payloads" / "shopify").glob("*.json")):
        identity = Identity(f"{path.stem}/other", b"", None, "", None)
        assert PROVIDERS["shopify"].transform(identity, json.loads(path.read_text()), source).ignored


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
