"""`crossdock doctor`: what is wrong, and what to do.

Only looks; nothing is left behind.
"""

import sys

import click
from rich.markup import escape

from cli import output, stack
from cli.doctor import database, machine, processes, queue, work
from cli.doctor.finding import Finding, failed, ok
from cli.stack import NotRunning
from cli.station import opened
from shared.errors import CrossdockError, SettingsInvalid
from shared.settings import current

_MARKS = {"ok": "[green]  ok   [/]", "warning": "[yellow] look  [/]", "failed": "[bold red] FAIL  [/]"}


@click.command("doctor")
@output.json_option
def command(as_json: bool) -> None:
    """Check every dependency, setting, queue and lag, and say what to do.

    The exit code is 1 when something does not work or may be lost; what only wants looking at is marked and does not
    count.

    \b
    crossdock doctor
    crossdock doctor --json | jq '.[] | select(.state != "ok")'
    """
    found = examine()
    if as_json:
        output.show_json(
            [{"name": one.name, "state": one.state, "seen": one.seen, "advice": one.advice} for one in found]
        )
    else:
        _show(found)
    sys.exit(any(one.state == "failed" for one in found))


def examine() -> list[Finding]:
    """Every finding, from the ground up; it stops where nothing above can be told."""
    found = [machine.python()]
    try:
        settings = current()
    except SettingsInvalid as error:
        return [*found, failed("settings", str(error), "Correct these variables; `crossdock settings` lists all.")]
    found += [ok("settings", "consistent"), machine.disk(settings.data_dir)]
    try:
        with opened(stack.locate(settings)) as station:
            for look in (database.findings, queue.findings, processes.findings, work.findings):
                found += look(station)
    except NotRunning as error:
        return [*found, failed("servers", str(error), "`make up` starts everything.")]
    except CrossdockError as error:
        return [*found, failed("servers", str(error), "Correct these variables; `crossdock settings` lists all.")]
    return found


def _show(found: list[Finding]) -> None:
    console = output.console()
    width = max(len(one.name) for one in found)
    for one in found:
        console.print(f"{_MARKS[one.state]}{one.name:<{width}}  {escape(one.seen)}")
        if one.advice:
            console.print(f"       {'':<{width}}  [dim]{escape(one.advice)}[/]")
