"""Every command teaches: it has help with an example, each option says what it is for, and each speaks JSON."""

import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from cli.main import COMMANDS, main


def _walk(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if path:
        yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from _walk(found, (*path, name))


def _name(value: object) -> str:
    return " ".join(value) if isinstance(value, tuple) else ""


EVERY = list(_walk(main))
LEAVES = [(path, command) for path, command in EVERY if not isinstance(command, click.Group)]


@pytest.mark.parametrize(
    ("path", "command"), EVERY, ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
def test_every_command_has_help_with_an_example(path: tuple[str, ...], command: click.Command) -> None:
    result = CliRunner().invoke(main, [*path, "--help"])
    assert result.exit_code == 0
    assert "crossdock " + path[0] in result.output.split("\n", 1)[1], "an example shows the command itself"


@pytest.mark.parametrize(
    ("path", "command"), LEAVES, ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
def test_every_command_speaks_json(path: tuple[str, ...], command: click.Command) -> None:
    assert "--json" in {name for parameter in command.params for name in parameter.opts}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_each_says_of_itself(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    assert command.name == name
    assert command.help is not None
    assert command.help.splitlines()[0] == COMMANDS[name]


def test_help_loads_no_server_library() -> None:
    program = "import sys; from cli.main import main; main(['--help'], standalone_mode=False); print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(ran.stdout.split())
    assert "click" in loaded
    assert not loaded & {"sqlalchemy", "redis", "celery", "aiohttp", "pydantic", "psycopg2"}


def test_a_wrong_call_ends_with_usage_and_code_2() -> None:
    result = CliRunner().invoke(main, ["deliveries", "list", "--state", "nonsense"])
    assert result.exit_code == 2
    assert "nonsense" in result.output
