"""Ids: UUIDv7, so that an id's order is the order of creation and partitions can be cut by id.

Pure; nothing is left behind.
"""

from datetime import datetime
from uuid import UUID

import uuid_utils.compat


def new_id() -> UUID:
    """A fresh UUIDv7. Ids made in one process rise strictly, even within a millisecond."""
    return uuid_utils.compat.uuid7()


def floor_id(at: datetime) -> UUID:
    """The smallest UUIDv7-ordered id of the millisecond of `at`: a bound to cut partitions and pages with."""
    return UUID(int=int(at.timestamp() * 1000) << 80)


def created_at_ms(value: UUID) -> int:
    """The Unix milliseconds a UUIDv7 was made at."""
    return value.int >> 80


def parse_id(text: object) -> UUID | None:
    """The id that `text` spells, or `None`: an id that is no id is simply not found."""
    if isinstance(text, UUID):
        return text
    if not isinstance(text, str):
        return None
    try:
        return UUID(text)
    except ValueError:
        return None
