"""What the ingress does for each provider beside the usual: paths beneath a source's own, answers and headers."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from shared import refusals, valkey
from shared.crypto import KeyRing
from shared.inbox import Entry, Inbox
from shared.providers import samples
from shared.providers.contract import Sample
from shared.providers.registry import PROVIDERS
from shared.providers.schemes import in_a_path
from shared.settings import Settings
from tests.web.sources import SECRET, Directory
from web.ingress import make_app

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
PUBLIC = "https://hooks.example"
CHANNELS = ("flipkart", "selloship", "myntra", "manychat", "facebook", "robaws")


@pytest.fixture
def sources(queue: valkey.Client, ring: KeyRing) -> Directory:
    directory = Directory(queue, ring)
    for name in CHANNELS:
        directory.put(name, name, settings=samples.SETTINGS[name])
    directory.put("shopify")
    return directory


@pytest.fixture
def app(redis_url: str, ring: KeyRing, sources: Directory) -> Iterator[Flask]:
    settings = Settings(database_url="postgresql://nowhere", redis_url=redis_url, inbox_shards=1, public_url=PUBLIC)
    made = make_app(settings, ring, clock=lambda: NOW)
    yield made
    made.extensions["ingress"].stop()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client(use_cookies=False)


def send(client: FlaskClient, name: str, topic: str, path: str | None = None, **more: Any) -> Any:
    provider, path = PROVIDERS[name], f"/api/webhooks/{path or name}"
    given: dict[str, Any] = {
        "topic": topic,
        "body": samples.make(name, topic, number=3, at=NOW),
        "secret": SECRET,
        "tenant": "",
        "delivery_id": "delivery-1",
        "now": NOW,
        "settings": samples.SETTINGS[name],
    }
    sample = Sample(**(given | more))
    method, beneath = provider.call(sample)
    sample = replace(sample, url=f"{PUBLIC}{path}{beneath}")
    return client.open(f"{path}{beneath}", method=method, data=sample.body, headers=provider.sign(sample))


def kept(queue: valkey.Client) -> list[Entry]:
    return Inbox(queue, shards=1).take(0, 100)


@pytest.mark.parametrize("name", CHANNELS)
def test_every_topic_is_taken_in_and_a_wrong_secret_is_not(client, queue, name):
    for topic in PROVIDERS[name].topics:
        assert send(client, name, topic).status_code == 200, topic
    assert send(client, name, topic, secret=b"another").status_code == 401
    entries = kept(queue)
    assert len(entries) == len(PROVIDERS[name].topics)
    assert SECRET.decode() not in str([entry.request.headers.pairs() for entry in entries])


def test_a_myntra_call_is_kept_with_its_path_and_answered_in_their_words(client, queue, sources):
    answer = send(client, "myntra", "order/readyToDispatch")
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    assert answer.get_json() == {"statusCode": 1000, "statusMessage": "Accepted", "statusType": "SUCCESS"}
    [entry] = kept(queue)
    assert entry.source_id == sources.ids["myntra"]
    assert entry.request.method == "PUT"
    assert entry.request.path == "/api/webhooks/myntra/storefront/v4/order/2240000000000003/readyToDispatch"
    assert entry.request.headers.get("access-token") == "[redacted]"


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("beneath", ["", "/", "//", "?store=MYNTRA"])
def test_a_myntra_call_without_a_path_is_not_told_that_it_succeeded(client, queue, method, beneath):
    path = f"/api/webhooks/myntra{beneath}"
    answer = client.open(path, method=method, data=b"{}", headers={"access_token": SECRET.decode()})
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (404, "call_missing")
    assert client.open(path, method=method, data=b"{}", headers={"access_token": "a guess"}).status_code == 401
    assert kept(queue) == []
    assert [one["code"] for one in refusals.recent(queue, 5)] == ["signature_mismatch", "call_missing"]


def test_a_token_in_a_myntra_path_is_no_call(client, queue, sources, app):
    sources.put("myntra/hidden", "myntra", settings={"verification": "path_token"})
    app.extensions["ingress"].listings.poll()
    base = f"/api/webhooks/myntra/hidden/{in_a_path(SECRET).decode()}"
    for beneath, status in (("", 404), ("/", 404), ("/storefront/v4/order/7", 200), ("/failureinventory/update", 200)):
        assert client.post(f"{base}{beneath}", data=b"{}").status_code == status, beneath
    assert len(kept(queue)) == 2
    assert SECRET.decode() not in str(refusals.recent(queue, 5))


def test_a_refused_token_is_not_logged(client, queue):
    assert send(client, "myntra", "order/accept", secret=b"a guess").status_code == 401
    [refused] = refusals.recent(queue, 5)
    assert refused["headers"]["access-token"] == "[redacted]"
    assert "a guess" not in str(refused)


def test_the_longest_path_that_a_call_is_beneath_is_its_source(client, queue, sources, app):
    for path in ("myntra/west", "myntra/west/two/three/four/five"):
        sources.put(path, "myntra")
    app.extensions["ingress"].listings.poll()
    for path in ("myntra/west", "myntra/west/two/three/four/five", "myntra/west/two"):
        assert send(client, "myntra", "order/accept", path).status_code == 200
    found = [entry.source_id for entry in kept(queue)]
    assert found == [sources.ids[path] for path in ("myntra/west", "myntra/west/two/three/four/five", "myntra/west")]


@pytest.mark.parametrize("path", ["shopify/orders", "robaws/a/b", "nowhere/myntra", "myntr", "/".join("abcdefgh" * 99)])
def test_only_providers_with_paths_beneath_take_them(client, path):
    answer = client.post(f"/api/webhooks/{path}", data=b"{}")
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (404, "source_unknown")


def test_a_get_of_myntras_is_405(client):
    answer = client.get("/api/webhooks/myntra/storefront/v4/packet/downloadinvoice/1")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST, PUT")


@pytest.mark.parametrize("path", ["/api/webhooks/facebook", "/facebook/webhook"])
def test_facebooks_challenge_is_answered_and_is_no_message(client, queue, path):
    query = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": "only-for-samples"}
    answer = client.get(path, query_string=query)
    assert (answer.status_code, answer.data, answer.mimetype) == (200, b"1158201444", "text/plain")
    for again in ({"hub.challenge": "2"}, {"hub.verify_token": "only-for-samples"}, {"hub.mode": "subscribe"}):
        twice = client.get(path, query_string=[*query.items(), *again.items()])
        assert (twice.status_code, twice.get_json()["error"]["code"]) == (403, "challenge_refused"), again
    refused = client.get(path, query_string=query | {"hub.verify_token": "a guess"})
    assert (refused.status_code, refused.get_json()["error"]["code"]) == (403, "challenge_refused")
    assert kept(queue) == []


def test_flipkart_signs_the_url_it_was_given_whatever_host_is_asked(client, sources, app):
    headers = {"Host": "elsewhere.example"}
    client.environ_base["HTTP_HOST"] = headers["Host"]
    assert send(client, "flipkart", "shipment_packed").status_code == 200
    sources.put("flipkart", "flipkart", settings={"url": "http://old.example/notify"})
    app.extensions["ingress"].listings.poll()
    assert send(client, "flipkart", "shipment_packed").status_code == 401
    own = {"url": "http://old.example/notify"}
    assert send(client, "flipkart", "shipment_packed", settings=own).status_code == 200


def test_flipkart_can_be_taken_from_its_own_addresses_alone(client, sources, app):
    sources.put("flipkart", "flipkart", settings={"addresses": ["203.0.113.0/24"]})
    app.extensions["ingress"].listings.poll()
    answer = send(client, "flipkart", "shipment_packed")
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (403, "address_refused")
    client.environ_base["REMOTE_ADDR"] = "203.0.113.7"
    assert send(client, "flipkart", "shipment_packed").status_code == 200


BY_PATH = {"verification": "path_token"}


@pytest.mark.parametrize("name", ["selloship", "myntra"])
def test_a_token_in_the_path_opens_the_door_and_is_kept_nowhere(client, queue, sources, app, name):
    sources.put(name, name, settings=BY_PATH)
    app.extensions["ingress"].listings.poll()
    topic = PROVIDERS[name].topics[0]
    assert send(client, name, topic, settings=BY_PATH).status_code == 200
    [entry] = kept(queue)
    assert entry.request.path.startswith(f"/api/webhooks/{name}/[redacted]")
    wrong = send(client, name, topic, settings=BY_PATH, secret=b"somebodys-guess")
    assert (wrong.status_code, wrong.get_json()["error"]["code"]) == (401, "signature_mismatch")
    assert client.post(f"/api/webhooks/{name}", data=b"{}").status_code == 401
    everything = str(queue.xrange("crossdock:refusals")) + str(refusals.recent(queue, 9)) + str(entry)
    assert SECRET.decode() not in everything
    assert "somebodys-guess" not in everything
    assert refusals.recent(queue, 9)[1]["path"].startswith(f"/api/webhooks/{name}/[redacted]")


def test_a_token_in_a_path_that_takes_none_or_leads_nowhere_is_not_logged(client, queue):
    token = SECRET.decode()
    for path in (f"selloship/{token}", f"selloship/{token}/more", f"selloshipp/{token}", f"nowhere/x/{token}/y"):
        answer = client.post(f"/api/webhooks/{path}", data=b"{}")
        assert (answer.status_code, answer.get_json()["error"]["code"]) == (404, "source_unknown")
    client.post("/api/webhooks/nowhere/orders", data=b"{}")
    shown = [one["path"] for one in refusals.recent(queue, 9)]
    assert token not in str(shown)
    assert shown[0] == "/api/webhooks/nowhere/orders"


def test_a_source_may_be_open_to_its_own_addresses_alone(client, queue, sources, app):
    sources.put(
        "selloship", "selloship", settings={"verification": "none_with_ip_allowlist", "addresses": ["203.0.113.0/24"]}
    )
    app.extensions["ingress"].listings.poll()
    body = samples.make("selloship", "WAYBILL_STATUS", number=3, at=NOW)
    answer = client.post("/api/webhooks/selloship", data=body)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (403, "address_refused")
    client.environ_base["REMOTE_ADDR"] = "203.0.113.7"
    assert client.post("/api/webhooks/selloship", data=body).status_code == 200
    assert len(kept(queue)) == 1
