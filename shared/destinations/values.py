"""Values of an event by their path, and as the plain texts that forms and tables of other systems hold.

Pure; nothing is left behind.
"""

import re
from collections.abc import Mapping
from typing import Any

import orjson

PATH = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}(?:\.[^.\x00-\x1f]{1,128}){0,7}")


def pick(document: Any, path: str) -> Any:
    """The value at a dotted path such as `user.customFields.favourite_tea`; None where there is none."""
    for name in path.split("."):
        if not isinstance(document, Mapping):
            return None
        document = document.get(name)
    return document


def plain(value: Any, *, separator: str = ",") -> str:
    """A value as one text: named things by their names, lists joined, other objects as JSON, None as nothing."""
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case list():
            return separator.join(plain(each, separator=separator) for each in value)
        case {"name": str(name)}:
            return name
        case dict():
            return orjson.dumps(value).decode()
    return str(value)


def is_path(value: object) -> bool:
    """Whether a setting is a path that `pick` takes."""
    return isinstance(value, str) and PATH.fullmatch(value) is not None
