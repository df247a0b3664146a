"""What was told of, read as a receiver would who trusts the catalogue: what breaks its published schema fails."""

import json
from functools import cache
from typing import Any

import jsonschema

from shared.event_schemas import event_schema


@cache
def _validator(event_type: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(event_schema(event_type), format_checker=jsonschema.FormatChecker())


def read(body: str | bytes) -> dict[str, Any]:
    """The envelope in a body.

    Raises:
        jsonschema.ValidationError: it is not what the catalogue says of its type.
    """
    envelope: dict[str, Any] = json.loads(body)
    _validator(envelope["event"]).validate(envelope)
    return envelope
