"""What is told of a user's change: event drafts.

Comes in: what a change did. Comes out: the events of it, none when it changed nothing. Pure; a process that dies in
the middle leaves nothing.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from shared.events import EventDraft
from shared.record_json import value_json
from shared.record_shapes import shapes_of
from shared.users import FIELD_NAMES, deleted_user_json, user_json
from workers.inbound.guard import Applied, Effect, Row
from workers.inbound.origin import Origin, draft

# Of the events about single tags and fields of one change, each of which carries the whole user. Past it `user.updated`
# is all that is told: it has them all among its changes, and a thousand copies of a large user are no news.
SINGLES_BYTES = 1_000_000
_SHAPES = shapes_of("user")
_CONSENT = frozenset({"export_consent_given", "export_consent_at"})


def drafts(applied: Applied, origin: Origin) -> Iterator[EventDraft]:
    """The events of one applied change, in the order they are to be told.

    A user that is created tells its tags and custom fields in `user.created` alone, and one of which too much changes
    at once in `user.updated`.
    """
    after = applied.after
    if after is None or applied.effect in (Effect.UNCHANGED, Effect.STALE):
        return
    if applied.effect is Effect.DELETED:
        yield _draft("user.deleted", {"user": deleted_user_json(after)}, after, origin)
        return
    user = user_json(after)
    if applied.effect is Effect.CREATED:
        yield _draft("user.created", {"user": user}, after, origin)
        return
    before = applied.before or after
    changes = _changes(before, after, applied.changed)
    updated = _draft("user.updated", {"user": user, "changes": changes}, after, origin)
    yield updated
    singles = [*_tags(before, after), *_fields(before, after)]
    if len(singles) * len(updated.body) <= SINGLES_BYTES:
        for event_type, about in singles:
            yield _draft(event_type, {"user": user, **about}, after, origin)


def _tags(before: Row, after: Row) -> Iterator[tuple[str, dict[str, Any]]]:
    old = {tag["name"]: tag for tag in before["tags"]}
    new = {tag["name"]: tag for tag in after["tags"]}
    yield from (("tag.added", {"tag": tag}) for name, tag in new.items() if name not in old)
    yield from (("tag.removed", {"tag": tag}) for name, tag in old.items() if name not in new)


def _fields(before: Row, after: Row) -> Iterator[tuple[str, dict[str, Any]]]:
    old, new = before["custom_fields"], after["custom_fields"]
    for name in {**old, **new}:
        if old.get(name) != new.get(name):
            yield "customfield.updated", {"field": {"name": name, "old": old.get(name), "new": new.get(name)}}


def _changes(before: Row, after: Row, columns: frozenset[str]) -> dict[str, dict[str, Any]]:
    """{name in JSON: {"old", "new"}} in the order of the user's JSON."""
    changes = {
        name: {
            "old": value_json(before[column], _SHAPES.get(column)),
            "new": value_json(after[column], _SHAPES.get(column)),
        }
        for column, name in FIELD_NAMES.items()
        if column in columns and column not in _CONSENT
    }
    if columns & _CONSENT:
        changes["exportConsent"] = {"old": _consent(before), "new": _consent(after)}
    return changes


def _consent(row: Row) -> dict[str, Any]:
    return {"given": row["export_consent_given"], "at": value_json(row["export_consent_at"])}


def _draft(event_type: str, data: Mapping[str, Any], user: Row, origin: Origin) -> EventDraft:
    return draft(event_type, data, kind="user", row=user, origin=origin)
