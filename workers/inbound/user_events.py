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

_SHAPES = shapes_of("user")
_CONSENT = frozenset({"export_consent_given", "export_consent_at"})


def drafts(applied: Applied, origin: Origin) -> Iterator[EventDraft]:
    """The events of one applied change, in the order they are to be told.

    A user that is created tells its tags and custom fields in `user.created` alone.
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
    yield _draft("user.updated", {"user": user, "changes": changes}, after, origin)
    if "tags" in applied.changed:
        yield from _tag_drafts(before, after, user, origin)
    if "custom_fields" in applied.changed:
        yield from _field_drafts(before, after, user, origin)


def _tag_drafts(before: Row, after: Row, user: Mapping[str, Any], origin: Origin) -> Iterator[EventDraft]:
    old = {tag["name"]: tag for tag in before["tags"]}
    new = {tag["name"]: tag for tag in after["tags"]}
    for name, tag in new.items():
        if name not in old:
            yield _draft("tag.added", {"user": user, "tag": tag}, after, origin)
    for name, tag in old.items():
        if name not in new:
            yield _draft("tag.removed", {"user": user, "tag": tag}, after, origin)


def _field_drafts(before: Row, after: Row, user: Mapping[str, Any], origin: Origin) -> Iterator[EventDraft]:
    old, new = before["custom_fields"], after["custom_fields"]
    for name in {**old, **new}:
        if old.get(name) != new.get(name):
            field = {"name": name, "old": old.get(name), "new": new.get(name)}
            yield _draft("customfield.updated", {"user": user, "field": field}, after, origin)


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
