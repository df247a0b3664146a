"""What can be set on a subscription, as options: the same for `add` and `update`.

Nothing is left behind.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from shared.subscription_fields import ORDERINGS, SCHEDULES

_Command = TypeVar("_Command", bound=Callable[..., Any])


class JsonObject(click.ParamType[dict[str, Any]]):
    """A JSON object."""

    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Any]:
        """The object, or a usage error."""
        if isinstance(value, dict):
            return value
        try:
            parsed = json.loads(value)
        except ValueError:
            self.fail("is not JSON", param, ctx)
        if not isinstance(parsed, dict):
            self.fail("is not a JSON object", param, ctx)
        return parsed


_OPTIONS = (
    click.option("--description", help="For people."),
    click.option("--destination", help="What kind of receiver it is; `webhook` unless given."),
    click.option("--settings", type=JsonObject(), help="The destination's own settings, as a JSON object."),
    click.option(
        "--credential-file",
        "credential",
        type=click.File(),
        help="The file with the secret of the destination's API; `-` reads it from the standard input.",
    ),
    click.option("--retry-attempts", type=int, help="Tries after the first."),
    click.option("--retry-delay", "retry_delay_seconds", type=float, help="Seconds before the second; then doubled."),
    click.option("--schedule", type=click.Choice(SCHEDULES), help="A named schedule instead of the two."),
    click.option("--timeout-ms", type=int, help="Longest wait for an answer."),
    click.option("--disable-after", type=int, help="Straight failures that disable it."),
    click.option("--disable-after-seconds", type=float, help="They must span at least this."),
    click.option("--max-in-flight", type=int, help="Requests at the same time."),
    click.option(
        "--ordering", type=click.Choice(ORDERINGS), help="record: each record's events in order; strict: all of them."
    ),
)


def fields(command: _Command) -> _Command:
    """Give a command these options."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def columns(given: Mapping[str, Any]) -> dict[str, Any]:
    """What was given, by column; what was not is left out."""
    values = {name: value for name, value in given.items() if value is not None and value != ()}
    if "credential" in values:
        values["credential"] = values["credential"].read().strip()
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
