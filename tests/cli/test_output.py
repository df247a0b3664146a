"""What commands print."""

from pathlib import Path

import pytest

from cli import output


@pytest.mark.parametrize(
    ("called", "on_path", "said"),
    [
        (".venv/bin/crossdock", None, ".venv/bin/crossdock"),
        ("{here}/.venv/bin/crossdock", None, ".venv/bin/crossdock"),
        ("/opt/crossdock/bin/crossdock", None, "/opt/crossdock/bin/crossdock"),
        (".venv/bin/crossdock", "/usr/bin/crossdock", "crossdock"),
        ("/usr/lib/python3/pytest", None, "crossdock"),
    ],
)
def test_commands_are_named_as_the_reader_can_call_them(monkeypatch, called, on_path, said):
    monkeypatch.setattr("sys.argv", [called.format(here=Path.cwd())])
    monkeypatch.setattr("shutil.which", lambda _: on_path)
    assert output.program() == said
