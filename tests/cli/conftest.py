"""The command line, run in this process on this test's own servers."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner, Result

from cli.main import main
from shared.settings import Settings, current

Run = Callable[..., Result]
Told = Callable[..., Any]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder for servers of a test's own. pytest's, which every run that starts closes to other users, would not do:
    under root, PostgreSQL is one.
    """
    with tempfile.TemporaryDirectory(prefix="crossdock-test-", ignore_cleanup_errors=True) as made:
        yield Path(made)


@pytest.fixture
def environment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment that names this test's servers."""
    monkeypatch.setenv("DATABASE_URL", settings.database_url)
    monkeypatch.setenv("REDIS_URL", settings.redis_url)
    monkeypatch.setenv("CROSSDOCK_DATA_DIR", str(settings.data_dir))
    current.cache_clear()


@pytest.fixture
def run(environment: None) -> Run:
    """Run a command; its result."""

    def invoke(*words: object) -> Result:
        current.cache_clear()
        return CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)

    return invoke


@pytest.fixture
def told(run: Run) -> Told:
    """Run a command that succeeds, with --json; what it said."""

    def invoke(*words: object) -> Any:
        result = run(*words, "--json")
        assert result.exit_code == 0, result.output
        return orjson.loads(result.stdout)

    return invoke
