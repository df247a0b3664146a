"""A finding: what was looked at, what was seen, and what to do about it.

Nothing is left behind.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """`failed` means that something does not work or may be lost; `warning` that someone should look."""

    name: str
    state: Literal["ok", "warning", "failed"]
    seen: str
    advice: str = ""  # what to do; empty when all is well


def ok(name: str, seen: str) -> Finding:
    """All is well."""
    return Finding(name, "ok", seen)


def warning(name: str, seen: str, advice: str) -> Finding:
    """Someone should look."""
    return Finding(name, "warning", seen, advice)


def failed(name: str, seen: str, advice: str) -> Finding:
    """Something does not work."""
    return Finding(name, "failed", seen, advice)
