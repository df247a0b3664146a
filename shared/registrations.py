"""Registrations: which of an integration's topics its provider sends us, as of the last look.

Left behind: a row a topic in `registrations`, in the caller's transaction. A process that dies in the middle leaves
the rows of the look before.
"""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import Connection, select, text, update

from shared.db.upstream_tables import registrations
from shared.ids import new_id


class RegistrationState(StrEnum):
    """How a topic stands at its provider."""

    REGISTERED = "registered"
    REFUSED = "refused"  # the provider will not have it; `note` has its words
    BY_HAND = "by_hand"  # a person enters it there; `note` says what and where


@dataclass(frozen=True, slots=True)
class Found:
    """One topic after a look."""

    topic: str
    state: RegistrationState
    external_id: str | None = None
    address: str | None = None
    note: str | None = None
    is_dropped: bool = False  # it was registered, was gone, and was put back


_WRITE: Final = text("""
WITH found AS (
    SELECT * FROM jsonb_to_recordset(CAST(:found AS jsonb)) AS found (
        id uuid, topic text, state text, external_id text, address text, note text, is_dropped boolean)
), gone AS (
    DELETE FROM registrations WHERE integration_id = :integration_id AND topic NOT IN (SELECT topic FROM found)
)
INSERT INTO registrations AS r
    (id, integration_id, topic, state, external_id, address, note, drops, registered_at, checked_at)
SELECT id, :integration_id, topic, state, external_id, address, note, 0,
       CASE WHEN state = 'registered' THEN CAST(:now AS timestamptz) END, :now
FROM found
ON CONFLICT (integration_id, topic) DO UPDATE SET
    state = excluded.state, external_id = excluded.external_id, address = excluded.address, note = excluded.note,
    drops = r.drops + (SELECT is_dropped::int FROM found WHERE found.topic = r.topic),
    registered_at = CASE WHEN excluded.state <> 'registered' THEN NULL
                         WHEN r.external_id = excluded.external_id THEN r.registered_at ELSE :now END,
    checked_at = :now
""")


def write(connection: Connection, integration_id: UUID, found: Sequence[Found], *, now: datetime) -> None:
    """Replace what was known of the integration's topics by what was found."""
    rows = [{"id": str(new_id()), **asdict(one)} for one in found]
    values = {"integration_id": str(integration_id), "found": orjson.dumps(rows).decode(), "now": now}
    connection.execute(_WRITE, values)


def forget_ids(connection: Connection, integration_id: UUID, topics: Collection[str]) -> None:
    """Have nobody believe any more that these topics are as they were made. Idempotent."""
    connection.execute(
        update(registrations)
        .where(registrations.c.integration_id == integration_id, registrations.c.topic.in_(topics))
        .values(external_id=None)
    )


def list_registrations(connection: Connection, integration_id: UUID) -> list[dict[str, Any]]:
    """Every topic of the integration by name."""
    query = (
        select(registrations).where(registrations.c.integration_id == integration_id).order_by(registrations.c.topic)
    )
    return [dict(row) for row in connection.execute(query).mappings()]
