"""Robaws' endpoint and a Facebook page are registered and kept; for the others a person is told what to enter."""

import base64
import hashlib
import hmac
import itertools
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask, Response, request
from sqlalchemy import text
from werkzeug.serving import make_server

from shared import connections, sources
from shared.db.engine import transaction
from shared.providers.registry import PROVIDERS
from shared.registrations import list_registrations
from shared.upstream_work import Kind
from tests.workers.sync.conftest import Rig
from workers.sync.facebook_webhooks import FIELDS


class Upstreams:
    """Robaws and Facebook's Graph API: stateful, and as strict about who asks as they are."""

    def __init__(self) -> None:
        self.endpoints: list[dict[str, Any]] = []
        self.subscribed: set[str] = set()
        self.calls: list[str] = []
        self.numbers = itertools.count(1)
        app = Flask("upstreams")
        app.add_url_rule("/api/v2/webhook-endpoints", view_func=self._endpoints, methods=["GET", "POST"])
        app.add_url_rule("/api/v2/webhook-endpoints/<id>", view_func=self._endpoint, methods=["DELETE"])
        app.add_url_rule("/<page>/subscribed_apps", view_func=self._page, methods=["GET", "POST"])
        self.app = app

    def _refused(self) -> Response | None:
        self.calls.append(request.method)
        wanted = base64.b64encode(b"key:secret").decode()
        return None if request.headers.get("Authorization") == f"Basic {wanted}" else Response("{}", 401)

    def _endpoints(self) -> Any:
        if refused := self._refused():
            return refused
        if request.method == "GET":
            return {"items": [{key: one[key] for key in ("id", "url", "events")} for one in self.endpoints]}
        asked = request.get_json()
        made = {"id": str(next(self.numbers)), **asked, "secret": f"told-once-{len(self.calls)}"}
        self.endpoints.append(made)
        return made, 201

    def _endpoint(self, id: str) -> Any:  # noqa: A002  # the path's own word
        if refused := self._refused():
            return refused
        self.endpoints = [one for one in self.endpoints if one["id"] != id]
        return Response("", 204)

    def _page(self, page: str) -> Any:
        self.calls.append(request.method)
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        proof = hmac.new(b"app-secret", token.encode(), hashlib.sha256).hexdigest()
        if page != "1001" or token != "page-token" or request.args.get("appsecret_proof") != proof:
            return {"error": {"message": "Invalid appsecret_proof"}}, 400
        if request.method == "POST":
            self.subscribed = set(request.form["subscribed_fields"].split(","))
            return {"success": True}
        return {"data": [{"id": "7", "subscribed_fields": sorted(self.subscribed)}] if self.subscribed else []}


@pytest.fixture
def upstreams(rig: Rig) -> Iterator[Upstreams]:
    made = Upstreams()
    server = make_server("127.0.0.1", 0, made.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.port}"
    rig.set(robaws_url=url, facebook_url=url)
    yield made
    server.shutdown()
    server.server_close()
    thread.join(5)


SETTINGS: dict[str, dict[str, Any]] = {"amazon": {"topicArns": ["arn:aws:sns:eu-west-1:123456789012:orders"]}}


def connect(rig: Rig, provider: str, tenant: str, secret: str, credentials: dict[str, str]) -> None:
    """Have the rig stand for an integration of another provider."""
    with transaction(rig.context.engine) as connection:
        source = sources.create(
            connection,
            rig.context.ring,
            account_id=rig.account,
            provider=provider,
            secrets=[secret],
            settings=SETTINGS.get(provider),
            now=rig.now,
        )[0]["id"]
        joinable = connections.joinable(connection, rig.context.ring, source, now=rig.now)
        rig.source = source
        rig.integration = connections.connect(
            connection,
            rig.context.ring,
            joinable,
            tenant=tenant,
            credentials=credentials,
            detail={},
            work=(),
            actor="test",
            now=rig.now,
        )["id"]


def secrets(rig: Rig) -> list[bytes]:
    with transaction(rig.context.engine) as connection:
        return list(connections.joinable(connection, rig.context.ring, rig.source, now=rig.now).secrets)


def states(rig: Rig) -> dict[str, tuple[str, str | None, int]]:
    with transaction(rig.context.engine) as connection:
        rows = list_registrations(connection, rig.integration)
    return {row["topic"]: (row["state"], row["external_id"], row["drops"]) for row in rows}


ROBAWS = {"api_key": "key", "api_secret": "secret"}


def test_robaws_endpoint_is_made_once_and_its_secret_becomes_the_sources_newest(rig: Rig, upstreams: Upstreams) -> None:
    connect(rig, "robaws", "acme", "old", ROBAWS)
    assert rig.do(Kind.REGISTRATION)["state"] == "done"
    [endpoint] = upstreams.endpoints
    assert endpoint["url"] == "http://127.0.0.1:61001/api/webhooks/robaws"
    assert set(endpoint["events"]) == set(PROVIDERS["robaws"].topics)
    assert secrets(rig) == [endpoint["secret"].encode(), b"old"]
    assert set(states(rig).values()) == {("registered", endpoint["id"], 0)}
    upstreams.calls.clear()
    rig.do(Kind.REGISTRATION)
    assert upstreams.calls == ["GET"]


