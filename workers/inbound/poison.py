"""Tells what a message's own content causes from trouble that passes.

Comes in: an error of the database, or what is to be told, which may be too much to hold. Comes out: whether the values
are at fault, and in which words. Pure.
"""

from collections.abc import Iterable
from typing import Final

from sqlalchemy.exc import DBAPIError

from shared.events import EventDraft

# SQLSTATE classes of what a message's own content causes: data, integrity, program limits (an index entry too long).
# Everything else (a lost connection, a full disk, a deadlock) is trouble that passes, and fails no message.
_CLASSES: Final = ("21", "22", "23", "54")

# Of events that one transaction may tell. A message of the largest size that is taken in comes to less, unless it
# multiplies: a hundred items that are one record tell the whole of it a hundred times.
EVENT_BYTES: Final = 32_000_000


class Overfull(Exception):
    """What a batch means is more than is to be held in memory."""


class Telling:
    """The events that one attempt is to tell, as many as may be held at once."""

    def __init__(self, most: int) -> None:
        self.drafts: list[EventDraft] = []
        self._most = most
        self._size = 0

    def add(self, drafts: Iterable[EventDraft]) -> None:
        """Take these as well; they are made one by one, and no further than there is room.

        Raises:
            Overfull: together they are too long.
        """
        for draft in drafts:
            self.drafts.append(draft)
            self._size += len(draft.body)
            if self._size > self._most:
                raise Overfull(f"what is to be told of it is longer than {self._most} characters")


def is_poison(error: DBAPIError | MemoryError | Overfull) -> bool:
    """Whether the same values would be refused again."""
    if not isinstance(error, DBAPIError):
        return True
    return not error.connection_invalidated and str(getattr(error.orig, "pgcode", None))[:2] in _CLASSES


def describe(error: DBAPIError | MemoryError | Overfull) -> str:
    """What is to be said of it; of PostgreSQL's words the first line, without the statement and its values."""
    if isinstance(error, MemoryError):
        return "to understand it takes more memory than there is"
    if not isinstance(error, DBAPIError):
        return str(error)
    return f"{type(error.orig).__name__}: {str(error.orig).strip().partition(chr(10))[0]}"
