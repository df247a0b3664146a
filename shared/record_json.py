"""The one JSON form of a record, as events, the API and exports show it.

Comes in: a row of a record table. Comes out: its JSON. Pure; a process that dies in the middle leaves nothing.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from shared.clock import to_json
from shared.record_kinds import RecordKind
from shared.record_shapes import Shape, shapes_of, whole


def record_json(kind: RecordKind, row: Mapping[str, Any]) -> dict[str, Any]:
    """The record of a row (`row._mapping` of a result). The shape is always whole: what nobody has said is blank."""
    shapes = shapes_of(kind.name)
    return {
        **_frame(row),
        **{name: value_json(row[field], shapes.get(field)) for field, name in kind.json_names.items()},
        "timestamps": {"createdAt": to_json(row["created_at"]), "updatedAt": to_json(row["updated_at"])},
    }


def deleted_record_json(row: Mapping[str, Any]) -> dict[str, Any]:
    """What is told of a record that is gone: enough to find it by."""
    return {**_frame(row), "deletedAt": None if row["deleted_at"] is None else to_json(row["deleted_at"])}


def value_json(value: Any, shape: Shape | None = None) -> Any:
    """One field's value as JSON has it; the objects in it with every key of the field's shape."""
    if shape is not None:
        return whole(shape, value)
    return to_json(value) if isinstance(value, datetime) else value


def _frame(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": str(row["id"]),
        "externalId": row["external_id"],
        "provider": row["provider"],
        "tenant": row["tenant"],
    }
