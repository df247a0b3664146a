"""What can be set on a subscription, as options: the same for `add` and `update`.

Nothing is left behind.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from shared.subscription_fields import ORDERINGS, SCHEDULES

_Command = TypeVar("_Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--description", help="For people."),
    click.option("--destination", help="What kind of receiver it is; `webhook` unless given."),
    click.option("--retry-attempts", type=int, help="Tries after the first."),
    click.option("--retry-delay", "retry_delay_seconds", type=float, help="Seconds before the second; then doubled."),
    click.option("--schedule", type=click.Choice(SCHEDULES), help="A named schedule instead of the two."),
    click.option("--timeout-ms", type=int, help="Longest wait for an answer."),
    click.option("--disable-after", type=int, help="Straight failures that disable it."),
    click.option("--disable-after-seconds", type=float, help="They must span at least this."),
    click.option("--max-in-flight", type=int, help="Requests at the same time."),
    click.option("--ordering", type=click.Choice(ORDERINGS), help="strict: one at a time, in order."),
)


def fields(command: _Command) -> _Command:
    """Give a command these options."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def columns(given: Mapping[str, Any]) -> dict[str, Any]:
    """What was given, by column; what was not is left out."""
    values = {name: value for name, value in given.items() if value is not None and value != ()}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def told(values: Mapping[str, Any]) -> dict[str, Any]:
    """What the audit log is told of a change: a destination's own settings may hold credentials."""
    return {name: "changed" if name == "settings" else value for name, value in values.items()}
