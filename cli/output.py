"""What a command prints: tables for eyes, JSON for programs; the same rows in both.

Nothing is left behind.
"""

import base64
import re
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import click
import orjson
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from shared.clock import to_json

PLAIN_WIDTH = 200  # of a table that goes into a pipe or a file
CELL_MAX = 300  # characters of a cell among others; what strangers sent may be endless, and `show` has it whole
_Command = TypeVar("_Command", bound=Callable[..., Any])


def program() -> str:
    """`crossdock` as the reader's shell finds it: `make` calls it by its path in an environment nobody activated."""
    here = Path(sys.argv[0])
    if shutil.which("crossdock") or here.name != "crossdock":
        return "crossdock"
    return str(here.relative_to(Path.cwd())) if here.is_absolute() and here.is_relative_to(Path.cwd()) else str(here)


def json_option(command: _Command) -> _Command:
    """Give a command its `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON rather than text.")(command)


def console(*, stderr: bool = False) -> Console:
    """A console for whatever standard output is now."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, highlight=False, width=None if stream.isatty() else PLAIN_WIDTH)


def show_rows(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool, empty: str) -> None:
    """Print rows: as JSON whole, as a table only `columns` (`empty` when there is none)."""
    if as_json:
        show_json(rows)
        return
    if not rows:
        click.echo(empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(escape(_cut(_text(row.get(name)))) for name in columns))
    console().print(table)


def show_one(row: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one row: as JSON, or a line a field."""
    if as_json:
        show_json(row)
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in row.items():
        table.add_row(name.replace("_", " "), escape(_text(value)))
    console().print(table)


def show_json(value: Any) -> None:
    """Print a value as JSON, names in camelCase as in the API."""
    click.echo(orjson.dumps(plain(value), option=orjson.OPT_INDENT_2).decode())


def show_line(value: Any) -> None:
    """Print a value as one line of JSON, for a program that reads lines while the command goes on."""
    click.echo(orjson.dumps(plain(value)).decode())
    sys.stdout.flush()


def plain(value: Any) -> Any:
    """The value as JSON has it: camelCase names of our own rows, ids and times as text, bytes as text or base64."""
    if isinstance(value, Mapping):
        return {_camel(str(name)): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, datetime):
        return to_json(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, UUID | Path):
        return str(value)
    if isinstance(value, bytes | memoryview):
        return _bytes(bytes(value))
    return value


def _camel(name: str) -> str:
    return re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), name)


def _bytes(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return base64.b64encode(raw).decode()


def _cut(text: str) -> str:
    return text if len(text) <= CELL_MAX else text[: CELL_MAX - 1] + "…"


def _text(value: Any) -> str:
    value = plain(value)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    if isinstance(value, list | dict):
        return orjson.dumps(value).decode()
    return str(value)
