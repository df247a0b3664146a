"""The version guard: what one change does to one user, whatever order changes come in.

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

A tombstone keeps the key, the id and the version, and forgets the person.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from shared.clock import to_json
from shared.ids import new_id
from shared.users import OBJECT_FIELDS
from workers.inbound.fields import UserChange, UserKey

Row = dict[str, Any]  # column -> value, every column of `users`; the id as text

_BLANK: Final[Mapping[str, Any]] = {
    "manychat_id": None,
    "instagram_username": None,
    "instagram_id": None,
    "first_name": None,
    "last_name": None,
    "full_name": None,
    "email": None,
    "phone": None,
    "whatsapp_phone": None,
    "gender": None,
    "locale": None,
    "timezone": None,
    "profile_pic": None,
    "roles": [],
    "opt_ins": {},
    "export_consent_given": False,
    "export_consent_at": None,
    "tags": [],
    "custom_fields": {},
    "address": None,
    "interactions": {},
    "stats": {},
    "attributes": {},
    "subscribed_at": None,
}


class Effect(StrEnum):
    """What a change did."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"
    UNCHANGED = "unchanged"  # it said what we know, or spoke of a user we never had
    STALE = "stale"  # what we know is newer


@dataclass(frozen=True, slots=True)
class Applied:
    """The outcome of one change. Rows are never mutated; `after` is `before` where nothing is to be written."""

    effect: Effect
    before: Row | None
    after: Row | None
    changed: frozenset[str] = frozenset()  # the columns that differ, when updated


def apply(before: Row | None, change: UserChange, *, now: datetime) -> Applied:
    """What `change` makes of the row. An older change never overwrites a newer one."""
    if change.op == "delete":
        return _delete(before, change, now=now)
    if before is None:
        return _create(None, _blank_row(change.key, str(new_id()), change.version, now), change, now=now)
    known = before["version"]
    if before["deleted_at"] is not None:
        if known is not None and change.version <= known:
            return Applied(Effect.STALE, before, before)
        return _create(before, _blank_row(change.key, before["id"], change.version, now), change, now=now)
    if known is not None and change.version < known:
        return Applied(Effect.STALE, before, before)
    return _update(before, change, now=now)


def _blank_row(key: UserKey, user_id: str, version: datetime, now: datetime) -> Row:
    return {
        "id": user_id,
        **key._asdict(),
        "version": version,
        "deleted_at": None,
        **_BLANK,
        "created_at": now,
        "updated_at": now,
    }


def _create(before: Row | None, blank: Row, change: UserChange, *, now: datetime) -> Applied:
    after = blank | {column: _merged(blank, column, value, change) for column, value in change.fields.items()}
    after["created_at"] = change.fields.get("created_at") or now
    return Applied(Effect.CREATED, before, after)


def _update(before: Row, change: UserChange, *, now: datetime) -> Applied:
    news = {
        column: merged
        for column, value in change.fields.items()
        if column != "created_at" and (merged := _merged(before, column, value, change)) != before[column]
    }
    if news:
        after = {**before, **news, "version": change.version, "updated_at": now}
        return Applied(Effect.UPDATED, before, after, frozenset(news))
    if change.version == before["version"]:
        return Applied(Effect.UNCHANGED, before, before)
    # Nothing new, but what is older than this is now stale.
    return Applied(Effect.UNCHANGED, before, {**before, "version": change.version})


def _delete(before: Row | None, change: UserChange, *, now: datetime) -> Applied:
    if before is None:
        tombstone = _blank_row(change.key, str(new_id()), change.version, now) | {"deleted_at": now}
        return Applied(Effect.UNCHANGED, None, tombstone)
    known = before["version"]
    if known is not None and change.version < known:
        return Applied(Effect.STALE, before, before)
    if before["deleted_at"] is not None:
        after = before if change.version == known else {**before, "version": change.version}
        return Applied(Effect.UNCHANGED, before, after)
    tombstone = _blank_row(change.key, before["id"], change.version, now)
    return Applied(Effect.DELETED, before, tombstone | {"deleted_at": now, "created_at": before["created_at"]})


def _merged(row: Row, column: str, value: Any, change: UserChange) -> Any:
    if column in OBJECT_FIELDS:
        merged = {**row[column], **value}
        return {name: item for name, item in merged.items() if item is not None}
    if column == "tags":
        return _merged_tags(row["tags"], value, change)
    return value


def _merged_tags(old: list[dict[str, Any]], new: list[dict[str, Any]], change: UserChange) -> list[dict[str, Any]]:
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
