"""The version guard: what one change does to one record, whatever order changes come in.

Comes in: the row as it is, or none, and a change. Comes out: the row as it is to be, and what that was. Pure; a
process that dies in the middle leaves nothing.

| the row is          | upsert                                  | delete                           |
|---------------------|-----------------------------------------|----------------------------------|
| not there           | created                                 | a tombstone, nothing to tell     |
| live, older         | updated, or only its version is raised  | deleted: a tombstone             |
| live, same version  | updated if it says something new        | deleted                          |
| live, newer         | stale                                   | stale                            |
| a tombstone, older  | created anew: the provider has it again | the tombstone's version is raised|
| a tombstone, same   | stale                                   | unchanged                        |
| a tombstone, newer  | stale                                   | stale                            |

A tombstone keeps the key, the id and the version, and forgets the rest; what its deletion says, whom a user was merged
into, it has besides. That holds whichever of two deletions came last, and is told when it is news.
Once a record is redacted, nothing personal comes back: a redacted tombstone is stale to everything, and of what is said
of a live one the personal is left out. So it is of a record that refers to a redacted one, and a new one of these is
redacted from the start.
A guess counts only where nothing is known. A list is replaced whole, but an item that says nothing of its attributes
keeps those that it had.
A count adds to a user whatever the versions, and to a tombstone nothing. An adjustment adds to what an older snapshot
told, and to nothing else: a newer one has it already, and where there is no order, its snapshot will. An order of
somebody who was merged into another changes hands whatever the versions, while it is still theirs. A part is
compared with what was last said of that part, whatever the record's version, which it leaves as it is; it is stale to a
tombstone. What an order is that is told of through its shipments follows from these parts of it.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from shared.clock import parse_instant, to_json
from shared.ids import new_id
from shared.record_changes import RecordChange
from shared.record_kinds import REST_OF_ITEM
from workers.inbound import room, shipped_orders
from workers.inbound.lines import adjusted

Row = dict[str, Any]  # column -> value, every column of the kind's table; the id as text


class Effect(StrEnum):
    """What a change did."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"
    UNCHANGED = "unchanged"  # it said what we know, or spoke of a record we never had
    STALE = "stale"  # what we know is newer


@dataclass(frozen=True, slots=True)
class Applied:
    """The outcome of one change. Rows are never mutated; `after` is `before` where nothing is to be written."""

    effect: Effect
    before: Row | None
    after: Row | None
    changed: frozenset[str] = frozenset()  # the columns that differ, when updated
    # What else was to change because of it, and what that did: an order, by what became of its shipment.
    consequences: tuple[tuple[RecordChange, "Applied"], ...] = ()


def apply(before: Row | None, change: RecordChange, *, now: datetime) -> Applied:
    """What `change` makes of the row. An older change never overwrites a newer one."""
    through_shipment = shipped_orders.is_such(change)
    return (_apply_through_shipment if through_shipment else _apply)(before, change, now=now)


def _apply_through_shipment(before: Row | None, change: RecordChange, *, now: datetime) -> Applied:
    """What is said of an order through a shipment is kept as that; what the order is follows from all that is kept."""
    if before is None and shipped_orders.says_how_it_stands(change):
        return Applied(Effect.UNCHANGED, None, None)
    if before is not None and before["deleted_at"] is None and not shipped_orders.has_room(before, change):
        return _one_shipment_too_many(before, change, now=now)
    one = _apply(before, shipped_orders.kept(change), now=now)
    if one.after is None or one.effect not in (Effect.CREATED, Effect.UPDATED):
        return one
    more = shipped_orders.followed(one.before, one.after)
    changed = one.changed | more.keys() if one.effect is Effect.UPDATED else one.changed
    return replace(one, after=one.after | more, changed=changed)


def _one_shipment_too_many(before: Row, change: RecordChange, *, now: datetime) -> Applied:
    """Only that there was no room for it. The shipment's own record has it."""
    marked = room.without(before["attributes"], shipped_orders.name_of(change))
    if marked == before["attributes"] or change.is_of_forgotten or before["redacted_at"] is not None:
        return Applied(Effect.UNCHANGED, before, before)
    after = {**before, "attributes": marked, "updated_at": now}
    return Applied(Effect.UPDATED, before, after, frozenset({"attributes"}))


def _apply(before: Row | None, change: RecordChange, *, now: datetime) -> Applied:
    if change.is_of_forgotten or (before is not None and before["redacted_at"] is not None):
        if before is not None and before["redacted_at"] is not None and before["deleted_at"] is not None:
            return Applied(Effect.STALE, before, before)
        change = replace(change, fields=_of_nobody(change))
    if before is None:
        return _begin(change, now=now)
    if change.op == "upsert" and change.part is not None:
        return _update_part(before, change, change.part, now=now)
    return _OPS[change.op](before, change, now=now)


