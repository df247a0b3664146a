"""The JSON Schema of every event type, made of the declarations that the events themselves are made of.

Pure; nothing is left behind by importing this.
"""

from collections.abc import Mapping
from typing import Any, Final

from shared.event_types import CATALOGUE, EventType
from shared.record_kinds import KINDS, LAST_COUNTED, Field, Form, RecordKind, camel
from shared.record_shapes import Shape, shapes_of
from shared.users import CHANNELS

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]

_TEXT: Final[Schema] = {"type": "string"}
_TIME: Final[Schema] = {"type": "string", "format": "date-time"}
_COUNT: Final[Schema] = {"type": "integer"}
_OBJECT: Final[Schema] = {"type": "object"}
_FORMS: Final[Mapping[Form, Schema]] = {
    Form.TEXT: {"type": ["string", "null"]},
    Form.ID: {"type": ["string", "null"], "description": "The provider's id."},
    Form.TIME: {"type": ["string", "null"], "format": "date-time"},
    Form.MINOR: {"type": ["integer", "null"], "description": "Money in the smallest unit of the record's currency."},
    Form.COUNT: {"type": ["integer", "null"]},
    Form.NUMBER: {"type": ["number", "null"]},
    Form.FLAG: {"type": "boolean"},
    Form.OBJECT: {"type": "object"},
    Form.PART: {"type": ["object", "null"]},
    Form.TEXTS: {"type": "array", "items": _TEXT},
    Form.ITEMS: {"type": "array", "items": _OBJECT},
    Form.CUSTOM: {"type": "object", "additionalProperties": {"type": ["string", "null"]}},
    Form.FLAGS: {"type": "object", "additionalProperties": {"type": "boolean"}},
    Form.COUNTS: {"type": "object", "additionalProperties": _COUNT},
    Form.TAGS: {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {"id": _TEXT, "name": _TEXT, "appliedAt": _TIME},
            "required": ["id", "name"],
        },
    },
}
_FRAME: Final[Mapping[str, Schema]] = {
    "id": {"type": "string", "format": "uuid", "description": "Our id of the record."},
    "externalId": {"type": "string", "description": "Its id at the provider."},
    "provider": _TEXT,
    "tenant": {"type": "string", "description": "The shop or seller it belongs to there; empty where there is none."},
}
_GONE_USER: Final[Mapping[str, Schema]] = {
    **_FRAME,
    "mergedInto": {"type": ["string", "null"], "description": "The provider's id of the user who has its place."},
}
_CHANGES: Final[Schema] = {
    "type": "object",
    "description": "What changed, by field.",
    "additionalProperties": {"type": "object", "properties": {"old": {}, "new": {}}, "required": ["old", "new"]},
}
_CREATED: Final[Schema] = {
    **_TIME,
    "description": "By the provider's clock, or, where it says none, when we first heard.",
}
_UPDATED: Final[Schema] = {**_TIME, "description": "When we last heard something new of it."}
_TIMESTAMPS: Final[Schema] = {
    "type": "object",
    "properties": {"createdAt": _CREATED, "updatedAt": _UPDATED},
    "required": ["createdAt", "updatedAt"],
}
_OF_NEW_RECORDS_TOO: Final = frozenset(kind.created for kind in KINDS.values() if kind.created == kind.updated) - {None}
# The parts of a user that are not as its columns are.
_USER_PARTS: Final[Mapping[str, Schema]] = {
    "exportConsent": {
        "type": "object",
        "properties": {"given": {"type": "boolean"}, "at": _FORMS[Form.TIME]},
        "required": ["given", "at"],
    },
    "optIns": {**_FORMS[Form.FLAGS], "required": list(CHANNELS)},
    "interactions": {
        **_FORMS[Form.COUNTS],
        "properties": {
            **dict.fromkeys(("messagesCount", "commentsCount", "storiesCount", "totalCount"), _COUNT),
            LAST_COUNTED: _FORMS[Form.TIME],
        },
        "required": ["messagesCount", "commentsCount", "storiesCount", "totalCount", LAST_COUNTED],
    },
    "timestamps": {
        **_TIMESTAMPS,
        "properties": {"subscribedAt": _FORMS[Form.TIME], "createdAt": _CREATED, "updatedAt": _UPDATED},
    },
}


