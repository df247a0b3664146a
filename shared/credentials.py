"""Credentials of integrations as they are given: without the blanks that a copy brings along, and fit to be sent.

Comes in: what a person or a provider gives. Comes out: the same, stripped. Pure: nothing is left behind.

A token goes out in a header, and there a line break or a character beyond Latin-1 cannot go: refused when it is set, it
is told to who has set it, and not days later by work that fails.
"""

from collections.abc import Mapping
from typing import Any
from unicodedata import category

from shared.errors import Unacceptable


def fit(credentials: Mapping[str, Any]) -> dict[str, Any]:
    """The credentials with each text in them stripped.

    Raises:
        Unacceptable: `credentials_malformed`: a text in them, which is named and not shown, cannot go into a header.
    """
    return {name: _fit(value, name) for name, value in credentials.items()}


def _fit(value: Any, name: str) -> Any:
    if isinstance(value, Mapping):
        return {key: _fit(one, f"{name}.{key}") for key, one in value.items()}
    if isinstance(value, list):
        return [_fit(one, name) for one in value]
    if not isinstance(value, str):
        return value
    stripped = value.strip()
    if any(character > "\xff" or category(character) == "Cc" for character in stripped):
        words = f"{name} has a line break or another character that no header may carry."
        raise Unacceptable("credentials_malformed", words)
    return stripped
