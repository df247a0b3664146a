"""An order's lines with what an edit adds to them and takes from them.

Comes in: the lines as they are known, and `{"id", "added", "removed"}` for each that was edited. Comes out: the lines
as they are then. Pure; a process that dies in the middle leaves nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

MOST: Final = 2**53  # past which JSON readers built on doubles lose pieces

Line = Mapping[str, Any]


def adjusted(lines: Sequence[Line], edits: Sequence[Line]) -> list[dict[str, Any]]:
    """The lines in their order, and after them those that are new, of which nothing but the quantity is known."""
    left = {edit["id"]: edit for edit in edits}
    found = [_adjusted(line, left.pop(line.get("id"), None)) for line in lines]
    return found + [
        {"id": edit["id"], "quantity": edit["added"], "currentQuantity": max(edit["added"] - edit["removed"], 0)}
        for edit in left.values()
        if edit["added"]
    ]


def _adjusted(line: Line, edit: Line | None) -> dict[str, Any]:
    """What was removed was ordered once all the same: only what is left of it falls.

    What more of it comes to is not told, for its discount is not; so the line's total is open until a snapshot tells.
    """
    if edit is None:
        return dict(line)
    quantity = line.get("quantity") or 0
    current = line.get("currentQuantity")
    current = quantity if current is None else current
    told: dict[str, Any] = {"currentQuantity": min(max(current + edit["added"] - edit["removed"], 0), MOST)}
    if edit["added"]:
        told |= {"quantity": min(quantity + edit["added"], MOST), "totalMinor": None}
    return {**line, **told}
