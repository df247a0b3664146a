"""The ingress through Flask's test client, on a real Valkey and no database."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from shared import inbox, queues, refusals, valkey
from shared.clock import to_json
from shared.crypto import KeyRing
from shared.inbox import Entry, Inbox
from shared.providers import samples
from shared.providers.contract import Sample
from shared.providers.registry import PROVIDERS
from shared.settings import Settings
from tests.web.sources import SECRET, SHOP, Directory
from web.ingress import ALIASES, make_app

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return Settings(database_url="postgresql://nowhere", redis_url=redis_url, inbox_shards=1, max_body_bytes=20_000)


@pytest.fixture
def sources(queue: valkey.Client, ring: KeyRing) -> Directory:
    directory = Directory(queue, ring)
    directory.put("shopify")
    directory.put("robaws/customers", "robaws")
    return directory


@pytest.fixture
def app(settings: Settings, ring: KeyRing, clock: Clock, sources: Directory) -> Iterator[Flask]:
    made = make_app(settings, ring, clock=clock)
    yield made
    made.extensions["ingress"].stop()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client(use_cookies=False)


def sample(provider: str = "shopify", topic: str = "customers/update", **more: Any) -> Sample:
    given: dict[str, Any] = {
        "topic": topic,
        "body": more.get("body") or samples.make(provider, topic, number=3, at=NOW),
        "secret": SECRET,
        "tenant": SHOP,
        "delivery_id": "delivery-1",
        "now": NOW,
    }
    return Sample(**(given | more))


def post(client: FlaskClient, path: str = "/api/webhooks/shopify", given: Sample | None = None, **more: Any) -> Any:
    given = given or sample()
    provider = more.pop("provider", "shopify")
    headers = more.pop("headers", None)
    return client.post(path, data=given.body, headers=PROVIDERS[provider].sign(given) if headers is None else headers)


def kept(queue: valkey.Client, shard: int = 0) -> list[Entry]:
    return Inbox(queue, shards=1).take(shard, 100)


def test_a_genuine_webhook_is_kept_as_it_came_before_the_200(client, queue, sources):
    given = sample()
    answer = post(client, given=given)
    assert answer.status_code == 200
    [entry] = kept(queue)
    assert answer.get_json() == {"received": True, "id": str(entry.message_id)}
    assert entry.source_id == sources.ids["shopify"]
    assert entry.received_at == NOW
    assert entry.request.body == given.body
    assert entry.request.path == "/api/webhooks/shopify"
    assert entry.request.headers.get("X-Shopify-Topic") == "customers/update"
    assert entry.request.headers.get("Content-Type") == "application/json"
    assert queue.hget(queues.COUNTERS, "accepted") == b"1"


def test_a_robaws_webhook_is_accepted_within_its_tolerance_only(client, queue, clock):
    given = sample("robaws", "client.updated")
    assert post(client, "/api/webhooks/robaws/customers", given, provider="robaws").status_code == 200
    clock.now = NOW + timedelta(minutes=6)
    late = post(client, "/api/webhooks/robaws/customers", given, provider="robaws")
    assert late.status_code == 401
    assert late.get_json()["error"]["code"] == "timestamp_expired"
    assert len(kept(queue)) == 1


@pytest.mark.parametrize("alias", [alias for alias, path in ALIASES.items() if path == "shopify"])
def test_an_alias_leads_to_the_source_and_its_topic_is_not_trusted(client, queue, sources, alias):
    assert post(client, alias).status_code == 200
    [entry] = kept(queue)
    assert entry.source_id == sources.ids["shopify"]
    assert entry.request.headers.get("X-Shopify-Topic") == "customers/update"


def test_an_alias_without_its_source_is_not_there(client):
    answer = post(client, "/facebook/webhook")
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (404, "source_unknown")


REFUSED = [
    ("signature_missing", {"X-Shopify-Hmac-Sha256": None}),
    ("signature_malformed", {"X-Shopify-Hmac-Sha256": "not base64!"}),
    ("signature_malformed", {"X-Shopify-Hmac-Sha256": "ümläut"}),
    ("signature_mismatch", {"X-Shopify-Hmac-Sha256": "AAAA"}),
    ("header_duplicated", {"X-Shopify-Hmac-Sha256": "AAAA,AAAA"}),
    ("tenant_unknown", {"X-Shopify-Shop-Domain": "south.myshopify.com"}),
    ("tenant_unknown", {"X-Shopify-Shop-Domain": None}),
    ("tenant_unknown", {"X-Shopify-Shop-Domain": f"{SHOP},{SHOP}"}),
]


@pytest.mark.parametrize(("code", "changed"), REFUSED)
def test_k3_what_is_not_genuine_is_refused_and_logged_and_not_kept(client, queue, sources, code, changed):
    given = sample()
    headers = [(key, changed.get(key, value)) for key, value in PROVIDERS["shopify"].sign(given)]
    answer = post(client, given=given, headers=[(key, value) for key, value in headers if value is not None])
    assert answer.status_code == 401
    assert answer.get_json()["error"]["code"] == code
    assert answer.get_json()["error"]["message"]
    assert kept(queue) == []
    [logged] = refusals.recent(queue, 10)
    assert logged["code"] == code
    assert logged["sourceId"] == str(sources.ids["shopify"])
    assert logged["bodyStart"].startswith('{"id":')
    assert queue.hget(queues.COUNTERS, f"refused:{code}") == b"1"


def test_a_shop_is_known_in_any_case(client):
    assert post(client, given=sample(tenant=SHOP.upper())).status_code == 200


def test_a_source_that_takes_any_shop_takes_any(client, sources, app):
    sources.put("shopify", tenants=None)
    app.extensions["ingress"].listings.poll()
    assert post(client, given=sample(tenant="new.myshopify.com")).status_code == 200


def test_an_unknown_path_is_404_and_an_inactive_source_403(client, sources, app, queue):
    assert post(client, "/api/webhooks/nowhere").status_code == 404
    assert client.get("/favicon.ico").get_json() == {
        "error": {"code": "not_found", "message": "There is nothing here."}
    }
    sources.put("shopify", active=False)
    app.extensions["ingress"].listings.poll()
    answer = post(client)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (403, "source_inactive")
    assert kept(queue) == []


def test_a_provider_nobody_knows_any_more_is_503_so_that_nothing_is_lost(client, sources, app):
    sources.put("old", "gone")
    app.extensions["ingress"].listings.poll()
    answer = post(client, "/api/webhooks/old")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")


def test_another_method_is_405(client):
    answer = client.get("/api/webhooks/shopify")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert answer.get_json()["error"]["code"] == "method_refused"


def test_a_body_over_the_cap_is_413(client, queue):
    answer = post(client, given=sample(body=b" " * 20_001))
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (413, "body_too_large")
    assert kept(queue) == []
    assert post(client, given=sample(body=b" " * 20_000)).status_code == 200


def test_a_genuine_body_called_what_nobody_reads_is_415_and_seen_in_the_log(client, queue, sources, app):
    headers = {**dict(PROVIDERS["shopify"].sign(sample())), "Content-Type": "text/xml"}
    answer = post(client, headers=headers)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (415, "content_type_unsupported")
    assert "text/xml is not taken here, but one of application/json" in answer.get_json()["error"]["message"]
    forged = headers | {"X-Shopify-Hmac-Sha256": "AAAA"}
    assert post(client, headers=forged).get_json()["error"]["code"] == "signature_mismatch"
    assert [entry["code"] for entry in refusals.recent(queue, 2)] == ["signature_mismatch", "content_type_unsupported"]
    assert kept(queue) == []
    sources.put("shopify", settings={"anyContentType": True})
    app.extensions["ingress"].listings.poll()
    assert post(client, headers=headers).status_code == 200
    assert [entry.request.headers.get("Content-Type") for entry in kept(queue)] == ["text/xml"]


def test_an_empty_body_is_refused(client):
    answer = post(client, given=replace(sample(), body=b""))
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (401, "body_empty")


def test_over_the_rate_is_429_with_retry_after(client, sources, app, queue):
    sources.put("shopify", rate_per_second=2)
    app.extensions["ingress"].listings.poll()
    answers = [post(client) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[-1].headers["Retry-After"] == "1"
    assert len(kept(queue)) == 2


def test_a_full_inbox_is_503_with_retry_after(settings, ring, clock, sources, queue):
    app = make_app(settings.model_copy(update={"inbox_max_length": 1}), ring, clock=clock)
    client = app.test_client()
    assert post(client).status_code == 200
    answer = post(client)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (503, "queue_full")
    assert answer.headers["Retry-After"] == "5"
    assert len(kept(queue)) == 1
    app.extensions["ingress"].stop()


def test_k3_a_new_secret_counts_and_an_expired_one_does_not(client, sources, app, clock):
    listings = app.extensions["ingress"].listings
    new = sample(secret=b"the new secret")
    assert post(client, given=new).status_code == 401
    end = to_json(NOW + timedelta(hours=1))
    sources.put("shopify", secrets=((b"the new secret", None), (SECRET, end)))
    assert listings.poll()
    assert [post(client, given=given).status_code for given in (new, sample())] == [200, 200]
    clock.now = NOW + timedelta(hours=1)
    assert listings.poll()
    assert [post(client, given=given).status_code for given in (new, sample())] == [200, 401]
    assert not listings.poll()


def test_the_last_directory_counts_while_the_queue_is_emptied(client, app, queue):
    queue.flushall()
    assert not app.extensions["ingress"].listings.poll()
    assert post(client).status_code == 200


def test_a_directory_published_again_after_a_flush_is_read(client, app, queue, sources, ring):
    listings = app.extensions["ingress"].listings
    queue.flushall()
    listings.poll()
    # The version starts again and comes to what was known before the flush.
    Directory(queue, ring).put("other")
    queue.incr(queues.DIRECTORY_VERSION)
    assert listings.poll()
    assert list(listings.by_path) == ["other"]


def test_before_any_directory_is_known_it_is_503(settings, ring, clock, queue):
    queue.flushall()
    app = make_app(settings, ring, clock=clock)
    client = app.test_client()
    answer = post(client)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert client.get("/healthz").status_code == 503
    app.extensions["ingress"].stop()


def test_healthz_says_that_webhooks_can_be_taken(client):
    assert client.get("/healthz").status_code == 200


def test_credentials_are_not_kept_with_the_message(client, queue, sources, app):
    sources.put("token", "generic", settings={"scheme": {"mode": "static_header", "header": "X-Token"}})
    app.extensions["ingress"].listings.poll()
    headers = {"X-Token": SECRET.decode(), "Authorization": "Bearer abc", "Cookie": "a=b", "X-Plain": "yes"}
    assert client.post("/api/webhooks/token", data=b"{}", headers=headers).status_code == 200
    [entry] = kept(queue)
    assert [entry.request.headers.get(name) for name in headers] == ["[redacted]"] * 3 + ["yes"]
    assert client.post("/api/webhooks/token", data=b"{}", headers=headers | {"X-Token": "guess"}).status_code == 401
    [refused] = refusals.recent(queue, 5)
    assert refused["headers"]["x-token"] == "[redacted]"


def test_slacks_signed_question_is_answered_and_is_no_message(client, queue, sources, app):
    sources.put("slack", "generic", settings={"preset": "slack"})
    app.extensions["ingress"].listings.poll()
    body = b'{"type":"url_verification","challenge":"3eZbrw1a","token":"x"}'
    given = sample(body=body, settings={"preset": "slack"}, topic="url_verification")
    answer = post(client, "/api/webhooks/slack", given, provider="generic")
    assert (answer.status_code, answer.data, answer.mimetype) == (200, b"3eZbrw1a", "text/plain")
    assert kept(queue) == []
    forged = post(client, "/api/webhooks/slack", replace(given, secret=b"x"), provider="generic")
    assert forged.status_code == 401


def test_the_drain_is_ordered_once_while_its_flag_is_up(app, client, queue, monkeypatch):
    sent: list[int] = []
    monkeypatch.setattr(app.extensions["ingress"], "_orders", SimpleNamespace(put=sent.append))
    for number in range(3):
        assert post(client, given=sample(delivery_id=str(number))).status_code == 200
    assert sent == [0]
    Inbox(queue, shards=1).lower_wake(0)
    post(client)
    assert sent == [0, 0]


def test_a_broken_inbox_is_503_and_never_500(client, app, monkeypatch):
    def down(arrivals: list[object]) -> list[object]:
        return [inbox.QueueUnavailable("down") for _ in arrivals]

    monkeypatch.setattr(app.extensions["ingress"].inbox, "append_all", down)
    answer = post(client)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_what_nobody_expected_is_a_plain_500_on_either_way_in(client, app, monkeypatch, method):
    def burst(*_: object, **__: object) -> None:
        raise RuntimeError("a secret of ours")

    monkeypatch.setattr(app.extensions["ingress"], "receive", burst)
    answer = client.open("/api/webhooks/shopify", method=method, data=b"{}")
    assert (answer.status_code, answer.json["error"]["code"]) == (500, "internal")
    assert b"secret" not in answer.data


def test_a_webhook_does_not_go_through_flask_and_all_else_does(client, app, monkeypatch):
    seen = []
    monkeypatch.setattr(app.wsgi_app, "flask", lambda environ, _: seen.append(environ["PATH_INFO"]) or [])
    assert post(client).status_code == 200
    for path in ("/healthz", "/api/webhooks/nowhere", "/nowhere"):
        app.wsgi_app({"PATH_INFO": path, "REQUEST_METHOD": "POST"}, None)
    app.wsgi_app({"PATH_INFO": "/api/webhooks/shopify", "REQUEST_METHOD": "PUT"}, None)
    assert seen == ["/healthz", "/api/webhooks/nowhere", "/nowhere", "/api/webhooks/shopify"]


def test_the_refusals_are_bounded_in_rate_and_number_but_all_counted(queue, client):
    for _ in range(refusals.LOGGED_PER_SECOND + 10):
        client.post("/api/webhooks/nowhere", data=b"{}")
    counted = int(queue.hget(queues.COUNTERS, "refused:source_unknown"))
    assert counted == refusals.LOGGED_PER_SECOND + 10
    # A second may have turned over meanwhile.
    assert len(refusals.recent(queue, 100)) <= counted
    assert queue.pttl(f"{queues.REFUSALS}:rate") <= 1000


def test_refusals_are_paged_newest_first_and_by_account(queue, client):
    for number in range(5):
        client.post(f"/api/webhooks/nowhere/{number}", data=b"{}")
    post(client, headers=[])
    first = refusals.recent(queue, 2)
    rest = refusals.recent(queue, 10, first[-1]["id"])
    assert [entry["path"] for entry in first + rest][1:] == [f"/api/webhooks/nowhere/{n}" for n in (4, 3, 2, 1, 0)]
    assert [entry["code"] for entry in refusals.recent(queue, 10, account_id="account-1")] == ["signature_missing"]
    assert refusals.recent(queue, 10, account_id="account-2") == []
