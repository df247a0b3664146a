"""Tells what PostgreSQL refuses for what it was given to hold from trouble that passes.

Comes in: an error of the database. Comes out: whether the values are at fault, and in which words. Pure.
"""

from typing import Final

from sqlalchemy.exc import DBAPIError

# SQLSTATE classes of what a message's own content causes: data, integrity, program limits (an index entry too long).
# Everything else (a lost connection, a full disk, a deadlock) is trouble that passes, and fails no message.
_CLASSES: Final = ("21", "22", "23", "54")


def is_poison(error: DBAPIError) -> bool:
    """Whether the same values would be refused again."""
    return not error.connection_invalidated and str(getattr(error.orig, "pgcode", None))[:2] in _CLASSES


def describe(error: DBAPIError) -> str:
    """The first line of what PostgreSQL says, without the statement and its values."""
    return f"{type(error.orig).__name__}: {str(error.orig).strip().partition(chr(10))[0]}"
