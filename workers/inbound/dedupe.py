"""Tells a provider's repeats from new deliveries, and our own second look from both.

Comes in: identified messages, inside the caller's transaction. Left behind: a key for each new delivery. Two drains
with the same key wait for each other, so that one of them sees a repeat. A process that dies before the commit leaves
nothing, and the messages are new again.
"""

import hashlib
from collections.abc import Sequence
from uuid import UUID

import orjson
from sqlalchemy import Connection, text

from shared.states import MessageState
from workers.inbound.reading import Inbound, Reading

_KNOWN = text("SELECT CAST(id AS text) FROM messages WHERE id = ANY(CAST(:ids AS uuid[]))")
# The transaction has its id from here on, also where every key is known: what an erasure waits for has one before it
# looks whom it must not bring back.
_REMEMBER = text("""
INSERT INTO message_keys (source_id, key, message_id, received_at)
SELECT source_id, decode(key, 'hex'), message_id, received_at
FROM json_to_recordset(CAST(:keys AS json)) AS k (source_id uuid, key text, message_id uuid, received_at timestamptz)
WHERE pg_current_xact_id() IS NOT NULL
ON CONFLICT (source_id, key) DO NOTHING
RETURNING CAST(message_id AS text)
""")
_HAPPENED = text("""
INSERT INTO message_keys (source_id, key, message_id, received_at)
SELECT source_id, decode(key, 'hex'), message_id, received_at
FROM json_to_recordset(CAST(:keys AS json)) AS k (source_id uuid, key text, message_id uuid, received_at timestamptz)
ON CONFLICT (source_id, key) DO NOTHING
RETURNING CAST(source_id AS text), encode(key, 'hex')
""")
_FIRST = text("""
SELECT CAST(m.source_id AS text), encode(m.key, 'hex'), CAST(m.message_id AS text)
FROM json_to_recordset(CAST(:keys AS json)) AS k (source_id uuid, key text)
JOIN message_keys m ON m.source_id = k.source_id AND m.key = decode(k.key, 'hex')
""")


def unseen(connection: Connection, batch: Sequence[Inbound]) -> list[Inbound]:
    """The messages of the batch that are not committed already.

    One is when a drain died between its commit and its acknowledgement: it is done, and no repeat of anything.
    """
    ids = [str(inbound.message_id) for inbound in batch]
    known = set(connection.execute(_KNOWN, {"ids": ids}).scalars())
    return [inbound for inbound in batch if str(inbound.message_id) not in known]


def mark_repeats(connection: Connection, readings: Sequence[Reading]) -> None:
    """Remember the key of every reading, and settle those whose key was known as duplicates of the first."""
    new = remember(connection, readings)
    repeats = [reading for reading in readings if str(reading.inbound.message_id) not in new]
    if not repeats:
        return
    first = {(source, key): message for source, key, message in connection.execute(_FIRST, _document(repeats))}
    for reading in repeats:
        original = first.get((str(reading.inbound.source_id), reading.key.hex()))
        if original == str(reading.inbound.message_id):
            continue  # its key outlived its row, which retention dropped or an operator removed: it is its own first
        reading.settle(MessageState.DUPLICATE, "repeat", "the provider sent it again")
        reading.duplicate_of = None if original is None else UUID(original)
        reading.changes = ()


def remember(connection: Connection, readings: Sequence[Reading]) -> set[str]:
    """Remember the keys; the ids of the messages whose key was new. Of equal keys in the batch the first is."""
    return set(connection.execute(_REMEMBER, _document(readings)).scalars())


def drop_told(connection: Connection, readings: Sequence[Reading]) -> None:
    """Take out of the readings what happened once and was told before, by another message or by an earlier one here.

    Its key is remembered among the deliveries' own, and for as long.
    """
    told = [
        (reading, _happening(reading, change.once))
        for reading in readings
        for change in reading.changes
        if change.once is not None
    ]
    if not told:
        return
    rows = sorted(
        (
            {
                "source_id": reading.inbound.source_id,
                "key": key,
                "message_id": reading.inbound.message_id,
                "received_at": reading.inbound.received_at,
            }
            for reading, key in told
        ),
        key=lambda row: (row["source_id"], row["key"]),
    )
    new = {(source, key) for source, key in connection.execute(_HAPPENED, {"keys": orjson.dumps(rows).decode()}).all()}
    for reading in readings:
        kept = []
        for change in reading.changes:
            if change.once is not None:
                mine = (str(reading.inbound.source_id), _happening(reading, change.once))
                if mine not in new:
                    continue
                new.discard(mine)
            kept.append(change)
        if len(kept) < len(reading.changes):
            reading.changes = tuple(kept)


def first_with(connection: Connection, readings: Sequence[Reading], keys: Sequence[bytes]) -> list[str | None]:
    """Remember a key for each reading, in their order; the id of the message that each was first remembered of."""
    rows = [
        {
            "source_id": reading.inbound.source_id,
            "key": key.hex(),
            "message_id": reading.inbound.message_id,
            "received_at": reading.inbound.received_at,
        }
        for reading, key in zip(readings, keys, strict=True)
    ]
    document = {"keys": orjson.dumps(sorted(rows, key=lambda row: (row["source_id"], row["key"]))).decode()}
    connection.execute(_REMEMBER, document)
    first = {(source, key): message for source, key, message in connection.execute(_FIRST, document)}
    return [first.get((str(row["source_id"]), str(row["key"]))) for row in rows]


def _happening(reading: Reading, once: str) -> str:
    return hashlib.sha256(f"once:{reading.tenant}:{once}".encode(errors="replace")).hexdigest()


def _document(readings: Sequence[Reading]) -> dict[str, str]:
    """In the order of keys, so that two drains that share some wait and never deadlock."""
    rows = [
        {
            "source_id": reading.inbound.source_id,
            "key": reading.key.hex(),
            "message_id": reading.inbound.message_id,
            "received_at": reading.inbound.received_at,
        }
        for reading in sorted(readings, key=lambda reading: (reading.inbound.source_id, reading.key))
    ]
    return {"keys": orjson.dumps(rows).decode()}
