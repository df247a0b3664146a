"""`crossdock simulate`: what it sends is genuine, for every provider and every topic."""

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server

import orjson
import pytest
from sqlalchemy import Engine, select

from shared import valkey
from shared.crypto import load_ring
from shared.db.tables import messages
from shared.inbox import Inbox
from shared.providers import preset_samples, samples
from shared.providers.presets import SCHEMES
from shared.providers.registry import PROVIDERS
from shared.settings import Settings
from tests.cli.conftest import Run, Told
from web.ingress import make_app
from workers.context import Context
from workers.inbound.drain import drain

Serve = Callable[[], Settings]
Drained = Callable[[Settings], Counter[tuple[str, str, str]]]


class Quiet(WSGIRequestHandler):
    """Logs nothing; and unlike others this server keeps headers with an underscore, which Flipkart has."""

    def log_message(self, *_: object) -> None:
        """Tests are quiet."""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CROSSDOCK_SNS_STAND_IN", str(tmp_path / "sns"))
    return tmp_path / "sns"


@pytest.fixture
def serve(settings: Settings, told: Told, monkeypatch: pytest.MonkeyPatch, stand_in: Path) -> Iterator[Serve]:
    """Starts an ingress, once the test has added its sources; an account is there already."""
    public = "https://hooks.example"
    monkeypatch.setenv("CROSSDOCK_PUBLIC_URL", public)
    told("accounts", "create", "acme")
    with ExitStack() as running:

        def start() -> Settings:
            served = settings.model_copy(update={"public_url": public, "sns_stand_in": stand_in})
            app = make_app(served, load_ring(served))
            running.callback(app.extensions["ingress"].stop)
            server = make_server("127.0.0.1", 0, app, handler_class=Quiet)
            running.callback(server.server_close)
            monkeypatch.setenv("CROSSDOCK_INGRESS_PORT", str(server.server_port))
            thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
            thread.start()
            running.callback(thread.join)
            running.callback(server.shutdown)
            return served

        yield start


@pytest.fixture
def drained(engine: Engine, queue: valkey.Client) -> Drained:
    """Drains the whole inbox; how many messages there are of each path, topic and state."""

    def drain_all(served: Settings) -> Counter[tuple[str, str, str]]:
        inbox = Inbox(queue, shards=served.inbox_shards)
        context = Context(served, engine, queue, load_ring(served), inbox)
        for shard in range(inbox.shards):
            drain(context, shard)
        with engine.connect() as connection:
            found = connection.execute(select(messages.c.path, messages.c.topic, messages.c.state))
            return Counter((row.path.partition("?")[0].rpartition("/")[2], row.topic, row.state) for row in found)

    return drain_all


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_every_topic_of_every_provider_is_taken_in(
    serve: Serve, told: Told, run: Run, queue: valkey.Client, name: str
) -> None:
    chosen = orjson.dumps(samples.SETTINGS[name]).decode()
    told("sources", "add", name, "--path", f"its/{name}", "--any-tenant", "--settings", chosen)
    served = serve()
    topics = samples.topics(name)
    assert set(topics) >= set(PROVIDERS[name].topics)
    for topic in topics:
        result = run("simulate", name, topic)
        assert result.exit_code == 0, (topic, result.output)  # 1 where any was not answered with 200
    inbox = Inbox(queue, shards=served.inbox_shards)
    assert sum(inbox.length(shard) for shard in range(inbox.shards)) == len(topics)


@pytest.mark.parametrize("preset", SCHEMES)
def test_a_generic_source_is_sent_what_its_preset_posts_and_makes_of_it_what_it_maps(
    serve: Serve,
    told: Told,
    run: Run,
    drained: Drained,
    preset: str,
) -> None:
    sources = {"mapped": preset_samples.SETTINGS[preset], "bare": {"preset": preset}}
    for path, chosen in sources.items():
        told("sources", "add", "generic", "--path", path, "--settings", orjson.dumps(chosen).decode())
    served = serve()
    topics = samples.topics("generic", {"preset": preset})
    for path in sources:
        for topic in topics:
            result = run("simulate", "generic", topic, "--path", path)
            assert result.exit_code == 0, (topic, result.output)
    # Without a mapping nothing is made of it, and nothing is wrong with it.
    unnamed = preset == "hmac"  # which says of no place that the topic is there
    assert drained(served) == Counter(("mapped", topic, "processed") for topic in topics) + Counter(
        ("bare", "message" if unnamed else topic, "ignored") for topic in topics
    )


def test_a_generic_source_elsewhere_is_sent_what_the_given_preset_posts(
    serve: Serve,
    told: Told,
    run: Run,
    drained: Drained,
) -> None:
    told("sources", "add", "generic", "--path", "phone", "--secret", "s", "--settings", '{"preset": "slack"}')
    served = serve()
    url = f"http://127.0.0.1:{os.environ['CROSSDOCK_INGRESS_PORT']}/api/webhooks/phone"
    words = ("simulate", "generic", "command", "--url", url, "--secret", "s")
    assert run(*words, "--preset", "slack").exit_code == 0
    assert "topic_unknown" in run(*words).stderr
    assert run("simulate", "generic", "command", "--preset", "slack").exit_code == 2
    assert drained(served) == {("phone", "command", "ignored"): 1}


def test_a_topic_of_another_preset_is_told_with_those_of_the_sources_own(run: Run, told: Told) -> None:
    told("accounts", "create", "acme")
    told("sources", "add", "generic", "--path", "phone", "--settings", '{"preset": "twilio"}')
    result = run("simulate", "generic", "contact.creation")
    assert result.exit_code == 1
    assert "topic_unknown" in result.stderr
    assert "message.received" in result.stderr


def test_the_list_has_every_topic_by_preset(run: Run, told: Told) -> None:
    rows = told("simulate", "--list")
    assert {row["provider"] for row in rows} == set(PROVIDERS)
    assert {row["preset"] for row in told("simulate", "generic", "--list")} == set(SCHEMES)
    assert {"provider": "generic", "preset": "github", "topic": "push"} in rows
    assert {"provider": "shopify", "preset": "", "topic": "orders/paid"} in rows
    assert "payment_intent.succeeded" in run("simulate", "generic", "--list").output
    assert run("simulate", "generic").exit_code == 2


def test_a_topic_without_a_sample_is_told_with_those_that_have_one(run: Run) -> None:
    result = run("simulate", "amazon", "ORDER_STATUS")
    assert result.exit_code == 1
    assert "topic_unknown" in result.stderr
    assert "ORDER_CHANGE" in result.stderr


def test_amazon_is_not_simulated_without_a_stand_in(run: Run) -> None:
    result = run("simulate", "amazon", "ORDER_CHANGE", "--url", "http://127.0.0.1:9/x")
    assert result.exit_code == 1
    assert "stand_in_needed" in result.stderr
