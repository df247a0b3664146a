"""Erases the raw messages that spoke of a person or came from a shop.

Comes in: an open erasure, inside the caller's transaction. Left behind: rows without body, headers and reason; that a
message came, and what became of it, stays. A process that dies before the commit leaves nothing of it.

A replay locks its messages before the records that they speak of, which the erasure has locked by then. So a message
that is being replayed is not waited for, but left to the next step.
"""

import re
from typing import Any, NamedTuple

from sqlalchemy import Connection, TextClause, text

from shared.privacy import WHOLE_SHOP
from workers.inbound.subjects import TENANT, subject
from workers.privacy.merged import merged

_ERASE = """
WITH found AS MATERIALIZED (
    SELECT id FROM messages
    WHERE account_id = :account_id AND provider = :provider AND body IS NOT NULL AND ({whose})
    ORDER BY id LIMIT :limit
), free AS MATERIALIZED (
    SELECT id FROM messages WHERE id = ANY(ARRAY(SELECT id FROM found)) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
), emptied AS (
    UPDATE messages SET body = NULL, headers = '{{}}', path = '', reason = NULL
    WHERE id = ANY(ARRAY(SELECT id FROM free))
    RETURNING id
)
SELECT (SELECT count(*) FROM found) AS found, (SELECT count(*) FROM emptied) AS emptied
"""
# A message of several tenants has none of its own, and names them among its subjects: not with whom of each, so it is
# emptied for a namesake as well.
_OF_SHOP = text(_ERASE.format(whose="tenant = :tenant OR subjects @> ARRAY[CAST(:own AS text)]"))
# One that could not be read says nothing of whom it is about, so it is searched for their ids as whole words. It may
# hit another's message with the same number in it: a failed or ignored message, which is then no longer replayable.
_OF_PERSON = text(
    _ERASE.format(
        whose="""
        ((tenant = :tenant OR subjects @> ARRAY[CAST(:own AS text)]) AND subjects && CAST(:subjects AS text[]))
        OR (tenant IN (:tenant, '') AND (subjects = '{}' OR reason_code = 'items_unexpected')
            AND encode(body, 'escape') ~ :pattern)
    """
    )
)


class Emptied(NamedTuple):
    """How many messages there were, at most as many as were asked for, and how many of them were emptied."""

    found: int
    emptied: int


def erase_messages(connection: Connection, request: dict[str, Any], *, limit: int) -> Emptied:
    """Empty the next messages, at most `limit`; fewer than were found where others have some locked."""
    values = {name: request[name] for name in ("account_id", "provider", "tenant")} | {"limit": limit}
    values["own"] = subject(TENANT, request["tenant"])
    if request["subject"] == WHOLE_SHOP:
        return _emptied(connection, _OF_SHOP, values)
    known_as = [request["subject"], *merged(connection, request)]
    ids = [*known_as, *request["orders"]]
    values["subjects"] = [
        *(subject("user", user) for user in known_as),
        *(subject("order", order) for order in request["orders"]),
    ]
    values["pattern"] = f"(^|[^0-9A-Za-z_-])({'|'.join(map(_literal, ids))})([^0-9A-Za-z_-]|$)"
    return _emptied(connection, _OF_PERSON, values)


def _emptied(connection: Connection, statement: TextClause, values: dict[str, Any]) -> Emptied:
    row = connection.execute(statement, values).one()
    return Emptied(row.found, row.emptied)


def _literal(value: str) -> str:
    """`value` as a pattern that matches itself alone, the way PostgreSQL shows bytes as text."""
    shown = "".join(chr(byte) if 0 < byte < 128 else f"\\{byte:03o}" for byte in value.encode())  # noqa: PLR2004  # ASCII
    return re.sub(r"([^0-9A-Za-z])", r"\\\1", shown)
