"""Doubts a message that says that a shop is gone, where it may be somebody's replay and the shop can be asked.

Of these nothing but the body is signed, and who has captured one can send it again, as another topic too. Believed, it
would wipe a token or erase a shop. Comes in: readings, inside the caller's transaction. Left behind: keys of the bodies
that are about a shop itself, and the readings marked. A process that dies before the commit leaves nothing.

| it says                 | it is doubted, where the shop is connected, when             |
|-------------------------|--------------------------------------------------------------|
| the app was uninstalled | its body came before, as that or as another topic of a shop  |
| erase the whole shop    | ever: it is sent of a shop that the app is not in            |
"""

import hashlib
from collections.abc import Sequence
from typing import Final

import orjson
from sqlalchemy import Connection, text

from shared.privacy import WHOLE_SHOP
from shared.upstream_work import PROVIDERS_OF, Kind
from workers.inbound.dedupe import first_with
from workers.inbound.demands import ERASURE, INQUIRY, INTEGRATION, Demand
from workers.inbound.reading import Reading

_CONNECTED: Final = text("""
SELECT t.number
FROM json_to_recordset(CAST(:told AS json)) AS t (number integer, source_id uuid, tenant text)
WHERE EXISTS (
    SELECT FROM integrations i
    WHERE i.source_id = t.source_id AND lower(i.external_id) = lower(t.tenant)
      AND i.state = 'active' AND i.credentials IS NOT NULL
)
""")


def mark_doubted(connection: Connection, readings: Sequence[Reading]) -> None:
    """Set `is_doubted` on what is not to be believed on its word."""
    about = [reading for reading in readings if any(_is_of_a_shop(demand) for demand in reading.demands)]
    if not about:
        return
    keys = [hashlib.sha256(b"body:" + reading.body_digest).digest() for reading in about]
    suspects = [
        reading
        for reading, first in zip(about, first_with(connection, about, keys), strict=True)
        if _ends_it(reading, came_before=first not in (None, str(reading.inbound.message_id)))
    ]
    told = [
        {"number": number, "source_id": reading.inbound.source_id, "tenant": reading.tenant}
        for number, reading in enumerate(suspects)
    ]
    for number in connection.execute(_CONNECTED, {"told": orjson.dumps(told).decode()}).scalars():
        suspects[number].is_doubted = True


def _is_of_a_shop(demand: Demand) -> bool:
    return (
        demand.kind == INTEGRATION
        or (demand.kind == INQUIRY and demand.of == "shop")
        or (demand.kind == ERASURE and demand.subject == WHOLE_SHOP)
    )


def _ends_it(reading: Reading, *, came_before: bool) -> bool:
    if reading.provider not in PROVIDERS_OF[Kind.INQUIRY]:
        return False
    kinds = {demand.kind for demand in reading.demands}
    return ERASURE in kinds or (INTEGRATION in kinds and came_before)
