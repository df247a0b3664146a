"""The real servers, embedded, once a run; a fresh database and an empty Valkey for every test that asks."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import hypothesis
import pytest
from sqlalchemy import Engine, create_engine, text
from xdist.scheduler import LoadScopeScheduling

from cli.embedded import Embedded
from shared import valkey
from shared.clock import utc_now
from shared.crypto import KeyRing
from shared.db.engine import make_engine
from shared.db.migrate import migrate
from shared.settings import Settings

_numbers = itertools.count(1)

# Whole stories start every process there is: two of them at once would fight for two cores, and they take longest.
_STORIES = ("tests/pipeline/", "tests/cli/test_up.py", "tests/workers/test_processes.py")


class _Shares(LoadScopeScheduling):  # type: ignore[misc]
    """One worker tells the stories, and begins at once; the other files are shared out whole."""

    def _split_scope(self, nodeid: str) -> str:
        return "stories" if nodeid.startswith(_STORIES) else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _Shares:
    return _Shares(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.nodeid.startswith(_STORIES))


# How long one example takes says how busy the machine is, and nothing of the claim.
hypothesis.settings.register_profile("house", deadline=None, derandomize=True, max_examples=40)
hypothesis.settings.load_profile("house")


@pytest.fixture(scope="session")
def servers() -> Iterator[Embedded]:
    """PostgreSQL and Valkey for the whole run; without fsync, so tests that kill servers start their own.

    Not below pytest's own folder: each run closes that to other users, and as root PostgreSQL is one.
    """
    with TemporaryDirectory(prefix="crossdock-test-") as folder, Embedded(Path(folder) / "data", durable=False) as both:
        yield both


@pytest.fixture(scope="session")
def template(servers: Embedded) -> str:
    """A migrated database that every test's own is a copy of."""
    engine = make_engine(servers.database_url)
    migrate(engine, now=utc_now())
    engine.dispose()
    return "crossdock"


@pytest.fixture
def database_url(servers: Embedded, template: str) -> Iterator[str]:
    """A database of this test's own, migrated and empty."""
    name = f"test_{next(_numbers)}"
    parts = urlsplit(servers.database_url)
    admin = create_engine(
        urlunsplit(parts._replace(scheme="postgresql+psycopg2", path="/postgres")), isolation_level="AUTOCOMMIT"
    )
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY"))
    yield urlunsplit(parts._replace(path=f"/{name}"))
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An engine on this test's own database."""
    made = make_engine(database_url)
    yield made
    made.dispose()


@pytest.fixture
def redis_url(servers: Embedded) -> str:
    """A Valkey emptied for this test."""
    client = valkey.connect(servers.redis_url)
    client.flushall()
    client.close()
    return servers.redis_url


@pytest.fixture
def queue(redis_url: str) -> Iterator[valkey.Client]:
    """A client of this test's Valkey."""
    client = valkey.connect(redis_url)
    yield client
    client.close()


@pytest.fixture
def settings(database_url: str, redis_url: str, tmp_path: Path) -> Settings:
    """Settings that point to this test's own servers."""
    return Settings(database_url=database_url, redis_url=redis_url, data_dir=tmp_path / "var")


@pytest.fixture
def ring() -> KeyRing:
    """A key ring."""
    return KeyRing([bytes(range(32))])