def test_an_endpoint_asks_for_what_its_source_takes_and_no_more(rig: Rig, upstreams: Upstreams) -> None:
    connect(rig, "robaws", "acme", "old", ROBAWS)
    with transaction(rig.context.engine) as connection:
        connection.execute(text("UPDATE sources SET allowed_topics = ARRAY['article.created', 'article.updated']"))
    rig.do(Kind.REGISTRATION)
    [endpoint] = upstreams.endpoints
    assert endpoint["events"] == ["article.created", "article.updated"] == sorted(states(rig))


def test_an_endpoint_whose_secret_nobody_knows_is_made_anew(rig: Rig, upstreams: Upstreams) -> None:
    connect(rig, "robaws", "acme", "old", ROBAWS)
    lost = {"id": "99", "url": "http://127.0.0.1:61001/api/webhooks/robaws", "events": [], "secret": "?"}
    other = {"id": "98", "url": "https://elsewhere.example", "events": [], "secret": "?"}
    upstreams.endpoints += [lost, other]
    rig.do(Kind.REGISTRATION)
    assert [one["id"] for one in upstreams.endpoints] == ["98", "1"]


def test_a_suspended_endpoint_is_put_back_with_an_alert(rig: Rig, upstreams: Upstreams) -> None:
    connect(rig, "robaws", "acme", "old", ROBAWS)
    rig.do(Kind.REGISTRATION)
    upstreams.endpoints.clear()
    rig.forward(hours=25)
    rig.run()
    assert len(upstreams.endpoints) == 1
    assert {drops for _, _, drops in states(rig).values()} == {1}
    assert [row["kind"] for row in rig.rows("SELECT kind FROM alerts")] == ["registration.dropped"]


def test_wrong_credentials_end_it(rig: Rig, upstreams: Upstreams) -> None:
    connect(rig, "robaws", "acme", "old", {"api_key": "key", "api_secret": "wrong"})
    assert rig.do(Kind.REGISTRATION)["error_code"] == "denied"
    connect_without = rig.rows("SELECT message FROM alerts")
    assert "wrong" not in str(connect_without)
    assert upstreams.calls == ["GET"]


def test_a_facebook_page_subscribes_what_it_did_not_and_keeps_what_it_did(rig: Rig, upstreams: Upstreams) -> None:
    connect(rig, "facebook", "1001", "app-secret", {"page_token": "page-token"})
    upstreams.subscribed = {"leadgen"}
    assert rig.do(Kind.REGISTRATION)["state"] == "done"
    assert upstreams.subscribed == {"leadgen", *FIELDS}
    assert states(rig)["messages"] == ("registered", "1001", 0)
    assert states(rig)["callback"][0] == "by_hand"
    upstreams.calls.clear()
    rig.do(Kind.REGISTRATION)
    assert upstreams.calls == ["GET"]
    upstreams.subscribed = set()
    rig.do(Kind.REGISTRATION)
    assert states(rig)["messages"] == ("registered", "1001", 1)


@pytest.mark.parametrize(
    ("provider", "words"), [("amazon", "raw message delivery off"), ("flipkart", "VAPT certificate")]
)
def test_where_there_is_no_api_a_person_is_told_what_to_enter(rig: Rig, provider: str, words: str) -> None:
    connect(rig, provider, "A1", "secret", {})
    assert rig.do(Kind.REGISTRATION)["state"] == "done"
    rows = rig.rows("SELECT * FROM registrations")
    assert rows
    for row in rows:
        assert row["state"] == "by_hand"
        assert words in row["note"]
        assert f"http://127.0.0.1:61001/api/webhooks/{provider}" in row["note"]


def test_the_very_values_for_a_queue_that_amazon_writes_to_are_shown(rig: Rig) -> None:
    connect(rig, "amazon", "A2QUAYSIDE77X", "secret", {})
    rig.set(public_url="")  # nobody posts to us
    rig.execute(
        "UPDATE sources SET settings = :settings WHERE provider = 'amazon'",
        settings=json.dumps(
            {"sqs": {"queueUrl": "https://sqs.eu-west-1.amazonaws.com/111122223333/inbox", "region": "eu-west-1"}}
        ),
    )
    assert rig.do(Kind.REGISTRATION)["state"] == "done"
    notes = {row["topic"]: row["note"] for row in rig.rows("SELECT topic, note FROM registrations")}
    assert set(notes) == {"ORDER_CHANGE", "FEED_PROCESSING_FINISHED", "REPORT_PROCESSING_FINISHED"}
    for topic, note in notes.items():
        assert '"arn":"arn:aws:sqs:eu-west-1:111122223333:inbox"' in note
        assert f"/notifications/v1/subscriptions/{topic} " in note
        assert "437568002678" in note
        assert "A2QUAYSIDE77X" in note
    assert '"payloadVersion":"1.0"' in notes["ORDER_CHANGE"]
    assert '"payloadVersion":"2020-09-04"' in notes["REPORT_PROCESSING_FINISHED"]
