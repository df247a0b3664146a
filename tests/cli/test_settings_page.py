"""docs/settings.md is what the code says, and what is shown of settings hides what is secret."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.commands.settings import page
from cli.main import main
from shared.settings import Settings, current

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def test_the_settings_page_is_current() -> None:
    assert PAGE.read_text() == page(), "run: crossdock settings --markdown > docs/settings.md"


def test_the_page_names_every_setting_with_a_sentence() -> None:
    lines = [line for line in page().splitlines() if line.startswith("| `")]
    assert len(lines) == len(Settings.model_fields)
    assert all(line.rstrip(" |").endswith((".", ")")) for line in lines)


def test_secrets_and_passwords_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://ann:hidden-one@db/crossdock")
    monkeypatch.setenv("CROSSDOCK_FLOWER_PASSWORD", "hidden-two")
    current.cache_clear()
    try:
        for words in (["settings"], ["settings", "--json"]):
            result = CliRunner().invoke(main, words, catch_exceptions=False)
            assert result.exit_code == 0
            assert "hidden" not in result.output
            assert "postgresql://ann:…@db/crossdock" in result.output
            assert "(set)" in result.output
    finally:
        current.cache_clear()
