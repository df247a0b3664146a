"""`crossdock simulate`: what it sends is genuine, for every provider and every topic."""

import threading
from collections.abc import Iterator
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server

import orjson
import pytest

from shared import valkey
from shared.crypto import load_ring
from shared.inbox import Inbox
from shared.providers import samples
from shared.providers.registry import PROVIDERS
from shared.settings import Settings
from tests.cli.conftest import Run, Told
from web.ingress import make_app


class Quiet(WSGIRequestHandler):
    """Logs nothing; and unlike others this server keeps headers with an underscore, which Flipkart has."""

    def log_message(self, *_: object) -> None:
        """Tests are quiet."""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CROSSDOCK_SNS_STAND_IN", str(tmp_path / "sns"))
    return tmp_path / "sns"


@pytest.fixture
def ingress(
    settings: Settings, told: Told, monkeypatch: pytest.MonkeyPatch, stand_in: Path, request: pytest.FixtureRequest
) -> Iterator[Settings]:
    """A running ingress, with one source of the provider that the test is about."""
    name = request.getfixturevalue("name")
    public = "https://hooks.example"
    monkeypatch.setenv("CROSSDOCK_PUBLIC_URL", public)
    told("accounts", "create", "acme")
    chosen = orjson.dumps(samples.SETTINGS[name]).decode()
    told("sources", "add", name, "--path", f"its/{name}", "--any-tenant", "--settings", chosen)
    served = settings.model_copy(update={"public_url": public, "sns_stand_in": stand_in})
    app = make_app(served, load_ring(served))
    server = make_server("127.0.0.1", 0, app, handler_class=Quiet)
    monkeypatch.setenv("CROSSDOCK_INGRESS_PORT", str(server.server_port))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield served
    server.shutdown()
    thread.join()
    server.server_close()
    app.extensions["ingress"].stop()


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_every_topic_of_every_provider_is_taken_in(
    ingress: Settings, run: Run, queue: valkey.Client, name: str
) -> None:
    topics = samples.topics(name)
    assert set(topics) >= set(PROVIDERS[name].topics)
    for topic in topics:
        result = run("simulate", name, topic)
        assert result.exit_code == 0, (topic, result.output)  # 1 where any was not answered with 200
    inbox = Inbox(queue, shards=ingress.inbox_shards)
    assert sum(inbox.length(shard) for shard in range(inbox.shards)) == len(topics)


def test_a_topic_without_a_sample_is_told_with_those_that_have_one(run: Run) -> None:
    result = run("simulate", "amazon", "ORDER_STATUS")
    assert result.exit_code == 1
    assert "topic_unknown" in result.stderr
    assert "ORDER_CHANGE" in result.stderr


def test_amazon_is_not_simulated_without_a_stand_in(run: Run) -> None:
    result = run("simulate", "amazon", "ORDER_CHANGE", "--url", "http://127.0.0.1:9/x")
    assert result.exit_code == 1
    assert "stand_in_needed" in result.stderr