def _begin(change: RecordChange, *, now: datetime) -> Applied:
    if change.op in ("adjust", "repoint"):
        return Applied(Effect.UNCHANGED, None, None)
    if change.op == "delete":
        return Applied(Effect.UNCHANGED, None, _tombstone(change, str(new_id()), now))
    return _create(None, change, now=now)


def _upsert(before: Row, change: RecordChange, *, now: datetime) -> Applied:
    known = before["version"]
    if before["deleted_at"] is not None:
        if known is not None and change.version <= known:
            return Applied(Effect.STALE, before, before)
        return _create(before, change, now=now)
    if known is not None and change.version < known:
        return Applied(Effect.STALE, before, before)
    return _update(before, change, now=now)


def _of_nobody(change: RecordChange) -> dict[str, Any]:
    """What of the change is not about a person."""
    found = {name: value for name, value in change.fields.items() if name not in change.kind.personal}
    for name, keys in change.kind.personal_keys.items():
        if name in found:
            found[name] = [{key: one for key, one in item.items() if key not in keys} for item in found[name]]
    return found


def _blank_row(change: RecordChange, record_id: str, now: datetime) -> Row:
    return {
        "id": record_id,
        **change.key._asdict(),
        "version": change.version,
        "deleted_at": None,
        **change.kind.blank,
        "created_at": now,
        "updated_at": now,
        "redacted_at": now if change.is_of_forgotten else None,
    }


def _create(before: Row | None, change: RecordChange, *, now: datetime) -> Applied:
    blank = _blank_row(change, str(new_id()) if before is None else before["id"], now)
    if change.op == "count":
        # It says nothing of the user's state, so whatever is said of that next is news.
        after = blank | {"version": None, "interactions": _counted({}, change)}
        return Applied(Effect.CREATED, before, after)
    after = blank | _as_said(blank, change)
    after["created_at"] = change.fields.get("created_at") or now
    if change.part is not None:
        # As above: it says nothing of the rest.
        clocked = room.with_clock(after["attributes"], f"{change.part}_at", to_json(change.version))
        after |= {"version": None, "attributes": clocked}
    return Applied(Effect.CREATED, before, after)


def _update(before: Row, change: RecordChange, *, now: datetime) -> Applied:
    news = _news(before, change)
    # When it came to be there is no news of it. Until it was said, it was when we first heard of it.
    born = {"created_at": change.fields.get("created_at") or before["created_at"]}
    if news:
        after = {**before, **news, **born, "version": change.version, "updated_at": now}
        return Applied(Effect.UPDATED, before, after, frozenset(news))
    if change.version == before["version"] and born["created_at"] == before["created_at"]:
        return Applied(Effect.UNCHANGED, before, before)
    # Nothing new, but what is older than this is now stale.
    return Applied(Effect.UNCHANGED, before, {**before, **born, "version": change.version})


def _news(before: Row, change: RecordChange) -> Row:
    """The columns that the change makes differ, as it makes them."""
    return {
        column: value
        for column, value in _as_said(before, change).items()
        if column != "created_at"
        and value != before[column]
        and not (column in change.guesses and before[column] is not None)
    }


def _update_part(before: Row, change: RecordChange, part: str, *, now: datetime) -> Applied:
    known = parse_instant(before["attributes"].get(f"{part}_at"))
    if before["deleted_at"] is not None or (known is not None and change.version < known):
        return Applied(Effect.STALE, before, before)
    said = _as_said(before, change)
    news = {column: value for column, value in said.items() if value != before[column]}
    if not said or (not news and change.version == known):
        return Applied(Effect.UNCHANGED, before, before)
    clocked = room.with_clock({**before, **news}["attributes"], f"{part}_at", to_json(change.version))
    if not news:
        return Applied(Effect.UNCHANGED, before, {**before, "attributes": clocked})
    after = {**before, **news, "attributes": clocked, "updated_at": now}
    return Applied(Effect.UPDATED, before, after, frozenset(news))


def _count(before: Row, change: RecordChange, *, now: datetime) -> Applied:
    if before["deleted_at"] is not None:
        return Applied(Effect.STALE, before, before)
    counted = _counted(before["interactions"], change)
    if counted == before["interactions"]:
        return Applied(Effect.UNCHANGED, before, before)
    after = {**before, "interactions": counted, "updated_at": now}
    return Applied(Effect.UPDATED, before, after, frozenset({"interactions"}))


