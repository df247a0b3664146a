"""The text of docs/events.md: what every event holds, as tables, and as JSON Schema and example to unfold.

Comes in: the catalogue. Comes out: Markdown. Pure; nothing is left behind.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from shared.event_schemas import event_schema, record_schema, shape_schema
from shared.event_types import CATALOGUE
from shared.events import envelope
from shared.record_kinds import KINDS, RecordKind
from shared.record_shapes import SHAPES

HEAD: Final = """# Events

<!-- Printed by `crossdock catalogue list --markdown`; do not edit. -->

What subscriptions can name, and what they get. Patterns match too: `*`, `order.*`. An event's body is
`{"event", "timestamp", "data", "metadata": {"source", "action"}}`; `data` holds the record as it is after the change
under its kind's name, and `changes` what differs, as `{"field": {"old", "new"}}`. Where a record is first heard of
in a state, the transition into it is told as well: an order that was paid at once tells `order.created` and
`order.paid`. Inventory and payments have one type for both, and its `changes` are absent the first time. A user's tags
and custom fields have events of their own beside `user.updated`, unless so many change at once that these would come
to more than 1 MB: then `user.updated` alone tells them. New fields may be added to any object; none is taken away.
[Types](#types) has the parts, the JSON Schema and an example of each. `crossdock catalogue show order.paid --schema`
prints a schema with all that it refers to, and `GET /api/admin/event-types` has them all.

"""
RECORDS: Final = """
## Records

Every field is always there. Money is in the smallest unit of the record's currency.
"""
INSIDE: Final = """\
Every key is always there, whoever the provider is; what it does not say is `null`. `attributes` has what it
says and we have no field for. It is kept short: `left_out` names what there was no room for. One message may bring
256 kB into a record's own, and as much into those of all items of a list together; all messages together 512 kB into
a record's own, and as much into a user's `customFields`. The latest has the room first, and what was said before gives
way; of a field of a user the name reads `customFields.<name>`. An order that is told of through its shipments keeps 100
of these. A key that a sender's own mapping makes, see [generic](providers/generic.md), stands beside these.
"""
TYPES: Final = """
## Types

The parts of each type's `data`. `#/$defs/order` in a schema is the schema of the [order](#order) above.
"""
WIDTH: Final = 100  # characters of a line of JSON, without its name
_AT: Final = datetime(2026, 3, 14, 9, 26, 53, 589000, tzinfo=UTC)


def page() -> str:
    """The whole page."""
    types = "".join(
        f"| [`{name}`](#{name.replace('.', '')}) | {kind.description}"
        f"{' (reserved: nothing emits it yet)' if kind.reserved else ''} | {', '.join(_named(name))} |\n"
        for name, kind in CATALOGUE.items()
    )
    records = "".join(_record(kind) for kind in KINDS.values())
    sections = "".join(_section(name) for name in CATALOGUE)
    return f"{HEAD}| type | when | `data` |\n|---|---|---|\n{types}{RECORDS}{records}{_shapes()}{TYPES}{sections}"


def example(name: str) -> dict[str, Any]:
    """An event of the type."""
    kind = CATALOGUE[name]
    source = "crossdock" if name.startswith(("subscription.", "webhook.")) else "shopify"
    for part in kind.data.values():
        source = part.get("provider", source) if isinstance(part, Mapping) else source
    body = envelope(event_type=name, data=kind.data, source=source, action=kind.action, at=_AT)
    found: dict[str, Any] = orjson.loads(body)
    return found


def short_schema(name: str) -> dict[str, Any]:
    """The type's JSON Schema with a reference in place of each whole record."""
    schema = event_schema(name)
    parts: dict[str, Any] = schema["properties"]["data"]["properties"]
    schema["properties"]["data"]["properties"] = {
        part: {"$ref": f"#/$defs/{part}"} if _is_whole(part, one) else one for part, one in parts.items()
    }
    return schema


def _is_whole(part: str, schema: Mapping[str, Any]) -> bool:
    return part in KINDS and schema == record_schema(KINDS[part])


def _named(name: str) -> list[str]:
    data = event_schema(name)["properties"]["data"]
    return [f"`{part}`" if part in data["required"] else f"`{part}` (optional)" for part in data["properties"]]


def _record(kind: RecordKind) -> str:
    schema = record_schema(kind)
    return f"{_table(kind.name, schema)}\n{_folded('JSON Schema', schema)}"


def _shapes() -> str:
    """What stands inside records, each shape once."""
    shapes = {shape.name: shape for of_kind in SHAPES.values() for shape in of_kind.values()}
    tables = "".join(_table(name, shape_schema(shape)) for name, shape in shapes.items())
    return f"\n## Inside records\n\n{INSIDE}{tables}"


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
    data = event_schema(name)["properties"]["data"]
    rows = "".join(
        f"| `{part}` | {'required' if part in data['required'] else 'optional'}"
        f" | {_link(part) if _is_whole(part, one) else _type(one)} | {'' if _is_whole(part, one) else _about(one)} |\n"
        for part, one in data["properties"].items()
    )
    return (
        f"\n### {name}\n\n{CATALOGUE[name].description}.\n\n| part | | type | |\n|---|---|---|---|\n{rows}\n"
        f"{_folded('JSON Schema', short_schema(name))}{_folded('Example', example(name))}"
    )


def _folded(title: str, value: Mapping[str, Any]) -> str:
    return f"<details><summary>{title}</summary>\n\n```json\n{_written(value)}\n```\n\n</details>\n"


def _written(value: Any, depth: int = 0) -> str:
    """JSON in which whatever fits on a line stands on one."""
    whole = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, Mapping | list) or len(whole) + 2 * depth <= WIDTH:
        return whole
    named = [f"{json.dumps(name)}: " for name in value] if isinstance(value, Mapping) else [""] * len(value)
    items = value.values() if isinstance(value, Mapping) else value
    first, last = "{}" if isinstance(value, Mapping) else "[]"
    inner, outer = "\n" + "  " * (depth + 1), "\n" + "  " * depth
    lines = (name + _written(item, depth + 1) for name, item in zip(named, items, strict=True))
    return f"{first}{inner}{f',{inner}'.join(lines)}{outer}{last}"
