"""Takes the person out of records, and the records' events out of the tables.

Comes in: an open erasure, inside the caller's transaction. Left behind: redacted or removed records, no event about
them, their deliveries discarded. A process that dies before the commit leaves nothing of it.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Table, TextClause, delete, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert

from shared.db.tables import RECORD_TABLES
from shared.events import EventDraft, emit
from shared.ids import new_id
from shared.record_kinds import KINDS, RecordKind
from shared.users import deleted_user_json
from workers.inbound.origin import Origin, draft
from workers.privacy.merged import merged

_OF_ORDERS: Final = ("refund", "shipment", "payment")

# That a record is gone is told in words that hold nothing personal, and to whoever has yet to hear it.
_FAREWELLS: Final = tuple(kind.deleted for kind in KINDS.values() if kind.deleted is not None)

# What an event says is gone with its row. What was still owed of it is discarded; an attempt that is in flight this
# moment finds no body when it comes to be tried again. A receiver's reply may have said it back, to a farewell as well.
_ERASE_EVENTS = text("""
WITH gone AS (
    DELETE FROM events
    WHERE account_id = :account_id AND subject_id = ANY(CAST(:ids AS uuid[])) AND type <> ALL(:farewells)
    RETURNING id
), told AS (
    SELECT id, true AS is_gone FROM gone
    UNION ALL
    SELECT id, false FROM events
    WHERE account_id = :account_id AND subject_id = ANY(CAST(:ids AS uuid[])) AND type = ANY(:farewells)
), owed AS MATERIALIZED (
    SELECT d.id, d.state, told.is_gone FROM deliveries d JOIN told ON told.id = d.event_id
    ORDER BY d.id FOR NO KEY UPDATE OF d
), discarded AS (
    UPDATE deliveries d SET state = 'discarded', last_error = 'event_erased', finished_at = :now
    FROM owed WHERE d.id = owed.id AND owed.is_gone AND owed.state IN ('pending', 'held')
    RETURNING d.id
), silenced AS (
    UPDATE attempts a SET response_excerpt = NULL
    FROM owed WHERE a.delivery_id = owed.id AND a.response_excerpt IS NOT NULL
    RETURNING a.id
)
SELECT (SELECT count(*) FROM gone) AS events, (SELECT count(*) FROM discarded) AS deliveries,
       (SELECT count(*) FROM silenced) AS replies
