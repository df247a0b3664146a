"""A topic that asks is confirmed at SNS, if the source allows it; SNS is its double, over HTTP."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest
import requests
from sqlalchemy import Engine, text

from shared import valkey
from shared.clock import to_json
from shared.crypto import KeyRing
from shared.egress.calls import Reply
from shared.ids import new_id
from shared.inbox import Inbox, shard_of
from shared.providers import sns
from shared.providers.contract import Headers, Request
from shared.settings import Settings
from tests.doubles.served import Fault
from tests.doubles.sns import TOPIC, Sns, serving
from tests.workers import rows
from tests.workers.rows import NOW
from workers.context import Context
from workers.inbound.drain import drain
from workers.sync.sns import confirm
from workers.sync.upstream import UpstreamFailed, judge

ENDPOINT = "https://hooks.example.com/api/webhooks/amazon"


@dataclass
class Dock:
    context: Context
    source_id: UUID
    sns: Sns
    faults: deque[Fault]

    def post(self, body: bytes) -> UUID:
        """What the ingress appends once it has verified it, and the drain takes in."""
        message_id, shards = new_id(), self.context.settings.inbox_shards
        self.context.inbox.append(
            message_id=message_id,
            source_id=str(self.source_id),
            tenant="",
            request=Request("POST", "/api/webhooks/amazon", Headers(), body),
            received_at=NOW,
            max_length=100,
            rate_per_second=0,
        )
        drain(self.context, shard_of(str(self.source_id), "", shards), clock=lambda: NOW)
        return message_id

    def ask(self, url: str) -> Reply:
        assert url.startswith("https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&")
        try:
            reply = self.sns.get(url)
        except requests.RequestException as error:
            raise UpstreamFailed("unreachable", str(error), passes=True) from error
        if failure := judge(reply):
            raise failure
        return reply

    def confirm(self, **more: Any) -> dict[str, int]:
        return confirm(self.context, **({"now": NOW + timedelta(minutes=1), "ask": self.ask} | more))

    def open(self) -> list[dict[str, Any]]:
        with self.context.engine.connect() as connection:
            query = text("SELECT kind, severity, message, detail FROM alerts WHERE resolved_at IS NULL ORDER BY id")
            return [dict(row) for row in connection.execute(query).mappings()]

    def deeds(self) -> list[tuple[str, str]]:
        with self.context.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text("SELECT action, subject_id FROM audit_log"))]


@pytest.fixture
def dock(engine: Engine, settings: Settings, queue: valkey.Client, ring: KeyRing) -> Iterator[Dock]:
    context = Context(settings, engine, queue, ring, Inbox(queue, shards=settings.inbox_shards))
    account_id = rows.account(engine)
    source_id = rows.source(engine, account_id, provider="amazon", settings={"topicArns": [TOPIC]})
    faults = deque[Fault]()
    with serving(Sns(), faults) as double:
        yield Dock(context, source_id, double, faults)


def test_an_allowed_topic_is_confirmed_once_and_written_down(dock):
    dock.post(dock.sns.subscribe(ENDPOINT, at=NOW))
    assert [(one["kind"], one["severity"]) for one in dock.open()] == [("topic.unconfirmed", "warning")]
    assert dock.confirm() == {"confirmed": 1, "failed": 0, "waiting": 0}
    assert dock.sns.confirmed == [ENDPOINT]
    assert dock.open() == []
    assert dock.deeds() == [("source.topic_confirmed", str(dock.source_id))]
    assert dock.confirm() == {"confirmed": 0, "failed": 0, "waiting": 0}
    assert len(dock.sns.asked) == 1


def test_a_topic_that_is_allowed_no_more_is_not_confirmed_and_nobody_is_asked(dock):
    dock.post(dock.sns.subscribe(ENDPOINT, at=NOW))
    with dock.context.engine.begin() as connection:
        connection.execute(text("UPDATE sources SET settings = '{\"topicArns\": []}'"))
    assert dock.confirm()["failed"] == 1
    assert dock.sns.asked == []
    [alert] = dock.open()
    assert alert["severity"] == "error"
    assert "topicArns" in alert["message"]
    assert dock.confirm() == {"confirmed": 0, "failed": 0, "waiting": 0}


def test_a_token_that_has_run_out_is_told_to_a_person(dock):
    dock.post(dock.sns.subscribe(ENDPOINT, at=NOW))
    assert dock.confirm(now=NOW + timedelta(days=4))["failed"] == 1
    assert "subscribe" in dock.open()[0]["message"]


def test_a_token_that_sns_did_not_give_is_not_asked_about_for_ever(dock):
    forged = dock.sns.subscribe(ENDPOINT, at=NOW)
    dock.sns.pending.clear()
    dock.post(forged)
    assert dock.confirm()["failed"] == 1
    assert dock.confirm() == {"confirmed": 0, "failed": 0, "waiting": 0}
    assert dock.deeds() == []


def test_while_sns_is_down_it_waits_and_is_confirmed_afterwards(dock):
    dock.post(dock.sns.subscribe(ENDPOINT, at=NOW))
    dock.sns.is_down = True
    assert dock.confirm()["waiting"] == 1
    assert dock.deeds() == []
    dock.sns.is_down = False
    assert dock.confirm()["confirmed"] == 1


@pytest.mark.parametrize(
    "fault", [Fault(429), Fault(503, after=True), Fault(silent=True), Fault(silent=True, after=True)]
)
def test_whatever_sns_does_not_say_is_asked_again_and_confirmed_once(dock, fault):
    dock.post(dock.sns.subscribe(ENDPOINT, at=NOW))
    dock.faults.append(fault)
    assert dock.confirm() == {"confirmed": 0, "failed": 0, "waiting": 1}
    assert dock.confirm()["confirmed"] == 1
    assert dock.sns.confirmed == [ENDPOINT]
    assert len(dock.deeds()) == 1


def test_an_address_in_the_message_is_not_what_is_asked(dock):
    body = orjson.loads(dock.sns.subscribe(ENDPOINT, at=NOW))
    dock.post(orjson.dumps(body | {"SubscribeURL": "http://169.254.169.254/latest"}))
    assert dock.confirm()["confirmed"] == 1


def test_a_farewell_raises_an_alert_until_the_topic_is_confirmed_again(dock):
    farewell = {"Token": "7" * 64, "SubscribeURL": "https://sns.eu-west-1.amazonaws.com/", "Timestamp": to_json(NOW)}
    message_id = dock.post(dock.sns.message(sns.UNSUBSCRIPTION, **farewell))
    assert rows.row(dock.context.engine, "messages", message_id)["state"] == "processed"
    assert [(one["kind"], one["severity"]) for one in dock.open()] == [("topic.disconnected", "error")]
    assert dock.confirm() == {"confirmed": 0, "failed": 0, "waiting": 0}
    assert dock.sns.asked == []
    dock.post(dock.sns.subscribe(ENDPOINT, at=NOW))
    dock.confirm()
    assert dock.open() == []


def test_the_double_refuses_what_sns_refuses(dock):
    dock.sns.subscribe(ENDPOINT, at=NOW)
    [token] = dock.sns.pending
    base = "https://sns.eu-west-1.amazonaws.com/"
    for path, status in (
        ("?Action=Publish", 403),
        (f"?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=wrong", 400),
        (f"?Action=ConfirmSubscription&TopicArn=other&Token={token}", 400),
        ("SimpleNotificationService-00.pem", 403),
    ):
        assert dock.sns.get(base + path).status == status
    assert dock.sns.confirmed == []
    dock.sns.is_down = True
    with pytest.raises(UpstreamFailed):
        dock.ask(f"{base}?Action=ConfirmSubscription&TopicArn={TOPIC}&Token={token}")
