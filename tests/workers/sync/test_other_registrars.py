"""Robaws' endpoint and a Facebook page are registered and kept; for the others a person is told what to enter."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from sqlalchemy import text

from shared import connections, sources
from shared.db.engine import transaction
from shared.providers.registry import PROVIDERS
from shared.registrations import list_registrations
from shared.upstream_work import Kind
from tests import envelopes
from tests.doubles.facebook import Facebook
from tests.doubles.robaws import Robaws
from tests.doubles.served import Fault, Served
from tests.waiting import until
from tests.workers.sync.conftest import Rig
from workers.inbound.drain import drain
from workers.sync.facebook_webhooks import FIELDS


@pytest.fixture
def robaws(rig: Rig) -> Iterator[Robaws]:
    with Robaws() as made:
        rig.set(robaws_url=made.url())
        yield made


@pytest.fixture
def facebook(rig: Rig) -> Iterator[Facebook]:
    with Facebook() as made:
        rig.set(facebook_url=made.url())
        yield made


ARN = "arn:aws:sns:eu-west-1:123456789012:orders"
SETTINGS: dict[str, dict[str, Any]] = {"amazon": {"topicArns": [ARN]}}


def connect(
    rig: Rig,
    provider: str,
    tenant: str,
    secret: str,
    credentials: dict[str, str],
    *,
    own: dict[str, Any] | None = None,
) -> None:
    """Have the rig stand for an integration of another provider."""
    with transaction(rig.context.engine) as connection:
        source = sources.create(
            connection,
            rig.context.ring,
            account_id=rig.account,
            provider=provider,
            secrets=[secret],
            settings=SETTINGS.get(provider) if own is None else own,
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
HERE = "http://127.0.0.1:61001/api/webhooks/robaws"


def asked(double: Served) -> list[str]:
    """What was asked since the last time, by method."""
    methods = [one.method for one in double.asked]
    double.asked.clear()
    return methods


def test_robaws_endpoint_is_made_once_and_its_secret_becomes_the_sources_newest(rig: Rig, robaws: Robaws) -> None:
    connect(rig, "robaws", "acme", "old", ROBAWS)
    assert rig.do(Kind.REGISTRATION)["state"] == "done"
    [endpoint] = robaws.endpoints
    assert endpoint.url == HERE
    assert set(endpoint.events) == set(PROVIDERS["robaws"].topics)
    assert secrets(rig) == [endpoint.secret.encode(), b"old"]
    assert set(states(rig).values()) == {("registered", endpoint.id, 0)}
    assert asked(robaws) == ["GET", "POST"]
    rig.do(Kind.REGISTRATION)
    assert asked(robaws) == ["GET"]


def test_an_endpoint_asks_for_what_its_source_takes_and_no_more(rig: Rig, robaws: Robaws) -> None:
    connect(rig, "robaws", "acme", "old", ROBAWS)
    with transaction(rig.context.engine) as connection:
        connection.execute(text("UPDATE sources SET allowed_topics = ARRAY['article.created', 'article.updated']"))
    rig.do(Kind.REGISTRATION)
    [endpoint] = robaws.endpoints
    assert endpoint.events == ["article.created", "article.updated"] == sorted(states(rig))


def test_an_endpoint_whose_secret_nobody_knows_is_made_anew_however_many_others_there_are(
    rig: Rig, robaws: Robaws
) -> None:
    connect(rig, "robaws", "acme", "old", ROBAWS)
    for number in range(150):
        robaws.make(f"https://elsewhere.example/{number}", ["client.created"])
    lost = robaws.make(HERE, ["client.created"])
    rig.do(Kind.REGISTRATION)
    assert lost not in robaws.endpoints
    assert [one.url for one in robaws.endpoints].count(HERE) == 1
    assert len(robaws.endpoints) == 151
    asked(robaws)
    rig.do(Kind.REGISTRATION)
    assert asked(robaws) == ["GET", "GET"]


def test_an_endpoint_whose_making_was_not_answered_is_made_anew(rig: Rig, robaws: Robaws) -> None:
    connect(rig, "robaws", "acme", "old", ROBAWS)
    robaws.faults.append(Fault(500, after=True, method="POST"))
    failed = rig.do(Kind.REGISTRATION)
    assert (failed["error_code"], asked(robaws)) == ("server_error", ["GET", "POST"])
    rig.now = failed["due_at"]
    rig.run()
    [endpoint] = robaws.endpoints
    assert secrets(rig)[0] == endpoint.secret.encode()


def test_a_suspended_endpoint_is_put_back_with_an_alert(rig: Rig, robaws: Robaws) -> None:
    connect(rig, "robaws", "acme", "old", ROBAWS)
    rig.do(Kind.REGISTRATION)
    robaws.suspend(robaws.endpoints[0])
    rig.forward(hours=25)
    rig.run()
    assert len(robaws.endpoints) == 1
    assert {drops for _, _, drops in states(rig).values()} == {1}
    assert [row["kind"] for row in rig.rows("SELECT kind FROM alerts")] == ["registration.dropped"]


def test_a_suspended_endpoint_is_told_of_though_its_making_anew_was_not_answered(rig: Rig, robaws: Robaws) -> None:
    connect(rig, "robaws", "acme", "old", ROBAWS)
    rig.do(Kind.REGISTRATION)
    robaws.suspend(robaws.endpoints[0])
    rig.forward(hours=25)
    robaws.faults.append(Fault(500, after=True, method="POST"))
    rig.run()
    rig.now = rig.standing(Kind.REGISTRATION)["due_at"]
    rig.run()
    assert len(robaws.endpoints) == 1
    assert {drops for _, _, drops in states(rig).values()} == {1}
    assert [row["kind"] for row in rig.rows("SELECT kind FROM alerts")] == ["registration.dropped"]
    rig.forward(hours=25)
    rig.run()
    assert {drops for _, _, drops in states(rig).values()} == {1}


@pytest.mark.parametrize("pair", [("key", "wrong"), ("member", "member-secret")])
def test_wrong_credentials_end_it(rig: Rig, robaws: Robaws, pair: tuple[str, str]) -> None:
    connect(rig, "robaws", "acme", "old", dict(zip(("api_key", "api_secret"), pair, strict=True)))
    assert rig.do(Kind.REGISTRATION)["error_code"] == "denied"
    assert pair[1] not in str(rig.rows("SELECT message FROM alerts"))
    assert asked(robaws) == ["GET"]


def test_what_robaws_asks_us_to_wait_is_waited(rig: Rig, robaws: Robaws) -> None:
    connect(rig, "robaws", "acme", "old", ROBAWS)
    robaws.left = 0
    failed = rig.do(Kind.REGISTRATION)
    assert failed["error_code"] == "too_many_requests"
    assert (failed["due_at"] - rig.now).total_seconds() >= 30
    assert asked(robaws) == ["GET"]


def test_what_is_registered_is_posted_signed_and_becomes_records_and_events(served: Rig, robaws: Robaws) -> None:
    connect(served, "robaws", "acme", "old", ROBAWS)
    served.do(Kind.REGISTRATION)
    client = robaws.add_client(name="Lindenhof BV", email="zoe@lindenhof.example")
    robaws.change_client(client, email="new@lindenhof.example")
    article = robaws.add_article(stock=40)
    robaws.count_stock(article, 39)
    # The source and its secret are known within a second: then what is unsigned is refused (401), and not lost (404).
    until(lambda: requests.post(robaws.endpoints[0].url, b"{}", timeout=5).status_code == 401, what="the source")
    assert robaws.post()
    for shard in range(4):
        drain(served.context, shard, clock=lambda: served.now)
    [user], [kept] = served.rows("SELECT * FROM users"), served.rows("SELECT * FROM articles")
    assert (user["external_id"], user["email"]) == (client, "new@lindenhof.example")
    assert (kept["external_id"], kept["stock"]) == (article, 39)
    told = [envelopes.read(row["body"])["event"] for row in served.rows("SELECT body FROM events ORDER BY id")]
    assert told == ["user.created", "user.updated", "article.created", "article.updated"]


def test_a_facebook_page_subscribes_what_it_did_not_and_keeps_what_it_did(rig: Rig, facebook: Facebook) -> None:
    connect(rig, "facebook", "1001", "app-secret", {"page_token": "page-token"})
    facebook.subscribed = {"leadgen"}
    assert rig.do(Kind.REGISTRATION)["state"] == "done"
    assert facebook.subscribed == {"leadgen", *FIELDS}
    assert states(rig)["messages"] == ("registered", "1001", 0)
    assert states(rig)["callback"][0] == "by_hand"
    asked(facebook)
    rig.do(Kind.REGISTRATION)
    assert asked(facebook) == ["GET"]
    facebook.subscribed = set()
    rig.do(Kind.REGISTRATION)
    assert states(rig)["messages"] == ("registered", "1001", 1)


def test_fields_that_a_page_dropped_are_told_of_though_putting_them_back_was_not_answered(
    rig: Rig, facebook: Facebook
) -> None:
    connect(rig, "facebook", "1001", "app-secret", {"page_token": "page-token"})
    rig.do(Kind.REGISTRATION)
    facebook.subscribed -= {"feed", "messages"}
    rig.forward(hours=25)
    facebook.faults.append(Fault(400, after=True, method="POST"))
    rig.run()
    assert facebook.subscribed == set(FIELDS)
    assert rig.standing(Kind.REGISTRATION)["state"] == "failed"
    rig.do(Kind.REGISTRATION)
    assert {field: states(rig)[field][2] for field in FIELDS} == {
        field: int(field in ("feed", "messages")) for field in FIELDS
    }
    [alert] = rig.rows("SELECT detail FROM alerts WHERE kind = 'registration.dropped'")
    assert alert["detail"]["topics"] == ["feed", "messages"]
    rig.do(Kind.REGISTRATION)
    assert states(rig)["feed"] == ("registered", "1001", 1)


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