""")


def erase_person(connection: Connection, request: dict[str, Any], counts: Counter[str], *, now: datetime) -> None:
    """Redact the user, their orders and what hangs on those; and erase the events of all of them.

    `request["orders"]` has every order found when this returns, for their raw messages are to go as well.
    """
    people, told = _redact_users(connection, request, counts, now=now)
    found = _redact_orders(connection, request, people, counts, now=now)
    erase_events(connection, request, [row["id"] for row in (*people, *found)], counts, now=now)
    emit(connection, told, now=now)


def erase_rest(connection: Connection, request: dict[str, Any], counts: Counter[str], *, now: datetime) -> bool:
    """The second look at a person: what a drain wrote down that did not see the marks of the first, if there is any.

    The user themselves are not looked at again, for their row is locked by whoever changes it; who was merged into them
    meanwhile is. What was redacted by then stays as it is: what is told of it since is told without the person.
    """
    people = _redact_merged(connection, request, now=now)
    found = _redact_orders(connection, request, people, counts, now=now)
    ids = [row["id"] for row in (*people, *found) if row["redacted_at"] is None]
    erase_events(connection, request, ids, counts, now=now)
    return bool(ids)


def _redact_orders(
    connection: Connection,
    request: dict[str, Any],
    people: Sequence[dict[str, Any]],
    counts: Counter[str],
    *,
    now: datetime,
) -> list[dict[str, Any]]:
    """Redact the orders of `people`, who are one person, and what hangs on those; all of them, as they were before."""
    orders = RECORD_TABLES["order"]
    named = [str(order) for order in request["orders"]]
    theirs = orders.c.customer_external_id.in_([row["external_id"] for row in people])
    mine = or_(orders.c.external_id.in_(named), theirs)
    # Their shipments first, as the drains lock them, which have an order follow what becomes of one.
    known = connection.execute(select(orders.c.external_id).where(*_of(orders, request), mine)).scalars()
    shipments = RECORD_TABLES["shipment"]
    _locked(connection, shipments, request, shipments.c.order_external_id.in_([*named, *known]))
    found = _locked(connection, orders, request, mine)
    counts["orders"] += _redact(connection, "order", found, now=now)
    external_ids = list(dict.fromkeys([*named, *(row["external_id"] for row in found)]))
    request["orders"] = external_ids
    unknown = [name for name in named if name not in {row["external_id"] for row in found}]
    _bury(connection, orders, request, unknown, now=now)
    for kind in _OF_ORDERS:
        table = RECORD_TABLES[kind]
        rows = _locked(connection, table, request, table.c.order_external_id.in_(external_ids))
        counts[KINDS[kind].table] += _redact(connection, kind, rows, now=now)
        found += rows
    return found


def erase_shop_batch(
    connection: Connection,
    kind: RecordKind,
    request: dict[str, Any],
    counts: Counter[str],
    *,
    limit: int,
    now: datetime,
) -> int:
    """How many records of a kind went, at most `limit`: all but the tombstones of people who were erased before."""
    table = RECORD_TABLES[kind.name]
    keep = table.c.redacted_at.is_not(None) & table.c.deleted_at.is_not(None)
    rows = _locked(connection, table, request, ~keep, limit=limit)
    if not rows:
        return 0
    ids = [row["id"] for row in rows]
    erase_events(connection, request, ids, counts, now=now)
    if kind.name == "user":
        emit(connection, [_farewell(row | {"deleted_at": now}, request, now) for row in rows if _is_live(row)], now=now)
    redacted = [row for row in rows if row["redacted_at"] is not None]
    connection.execute(delete(table).where(table.c.id.in_(ids)))
    _bury(connection, table, request, [row["external_id"] for row in redacted], now=now)
    counts[kind.table] += len(rows)
    return len(rows)


def erase_events(
    connection: Connection, request: dict[str, Any], ids: Sequence[UUID], counts: Counter[str], *, now: datetime
) -> None:
    """Erase every event about these records but that they are gone, and what is owed of them."""
    values = {
        "account_id": request["account_id"],
        "ids": [str(value) for value in ids],
        "farewells": list(_FAREWELLS),
        "now": now,
    }
    row = connection.execute(_ERASE_EVENTS, values).one()
    counts.update(events=row.events, deliveries=row.deliveries, replies=row.replies)


def _redact_users(
    connection: Connection, request: dict[str, Any], counts: Counter[str], *, now: datetime
) -> tuple[list[dict[str, Any]], list[EventDraft]]:
    """Make a tombstone of the user, for ever.

    Returns: the user and who was merged into them, as they were before; what is to be told, when the user was live.
    """
    users = RECORD_TABLES["user"]
    people = _redact_merged(connection, request, now=now)
    if all(one["external_id"] != request["subject"] for one in people):
        # Behind the lock of those we have, as the drains do, who would else wait for this row as we for theirs.
        _bury(connection, users, request, [request["subject"]], now=now)
        people = _redact_merged(connection, request, now=now)
    [row] = [one for one in people if one["external_id"] == request["subject"]]
    connection.execute(
        update(users)
        .where(users.c.id == row["id"])
        .values(
            **KINDS["user"].blank,
            version=func.greatest(users.c.version, request["requested_at"]),
            deleted_at=func.coalesce(users.c.deleted_at, now),
            redacted_at=func.coalesce(users.c.redacted_at, now),
            updated_at=now,
        )
    )
    counts["users"] += int(_is_live(row))
    return people, [_farewell(row | {"deleted_at": now}, request, now)] if _is_live(row) else []


def _redact_merged(connection: Connection, request: dict[str, Any], *, now: datetime) -> list[dict[str, Any]]:
    """Mark who was merged into the user; these and the user, as they were before, locked together.

    Their tombstones say nothing but that; what comes late of them is to say nothing either.
    """
    users = RECORD_TABLES["user"]
    others = users.c.external_id.in_(merged(connection, request)) & users.c.deleted_at.is_not(None)
    rows = _locked(connection, users, request, or_(users.c.external_id == request["subject"], others))
    fresh = [row["id"] for row in rows if row["external_id"] != request["subject"] and row["redacted_at"] is None]
    connection.execute(update(users).where(users.c.id.in_(fresh)).values(redacted_at=now))
    return rows


def _redact(connection: Connection, kind: str, rows: Sequence[dict[str, Any]], *, now: datetime) -> int:
    """Blank what is personal in records that otherwise stay: what was bought for how much is the merchant's own."""
    table, declared = RECORD_TABLES[kind], KINDS[kind]
    personal: dict[str, Any] = {name: declared.blank[name] for name in declared.personal}
    personal |= {name: _without(name, keys) for name, keys in declared.personal_keys.items()}
    fresh = [row["id"] for row in rows if row["redacted_at"] is None]
    connection.execute(update(table).where(table.c.id.in_(fresh)).values(**personal, redacted_at=now, updated_at=now))
    return len(fresh)


def _without(column: str, keys: Sequence[str]) -> TextClause:
    """The list in a column, its items without `keys`."""
    bare = " ".join(f"- '{key}'" for key in keys)
    return text(f"""(
        SELECT coalesce(jsonb_agg(item {bare} ORDER BY number), '[]')
        FROM jsonb_array_elements({column}) WITH ORDINALITY AS items (item, number)
    )""")


def _bury(
    connection: Connection, table: Table, request: dict[str, Any], external_ids: Sequence[str], *, now: datetime
) -> None:
    """Tombstones for records that we do not have, so that a late message cannot bring them in."""
    if not external_ids:
        return
    blank = next(kind.blank for kind in KINDS.values() if kind.table == table.name)
    frame = {
        **{name: request[name] for name in ("account_id", "provider", "tenant")},
        **blank,
        "version": request["requested_at"],
        **dict.fromkeys(("deleted_at", "redacted_at", "created_at", "updated_at"), now),
    }
    rows = [{"id": new_id(), "external_id": external_id, **frame} for external_id in sorted(external_ids)]
    connection.execute(
        insert(table).on_conflict_do_nothing(index_elements=["account_id", "provider", "tenant", "external_id"]), rows
    )


def _locked(
    connection: Connection, table: Table, request: dict[str, Any], condition: Any, *, limit: int | None = None
) -> list[dict[str, Any]]:
    """The rows, locked in the order of ids, as the drains do."""
    query = select(table).where(*_of(table, request), condition).order_by(table.c.id).limit(limit)
    return [dict(row) for row in connection.execute(query.with_for_update(key_share=True)).mappings()]


def _of(table: Table, request: dict[str, Any]) -> list[Any]:
    return [table.c[name] == request[name] for name in ("account_id", "provider", "tenant")]


def _is_live(row: dict[str, Any]) -> bool:
    return row["deleted_at"] is None


def _farewell(row: dict[str, Any], request: dict[str, Any], now: datetime) -> EventDraft:
    """Subscribers are told to forget them too, in words that hold nothing personal."""
    origin = Origin(request["account_id"], request["message_id"], None, request["provider"], now, now)
    return draft("user.deleted", {"user": deleted_user_json(row)}, kind="user", row=row, origin=origin)
