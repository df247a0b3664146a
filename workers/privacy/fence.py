"""Waits out everybody who looked for an erasure's marks before they were there.

A drain reads whether an order's customer is erased and writes the order down a moment later, in one transaction. Where
an erasure commits in between, neither has seen the other. So an erasure looks twice: the fence is the id of a
transaction begun after its marks were committed, and the second look comes when no transaction with a lower id is open
any more. Whoever had looked before the marks is one of those, for it has its id before it looks (`dedupe.remember`,
`learn`, `export`), and what it wrote is committed, or never will be. A look that finds something has made new marks,
and there is a new fence behind these. This costs the drain nothing, and holds nobody up.

Comes in: an open erasure, inside the caller's transaction. Left behind: its fence. A process that dies before the
commit leaves none, and the next sets one that is as good.
"""

from typing import Any

from sqlalchemy import Connection, text

# Ids of 64 bits, which do not wrap around.
_ID = text("SELECT CAST(CAST(pg_current_xact_id() AS text) AS bigint)")
_OLDEST = text("SELECT CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint)")


def make(connection: Connection) -> int:
    """A fence: the id of this transaction, which must have begun after the marks were committed."""
    fence: Any = connection.execute(_ID).scalar_one()
    return int(fence)


def is_passed(connection: Connection, fence: int) -> bool:
    """Whether every transaction from before the fence has ended."""
    oldest: Any = connection.execute(_OLDEST).scalar_one()
    return int(oldest) > fence