def _adjust(before: Row, change: RecordChange, *, now: datetime) -> Applied:
    """The version stays: it is that of the snapshot which the rest of the row still is."""
    known = before["version"]
    if before["deleted_at"] is not None or (known is not None and change.version <= known):
        return Applied(Effect.STALE, before, before)
    lines = adjusted(before["line_items"], change.fields["line_items"])
    if lines == before["line_items"]:
        return Applied(Effect.UNCHANGED, before, before)
    after = {**before, "line_items": lines, "updated_at": now}
    return Applied(Effect.UPDATED, before, after, frozenset({"line_items"}))


def _repoint(before: Row, change: RecordChange, *, now: datetime) -> Applied:
    """The version stays: that an order changed hands is no statement of its provider about it."""
    was = before["customer_external_id"]
    kept = change.fields.get(was, was)
    if kept == was:  # it is somebody else's by now, or nobody's; or who was merged went in a circle
        return Applied(Effect.UNCHANGED, before, before)
    after = {**before, "customer_external_id": kept, "updated_at": now}
    return Applied(Effect.UPDATED, before, after, frozenset({"customer_external_id"}))


def _counted(known: dict[str, Any], change: RecordChange) -> dict[str, Any]:
    added = {name: known.get(name, 0) + count for name, count in change.fields.items() if count}
    if not added:
        return known
    total = known.get("totalCount", 0) + sum(change.fields.values())
    last = max(known.get("lastUpdated") or "", to_json(change.version))
    return {**known, **added, "totalCount": total, "lastUpdated": last}


def _delete(before: Row, change: RecordChange, *, now: datetime) -> Applied:
    known = before["version"]
    if before["deleted_at"] is not None and (news := _news(before, change)):
        version = change.version if known is None else max(known, change.version)
        after = {**before, **news, "version": version, "updated_at": now}
        return Applied(Effect.DELETED, before, after, frozenset(news))
    if known is not None and change.version < known:
        return Applied(Effect.STALE, before, before)
    if before["deleted_at"] is not None:
        after = before if change.version == known else {**before, "version": change.version}
        return Applied(Effect.UNCHANGED, before, after)
    kept = {name: before[name] for name in ("created_at", "redacted_at")}
    return Applied(Effect.DELETED, before, _tombstone(change, before["id"], now) | kept)


def _tombstone(change: RecordChange, record_id: str, now: datetime) -> Row:
    blank = _blank_row(change, record_id, now) | {"deleted_at": now}
    return blank | _as_said(blank, change)


_OPS: Final = {"upsert": _upsert, "delete": _delete, "count": _count, "adjust": _adjust, "repoint": _repoint}


def _as_said(row: Row, change: RecordChange) -> Row:
    """The columns that the change speaks of, as it makes them of the row's."""
    said = {column: _merged(row, column, value, change) for column, value in change.fields.items()}
    return room.within(row, said, change)


def _merged(row: Row, column: str, value: Any, change: RecordChange) -> Any:
    if column in change.kind.merged:
        return {name: item for name, item in {**row[column], **value}.items() if item is not None}
    if column == "tags" and change.kind.has_tag_objects:
        return _merged_tags(row["tags"], value, change)
    if column in change.kind.lists and row[column]:
        return _merged_items(row[column], value)
    return value


def _merged_items(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The items as now said. A sync does not read what a webhook has under attributes, and must not take it away."""
    merged = new
    if not all(REST_OF_ITEM in item for item in new):
        known = {name: item[REST_OF_ITEM] for item in old if REST_OF_ITEM in item and (name := _name(item)) is not None}
        merged = [
            item if REST_OF_ITEM in item or (name := _name(item)) not in known else {**item, REST_OF_ITEM: known[name]}
            for item in new
        ]
    # To have nothing to say of them and to say that there are none is the same.
    return old if merged != old and _spoken(merged) == _spoken(old) else merged


def _spoken(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in item.items() if key != REST_OF_ITEM or value} for item in items]


def _name(item: dict[str, Any]) -> str | None:
    found = item.get("id")
    return found if isinstance(found, str) else None  # what a mapping calls an id may be anything


def _merged_tags(old: list[dict[str, Any]], new: list[dict[str, Any]], change: RecordChange) -> list[dict[str, Any]]:
    """The tags as now said; one that was there already keeps its id and when it was applied."""
    known = {tag["name"]: tag for tag in old}
    return [
        {
            "id": str(uuid5(NAMESPACE_URL, f"tag:{change.key.account_id}/{tag['name']}")),
            "appliedAt": to_json(change.version),
        }
        | known.get(tag["name"], {})
        | tag
        for tag in new
    ]
