"""What is told of a record's change: event drafts, by its effect and by what it came to be.

Comes in: what a change did. Comes out: the events of it, none when it changed nothing. A transition is told when it
happens and never again for the same state, for it compares the row before with the row after, under the row's lock.
Pure; a process that dies in the middle leaves nothing.
"""

from collections.abc import Iterator
from typing import Any

from shared.events import EventDraft
from shared.record_json import deleted_record_json, record_json, value_json
from shared.record_kinds import RecordKind, Transition
from shared.record_shapes import shapes_of
from workers.inbound import user_events
from workers.inbound.guard import Applied, Effect, Row
from workers.inbound.origin import Origin, draft


def drafts(kind: RecordKind, applied: Applied, origin: Origin) -> Iterator[EventDraft]:
    """The events of one applied change and of its consequences, in the order they are to be told.

    A record that is created in a state tells the transitions into it as well: whoever waits for `order.paid` hears of
    an order that was paid at once, however late we first heard of it.
    """
    yield from _own(kind, applied, origin)
    for change, one in applied.consequences:
        yield from drafts(change.kind, one, origin)


def _own(kind: RecordKind, applied: Applied, origin: Origin) -> Iterator[EventDraft]:
    after = applied.after
    if after is None or applied.effect in (Effect.UNCHANGED, Effect.STALE):
        return
    if kind.name == "user":
        yield from user_events.drafts(applied, origin)
        return
    if applied.effect is Effect.DELETED:
        if kind.deleted is not None:
            data = {kind.name: deleted_record_json(after)}
            yield draft(kind.deleted, data, kind=kind.name, row=after, origin=origin)
        return
    record = record_json(kind, after)
    is_new = applied.effect is Effect.CREATED
    data = {kind.name: record}
    if not is_new:
        data["changes"] = _changes(kind, applied)
    told = kind.created if is_new else kind.updated
    if told is not None:
        yield draft(told, data, kind=kind.name, row=after, origin=origin)
    before = None if is_new else applied.before
    for transition in kind.transitions:
        if _happened(transition, before, after):
            yield draft(transition.event_type, {kind.name: record}, kind=kind.name, row=after, origin=origin)


def _happened(transition: Transition, before: Row | None, after: Row) -> bool:
    if transition.only is not None and after[transition.only[0]] != transition.only[1]:
        return False
    was = None if before is None else before[transition.field]
    return after[transition.field] in transition.words and was not in transition.words


def _changes(kind: RecordKind, applied: Applied) -> dict[str, Any]:
    """{name in JSON: {"old", "new"}} in the order of the record's JSON."""
    before, after = applied.before or {}, applied.after or {}
    shapes = shapes_of(kind.name)
    return {
        name: {
            "old": value_json(before[column], shapes.get(column)),
            "new": value_json(after[column], shapes.get(column)),
        }
        for column, name in kind.json_names.items()
        if column in applied.changed
    }
