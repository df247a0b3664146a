"""The customers who were merged into the one that a request is about: they are the same person.

Comes in: a request. Comes out: their ids at the provider. Only reads; nothing is left behind.
"""

from typing import Any, Final

from sqlalchemy import Connection, text

from shared.users import MERGED_INTO

# Without an index, for only a request asks, and only of the tombstones of one tenant. Stops at a circle.
_MERGED: Final = text(f"""
WITH RECURSIVE mine (external_id) AS (
    VALUES (CAST(:subject AS text))
    UNION
    SELECT u.external_id FROM mine JOIN users u ON u.attributes ->> '{MERGED_INTO}' = mine.external_id
    WHERE u.account_id = :account_id AND u.provider = :provider AND u.tenant = :tenant AND u.deleted_at IS NOT NULL
)
SELECT external_id FROM mine WHERE external_id <> :subject ORDER BY external_id
""")


def merged(connection: Connection, request: dict[str, Any]) -> list[str]:
    """Who became the request's subject, at once or by way of others."""
    values = {name: request[name] for name in ("account_id", "provider", "tenant", "subject")}
    return list(connection.execute(_MERGED, values).scalars())
