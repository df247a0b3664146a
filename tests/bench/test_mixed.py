"""The mixed load: genuine requests of every provider, what each costs, and nothing of it lost."""

import struct
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from sqlalchemy import Engine, text

from bench import mixed
from bench.channels import ACTED_ON, BIG_LINES, big_order, open_channels, wire
from bench.load import Load, stored
from bench.procs import fine_cpu_seconds
from bench.rig import receiving, send
from bench.stack import free_port
from shared import valkey
from shared.crypto import KeyRing
from shared.providers.registry import PROVIDERS
from shared.settings import Settings
from web.certificates import Certificates
from workers.context import make_context


@pytest.fixture
def stack(engine: Engine, settings: Settings, ring: KeyRing, queue: valkey.Client, tmp_path: Path) -> Any:
    """What of a bench's stack the sources are made with, on this test's servers."""
    chosen = {"sns_stand_in": tmp_path / "sns", "allow_http_destinations": True}
    allowed = {"allowed_destination_cidrs": "127.0.0.0/8"}
    with engine.connect() as connection:
        backend = psutil.Process(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())
    return SimpleNamespace(
        engine=engine,
        settings=settings.model_copy(update=chosen | allowed),
        ring=ring,
        client=queue,
        postgres_seconds=partial(fine_cpu_seconds, backend.ppid()),
    )


def test_every_topic_is_measured_and_every_message_is_kept(stack: Any) -> None:
    channels = open_channels(stack, url="http://127.0.0.1:9999/mixed")
    assert {channel.provider.name for channel in channels} == set(PROVIDERS)
    context = make_context(stack.settings)
    bench = mixed._Bench(context, Certificates(stack.settings), stack.postgres_seconds)
    for channel in channels:
        for topic in (channel.topics[0], channel.topics[-1]):
            cost = bench.cost(channel, topic, 4, lambda turn, c=channel, t=topic: c.request(t, turn))
            assert (cost.provider, cost.topic, cost.messages) == (channel.provider.name, topic, 4)
            assert min(cost.bytes, cost.drain_us, cost.postgres_us) > 0
            assert cost.event_us is None if cost.events == 0 else cost.event_us > cost.drain_us / cost.events
    context.engine.dispose()
    context.client.close()
    with stack.engine.connect() as connection:
        states = {
            row.state: row.n for row in connection.execute(text("SELECT state, count(*) AS n FROM messages GROUP BY 1"))
        }
    assert sum(states.values()) == bench.appended == 8 * len(channels)
    assert states.keys() <= {"processed", "stale"}


def test_a_large_order_has_its_lines_each_with_an_id_of_its_own(stack: Any) -> None:
    shop = next(
        channel for channel in open_channels(stack, url="http://127.0.0.1:9999/x") if channel.provider.has_tenants
    )
    context = make_context(stack.settings)
    bench = mixed._Bench(context, Certificates(stack.settings), stack.postgres_seconds)
    bench.cost(shop, "orders/create", 2, lambda turn: shop.request("orders/create", turn, body=big_order(turn)))
    with stack.engine.connect() as connection:
        rows = connection.execute(text("SELECT line_items FROM orders")).scalars().all()
    context.engine.dispose()
    context.client.close()
    assert len(rows) == 2
    assert [len({line["id"] for line in lines}) for lines in rows] == [BIG_LINES, BIG_LINES]


def test_a_load_of_running_processes_leaves_out_what_they_would_act_on(stack: Any) -> None:
    for channel in open_channels(stack, url="http://127.0.0.1:9999/mixed"):
        left_out = set(channel.topics) - set(channel.load_topics)
        assert left_out == set(channel.topics) & (ACTED_ON | channel.provider.obligatory)


def test_the_requests_of_a_file_are_sent_as_they_are(stack: Any, tmp_path: Path) -> None:
    path = tmp_path / "requests"
    channels = open_channels(stack, url="http://127.0.0.1:9999/mixed")
    with receiving(tmp_path, free_port()) as receiver:
        origin = f"http://127.0.0.1:{receiver.port}"
        made = [wire(channel.call(channel.topics[0], 0, origin=origin)) for channel in channels]
        path.write_bytes(b"".join(struct.pack("<I", len(content)) + content for content in made))
        assert list(stored(path)) == made
        load = Load(port=receiver.port, record="", targets=[], count=len(made), requests=str(path))
        sent = send(tmp_path, load)
    assert {one.status for one in sent} == {200}
    assert len(sent) == len(PROVIDERS)
