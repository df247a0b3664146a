"""What waits in a source's SQS queue comes into the inbox, and leaves the queue only then; SQS is moto's server."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import orjson
import pytest
from moto.server import ThreadedMotoServer
from sqlalchemy import Engine, text

from shared import integrations, queues, valkey
from shared.crypto import KeyRing
from shared.db.engine import transaction
from shared.inbox import Entry, Inbox, shard_of
from shared.providers import samples
from shared.settings import Settings
from tests.workers import rows
from tests.workers.rows import NOW
from workers.context import Context
from workers.inbound.drain import drain
from workers.sync import aws, sqs
from workers.sync.upstream import Upstream

REGION = "eu-west-1"
KEYS = {"accessKeyId": "AKIAOFTHETESTS", "secretAccessKey": "a secret of tests"}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    running.start()
    yield f"http://127.0.0.1:{port}"
    running.stop()


@dataclass
class Dock:
    context: Context
    account_id: UUID
    source_id: UUID
    queue_url: str
    amazon: Any  # a client as Amazon's

    def send(self, *bodies: bytes) -> None:
        for body in bodies:
            self.amazon.send_message(QueueUrl=self.queue_url, MessageBody=body.decode())

    def poll(self) -> dict[str, int]:
        return sqs.poll(self.context, run_seconds=0.0)

    def in_inbox(self) -> list[Entry]:
        shards = self.context.settings.inbox_shards
        return self.context.inbox.take(shard_of(str(self.source_id), "", shards), 100)

    def in_queue(self) -> int:
        """Messages that are there, fetched and not deleted ones included."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.amazon.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=names)["Attributes"]
        return sum(int(found[name]) for name in names)

    def alerts(self) -> list[str]:
        with self.context.engine.connect() as connection:
            query = text("SELECT message FROM alerts WHERE resolved_at IS NULL AND kind = :kind")
            return list(connection.execute(query, {"kind": sqs.FAILING}).scalars())


@pytest.fixture
def dock(server: str, engine: Engine, settings: Settings, queue: valkey.Client, ring: KeyRing) -> Iterator[Dock]:
    settings = settings.model_copy(update={"allow_http_destinations": True, "allowed_destination_cidrs": "127.0.0.0/8"})
    amazon = aws.client(
        "sqs",
        Upstream(settings, queue),
        region=REGION,
        access_key_id="x",
        secret_access_key="y",
        endpoint_url=server,
        timeout_seconds=10,
    )
    queue_url = amazon.create_queue(QueueName="notifications")["QueueUrl"]
    account_id = rows.account(engine)
    given = {"sqs": {"queueUrl": queue_url, "region": REGION, "endpointUrl": server}}
    source_id = rows.source(engine, account_id, provider="amazon", settings=given)
    with transaction(engine) as connection:
        integrations.create(
            connection,
            ring,
            account_id=account_id,
            source_id=source_id,
            external_id="A2QUAYSIDE77X",
            credentials=KEYS,
            now=NOW,
        )
    context = Context(settings, engine, queue, ring, Inbox(queue, shards=settings.inbox_shards))
    yield Dock(context, account_id, source_id, queue_url, amazon)
    amazon.delete_queue(QueueUrl=queue_url)


def order(number: int) -> bytes:
    return samples.make("amazon", "ORDER_CHANGE", number=number, at=NOW)


def test_what_waits_comes_into_the_inbox_as_it_is_and_leaves_the_queue(dock):
    dock.send(order(1), order(2))
    assert dock.poll() == {"queues": 1, "fetched": 2, "failed": 0}
    assert dock.in_queue() == 0
    entries = dock.in_inbox()
    assert sorted(entry.request.body for entry in entries) == sorted((order(1), order(2)))
    assert {entry.source_id for entry in entries} == {dock.source_id}
    assert dock.poll()["fetched"] == 0


def test_it_becomes_orders_and_events_like_what_is_posted(dock):
    dock.send(order(1), order(1), b"no json at all")
    dock.poll()
    shards = dock.context.settings.inbox_shards
    drain(dock.context, shard_of(str(dock.source_id), "", shards), clock=lambda: NOW)
    with dock.context.engine.connect() as connection:
        states = connection.execute(text("SELECT state FROM messages ORDER BY state")).scalars().all()
        told = connection.execute(text("SELECT type FROM events ORDER BY id")).scalars().all()
    assert states == ["duplicate", "failed", "processed"]
    assert told == ["order.created"]


