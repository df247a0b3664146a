"""`crossdock catalogue`: every event type, with its JSON Schema and an example.

Nothing is left behind. `docs/events.md` is what `--markdown` prints; a test keeps the two the same.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import click
import orjson

from cli import output
from shared.errors import NotFound
from shared.event_schemas import event_schema, record_schema, shape_schema
from shared.event_types import CATALOGUE
from shared.events import envelope
from shared.record_kinds import KINDS, RecordKind
from shared.record_shapes import SHAPES

HEAD = """# Events

<!-- Printed by `crossdock catalogue list --markdown`; do not edit. -->

What subscriptions can name, and what they get. Patterns match too: `*`, `order.*`. An event's body is
`{"event", "timestamp", "data", "metadata": {"source", "action"}}`; `data` holds the record as it is after the change
under its kind's name, and `changes` what differs, as `{"field": {"old", "new"}}`. Where a record is first heard of
in a state, the transition into it is told as well: an order that was paid at once tells `order.created` and
`order.paid`. A user's tags and custom fields have events of their own beside `user.updated`, unless so many change
at once that these would come to more than 1 MB: then `user.updated` alone tells them. New fields may be added to any
object; none is taken away. `crossdock catalogue show order.paid --schema`
prints the JSON Schema of a type, and `GET /api/admin/event-types` has them all.

"""
INSIDE = """Every key is always there, whoever the provider is; what it does not say is `null`. `attributes` has what it
says and we have no field for. It is kept short: `left_out` names what there was no room for. One message may bring
256 kB into a record's own, and as much into those of all items of a list together; all messages together 512 kB into
a record's own, and as much into a user's `customFields`. The latest has the room first, and what was said before gives
way; of a field of a user the name reads `customFields.<name>`. An order that is told of through its shipments keeps 100
of these. A key that a sender's own mapping makes, see [generic](providers/generic.md), stands beside these.
"""
_AT = datetime(2026, 3, 14, 9, 26, 53, 589000, tzinfo=UTC)


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
    shown = event_schema(event_type) if schema else _example(event_type)
    click.echo(orjson.dumps(shown, option=orjson.OPT_INDENT_2).decode())


def page() -> str:
    """The text of docs/events.md."""
    types = "".join(
        f"| `{name}` | {kind.description}{' (reserved: nothing emits it yet)' if kind.reserved else ''} |"
        f" {', '.join(f'`{part}`' for part in kind.data)} |\n"
        for name, kind in CATALOGUE.items()
    )
    records = "".join(_record(kind) for kind in KINDS.values()) + _shapes()
    examples = "".join(_section(name) for name in CATALOGUE)
    return (
        f"{HEAD}| type | when | `data` |\n|---|---|---|\n{types}\n## Records\n\nMoney is in the smallest unit of the"
        f" record's currency.\n{records}\n## Examples\n{examples}"
    )


def _record(kind: RecordKind) -> str:
    return _table(kind.name, record_schema(kind))


def _shapes() -> str:
    """What stands inside records, each shape once."""
    shapes = {shape.name: shape for of_kind in SHAPES.values() for shape in of_kind.values()}
    tables = "".join(_table(name, shape_schema(shape)) for name, shape in shapes.items())
    return f"\n## Inside records\n\n{INSIDE}\n{tables}"


def _table(name: str, schema: Mapping[str, Any]) -> str:
    properties: Mapping[str, Any] = schema["properties"]
    rows = "".join(f"| `{name}` | {_type(one)} | {_about(one)} |\n" for name, one in properties.items())
    return f"\n### {name}\n\n| field | type | |\n|---|---|---|\n{rows}"


def _type(schema: Mapping[str, Any]) -> str:
    kinds = schema["type"]
    if kinds == "array":
        item = schema["items"]
        return f"array of {_link(item['title']) if 'title' in item else item['type']}"
    if "title" in schema:
        return f"{_link(schema['title'])} or null"
    return " or ".join(kinds) if isinstance(kinds, list) else str(kinds)


def _link(name: str) -> str:
    return f"[{name}](#{name.replace(' ', '-')})"


def _about(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f"`{word}`" for word in schema["enum"] if word is not None)
    named = schema["items"] if schema["type"] == "array" else schema
    if "properties" in named and "title" not in named:
        return ", ".join(f"`{name}`" for name in named["properties"])
    return str(schema.get("description") or schema.get("format") or "")


def _section(name: str) -> str:
    written = orjson.dumps(_example(name), option=orjson.OPT_INDENT_2).decode()
    return f"\n### {name}\n\n```json\n{written}\n```\n"


def _example(name: str) -> dict[str, Any]:
    kind = CATALOGUE[name]
    source = "crossdock" if name.startswith(("subscription.", "webhook.")) else "shopify"
    for part in kind.data.values():
        source = part.get("provider", source) if isinstance(part, Mapping) else source
    body = envelope(event_type=name, data=kind.data, source=source, action=kind.action, at=_AT)
    found: dict[str, Any] = orjson.loads(body)
    return found
