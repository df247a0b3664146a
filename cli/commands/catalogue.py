"""`crossdock catalogue`: every event type, with its JSON Schema and an example.

Nothing is left behind. `docs/events.md` is what `--markdown` prints; a test keeps the two the same.
"""

import click
import orjson

from cli import output
from cli.events_page import example, page
from shared.errors import NotFound
from shared.event_schemas import event_schema
from shared.event_types import CATALOGUE


@click.group("catalogue")
def command() -> None:
    """Event types: what subscriptions can name, with schema and example.

    \b
    crossdock catalogue list
    crossdock catalogue show order.paid
    """


@command.command("list")
@click.option("--markdown", is_flag=True, help="Print docs/events.md.")
@output.json_option
def list_command(*, markdown: bool, as_json: bool) -> None:
    """List every event type.

    \b
    crossdock catalogue list
    """
    if markdown:
        click.echo(page(), nl=False)
        return
    rows = [
        {"type": name, "description": kind.description, "reserved": kind.reserved, "schema": event_schema(name)}
        for name, kind in CATALOGUE.items()
    ]
    output.show_rows(rows, ["type", "description", "reserved"], as_json=as_json, empty="")


@command.command("show")
@click.argument("event_type", metavar="TYPE")
@click.option("--schema", is_flag=True, help="Its JSON Schema rather than an example.")
@output.json_option
def show(event_type: str, *, schema: bool, as_json: bool) -> None:
    """Show what TYPE looks like: an example, or its JSON Schema.

    \b
    crossdock catalogue show order.paid --schema
    """
    del as_json  # it is JSON either way
    if event_type not in CATALOGUE:
        raise NotFound("event_type")
    shown = event_schema(event_type) if schema else example(event_type)
    click.echo(orjson.dumps(shown, option=orjson.OPT_INDENT_2).decode())