def record_schema(kind: RecordKind) -> Schema:
    """The schema of a record's JSON. New fields may be added to it; none is taken away."""
    properties: dict[str, Schema] = {**_FRAME}
    for field in kind.fields:
        if kind.name != "user" or not field.name.startswith(("export_consent_", "subscribed_at")):
            properties[camel(field.name)] = _field(field, shapes_of(kind.name).get(field.name))
    properties |= _USER_PARTS if kind.name == "user" else {"timestamps": _TIMESTAMPS}
    return {"type": "object", "properties": properties, "required": list(properties)}


def event_schema(event_type: str) -> Schema:
    """The schema of the whole envelope of one event type."""
    kind = CATALOGUE[event_type]
    return {
        "$schema": DIALECT,
        "title": event_type,
        "description": kind.description,
        "type": "object",
        "properties": {
            "event": {"const": event_type},
            "timestamp": {**_TIME, "description": "When it happened, by the provider's clock."},
            "data": _data(event_type, kind),
            "metadata": {
                "type": "object",
                "properties": {
                    "source": {"type": "string", "description": "The provider, or crossdock."},
                    "action": {"const": kind.action},
                },
                "required": ["source", "action"],
            },
        },
        "required": ["event", "timestamp", "data", "metadata"],
    }


def shape_schema(shape: Shape) -> Schema:
    """The schema of what stands inside a record: every key is there, whoever the provider is."""
    properties = {name: _form(form, name) for name, form in shape.keys.items()}
    if "currency" in properties:
        for name, form in shape.keys.items():
            if form is Form.MINOR:
                properties[name]["description"] = "Money in the smallest unit of the currency beside it."
    return {"title": shape.name, "type": "object", "properties": properties, "required": list(properties)}


def _form(form: Form, name: str) -> Schema:
    schema = dict(_FORMS[form])
    if name == "attributes":
        schema["description"] = "What the provider also says, in its own words: a free object."
    return schema


def _field(field: Field, shape: Shape | None) -> Schema:
    if shape is not None:
        schema = shape_schema(shape)
        if field.form is Form.ITEMS:
            return {"type": "array", "items": schema}
        return schema | {"type": ["object", "null"]}
    schema = _form(field.form, field.name)
    return schema | {"enum": [*field.words, None]} if field.words else schema


def _data(event_type: str, kind: EventType) -> Schema:
    properties: dict[str, Schema] = {}
    for name, example in kind.data.items():
        if name == "changes":
            properties[name] = _CHANGES
        elif name in KINDS and event_type == KINDS[name].deleted:
            properties[name] = _gone(_GONE_USER if name == "user" else _FRAME)
        elif name in KINDS:
            properties[name] = record_schema(KINDS[name])
        else:
            properties[name] = _like(example)
    required = list(properties)
    if event_type in _OF_NEW_RECORDS_TOO:  # and of such a one there is nothing to compare with
        properties["changes"] = _CHANGES | {"description": "What changed, by field; absent the first time."}
        required.remove("changes")
    return {"type": "object", "properties": properties, "required": required}


def _gone(frame: Mapping[str, Schema]) -> Schema:
    properties = {**frame, "deletedAt": _TIME}
    return {"type": "object", "properties": properties, "required": list(properties)}


def _like(example: Any) -> Schema:
    """The schema of a small part, by its example: every key of it is always there."""
    if isinstance(example, Mapping):
        properties = {name: _like(value) for name, value in example.items()}
        return {"type": "object", "properties": properties, "required": list(properties)}
    if isinstance(example, bool):
        return {"type": "boolean"}
    if isinstance(example, int):
        return {"type": "integer"}
    return {"type": ["string", "null"]}
