"""`crossdock settings`: every setting, from the class that defines them.

Nothing is left behind. `docs/settings.md` is what `--markdown` prints; a test keeps the two the same.
"""

import re

import click
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from cli import output
from shared.settings import PREFIX, Settings, current

HEAD = """# Settings

Every setting is an environment variable. An unknown `CROSSDOCK_*` name is an error at start, and so is a value that
contradicts another; all problems are reported at once. This page is printed by `crossdock settings --markdown`.

| name | default | |
|---|---|---|
"""


@click.command("settings")
@click.option("--markdown", is_flag=True, help="Print docs/settings.md.")
@output.json_option
def command(markdown: bool, as_json: bool) -> None:
    """Every setting, what it does and what it is now.

    Settings come from the environment alone. Secrets are shown as set or not.

    \b
    crossdock settings
    CROSSDOCK_INGRESS_PORT=9000 crossdock up
    """
    if markdown:
        click.echo(page(), nl=False)
        return
    now = current()
    rows = [
        {
            "name": variable(name),
            "value": _shown(getattr(now, name)),
            "default": _shown(field.default),
            "description": field.description,
        }
        for name, field in Settings.model_fields.items()
    ]
    output.show_rows(rows, ["name", "value", "description"], as_json=as_json, empty="")


def page() -> str:
    """The text of docs/settings.md."""
    return HEAD + "".join(_line(name, field) for name, field in Settings.model_fields.items())


def variable(name: str) -> str:
    """The environment variable of a field."""
    alias = Settings.model_fields[name].validation_alias
    return alias if isinstance(alias, str) else f"{PREFIX}{name.upper()}"


def _line(name: str, field: FieldInfo) -> str:
    default = _shown(field.default)
    bounds = [
        f"{word} {_number(getattr(rule, attribute))}"
        for rule in field.metadata
        for attribute, word in (("ge", "at least"), ("gt", "more than"), ("le", "at most"), ("lt", "less than"))
        if hasattr(rule, attribute)
    ]
    limits = f" ({', '.join(bounds)})" if bounds else ""
    shown = f"`{default}`" if default else ""
    return f"| `{variable(name)}` | {shown} | {field.description}{limits} |\n"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else str(value)


def _shown(value: object) -> str:
    if isinstance(value, SecretStr):
        return "(set)" if value.get_secret_value() else ""
    if value is None or value is PydanticUndefined:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _number(value)
    return re.sub(r"(://[^/:@]*):[^@/]*@", r"\1:…@", str(value))  # a URL may hold a password
