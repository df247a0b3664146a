"""Versions: a provider's own instants of a record's states, believed as far as they can be true.

Comes in: the instant that a message or an API gives, and when it came. Comes out: the version that the guard compares.
Pure; nothing is left behind.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

# How far a provider's clock may be ahead of ours. Theirs and ours follow the same time servers, so this is generous.
AHEAD_SECONDS: Final = 5.0
_AHEAD: Final = timedelta(seconds=AHEAD_SECONDS)


def believed(at: datetime, *, came_at: datetime) -> datetime:
    """`at`, aware and no later than `AHEAD_SECONDS` after it came.

    Nobody can tell of a state that is yet to be. A version from the future, which an unsigned header or a wrong clock
    can say, would make everything stale until that day; so it counts as of when it came, and what comes later wins.
    """
    aware = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return min(aware, came_at + _AHEAD)
