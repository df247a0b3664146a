"""Has a provider asked for what messages leave open: an order that was edited, a shop whose data changed.

Comes in: readings, inside the caller's transaction and before any record is locked. Left behind: a row of `inquiries`
for each subject, however many messages tell of it, and the work of asking due a little later. A process that dies
before the commit leaves nothing. Without credentials nobody can be asked: there, whole snapshots have to tell.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import orjson
from sqlalchemy import Connection, text

from shared import upstream_work
from shared.upstream_work import Kind
from workers.inbound.demands import INQUIRY, INSTALLATION, Demand
from workers.inbound.reading import Reading
from workers.inbound.subjects import subject

_INTEGRATIONS: Final = text("""
SELECT i.id, t.subject, max(t.at) AS at
FROM json_to_recordset(CAST(:asked AS json)) AS t (source_id uuid, tenant text, subject text, at timestamptz)
JOIN integrations i ON i.source_id = t.source_id AND lower(i.external_id) = lower(t.tenant)
WHERE i.state = 'active' AND i.credentials IS NOT NULL
GROUP BY i.id, t.subject
ORDER BY i.id, t.subject
""")
_PUT: Final = text("""
INSERT INTO inquiries (integration_id, subject, at)
SELECT integration_id, subject, at
FROM json_to_recordset(CAST(:rows AS json)) AS r (integration_id uuid, subject text, at timestamptz)
ON CONFLICT (integration_id, subject) DO UPDATE SET
    at = greatest(inquiries.at, excluded.at), times = inquiries.times + 1
""")


def ask_inquiries(connection: Connection, readings: Sequence[Reading], *, now: datetime, in_seconds: float) -> int:
    """How many subjects their providers are to be asked for, no later than `in_seconds` from now."""
    asked = [
        {"source_id": reading.inbound.source_id, "tenant": reading.tenant, "subject": about, "at": demand.at}
        for reading in readings
        for demand in reading.demands
        if (about := _subject(reading, demand)) is not None
    ]
    if not asked:
        return 0
    found = connection.execute(_INTEGRATIONS, {"asked": orjson.dumps(asked).decode()}).mappings().all()
    if not found:
        return 0
    integrations: list[UUID] = list(dict.fromkeys(row["id"] for row in found))
    # The work first, as a worker that is at it locks: it would wait for us as we for it.
    upstream_work.ask(connection, integrations, Kind.INQUIRY, now=now, in_seconds=in_seconds)
    rows = [{"integration_id": row["id"], "subject": row["subject"], "at": row["at"]} for row in found]
    connection.execute(_PUT, {"rows": orjson.dumps(rows).decode()})
    return len(found)


def _subject(reading: Reading, demand: Demand) -> str | None:
    if demand.kind == INQUIRY:
        return subject(str(demand.of), demand.subject)
    return subject(INSTALLATION, reading.tenant) if reading.is_doubted else None