def test_what_the_inbox_does_not_take_stays_in_the_queue(dock):
    dock.send(*(order(number) for number in range(3)))
    # No inbox is that short; what counts is that it is full.
    full = dock.context.settings.model_copy(update={"inbox_max_length": 1})
    assert sqs.poll(replace(dock.context, settings=full), run_seconds=0.0)["fetched"] == 1
    assert dock.in_queue() == 2
    assert len(dock.in_inbox()) == 1
    assert "full" in dock.alerts()[0]


def test_while_the_inbox_is_down_nothing_leaves_the_queue(dock, monkeypatch):
    dock.send(order(1))
    down = valkey.connect("redis://127.0.0.1:1/0", timeout_seconds=0.2)
    broken = replace(dock.context, inbox=Inbox(down, shards=dock.context.settings.inbox_shards))
    assert sqs.poll(broken, run_seconds=0.0) == {"queues": 1, "fetched": 0, "failed": 1}
    assert dock.in_queue() == 1
    down.close()


def test_a_worker_that_dies_before_deleting_leaves_it_to_come_again_and_be_known(dock):
    dock.send(order(1))
    reply = dock.amazon.receive_message(QueueUrl=dock.queue_url, VisibilityTimeout=0)
    one = sqs._Queue(dock.source_id, dock.account_id, _options(dock), KEYS)
    assert len(sqs._keep(dock.context, one, reply["Messages"], NOW)) == 1  # and dies here
    assert dock.poll()["fetched"] == 1
    shards = dock.context.settings.inbox_shards
    drained = drain(dock.context, shard_of(str(dock.source_id), "", shards), clock=lambda: NOW)
    assert (drained["processed"], drained["duplicate"]) == (1, 1)


def _options(dock: Dock) -> Any:
    return sqs.SqsOptions(queue_url=dock.queue_url, region=REGION)


def test_only_one_worker_polls_at_a_time_and_a_finished_one_lets_go(dock):
    dock.context.client.set(queues.SQS_POLLER, "another")
    assert dock.poll() == {"busy": 1}
    assert dock.context.client.get(queues.SQS_POLLER) == b"another"
    dock.context.client.delete(queues.SQS_POLLER)
    dock.poll()
    assert dock.context.client.get(queues.SQS_POLLER) is None


def test_a_queue_that_is_not_there_raises_an_alert_that_ends_when_it_is(dock):
    with dock.context.engine.begin() as connection:
        connection.execute(
            text("UPDATE sources SET settings = jsonb_set(settings, '{sqs,queueUrl}', :url)").bindparams(
                url=orjson.dumps(f"{dock.queue_url}-not-there").decode()
            )
        )
    assert dock.poll()["failed"] == 1
    assert "NonExistentQueue" in dock.alerts()[0] or "QueueDoesNotExist" in dock.alerts()[0]
    with dock.context.engine.begin() as connection:
        connection.execute(
            text("UPDATE sources SET settings = jsonb_set(settings, '{sqs,queueUrl}', :url)").bindparams(
                url=orjson.dumps(dock.queue_url).decode()
            )
        )
    assert dock.poll()["failed"] == 0
    assert dock.alerts() == []


def test_without_keys_nothing_is_asked_and_the_machines_own_are_not_taken(dock, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOFTHEMACHINE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "its secret")
    with dock.context.engine.begin() as connection:
        connection.execute(text("UPDATE integrations SET credentials = NULL"))
    dock.send(order(1))
    assert dock.poll()["failed"] == 1
    assert "accessKeyId" in dock.alerts()[0]
    assert dock.in_queue() == 1


def test_an_endpoint_within_is_not_reached_unless_the_operator_opened_it(dock):
    closed = dock.context.settings.model_copy(update={"allowed_destination_cidrs": ""})
    dock.send(order(1))
    assert sqs.poll(replace(dock.context, settings=closed), run_seconds=0.0)["failed"] == 1
    assert dock.in_queue() == 1


def test_a_source_that_is_switched_off_is_not_polled(dock):
    with dock.context.engine.begin() as connection:
        connection.execute(text("UPDATE sources SET active = false"))
    assert dock.poll() == {"queues": 0, "fetched": 0, "failed": 0}
