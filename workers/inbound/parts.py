"""Joins what a message says of a part of a record to what else it says of it, so that it is told once.

Comes in: a message's changes and what each did. Comes out: the same, but for the parts that were joined. Pure; a
process that dies in the middle leaves nothing.
"""

from collections.abc import Sequence
from dataclasses import replace

from shared.record_changes import RecordChange, RecordKey
from workers.inbound.guard import Applied, Effect


def with_parts(changes: Sequence[RecordChange], applied: Sequence[Applied]) -> list[tuple[RecordChange, Applied]]:
    """Each change with what it did; a part is joined to what came of its record before, if anything did.

    Otherwise a customer who has consented from the first would be told of as one who has not, and then as changed.
    """
    if len(changes) == 1:  # as nearly always
        return [(changes[0], applied[0])]
    told: list[tuple[RecordChange, Applied]] = []
    places: dict[tuple[str, RecordKey], int] = {}
    for change, one in zip(changes, applied, strict=True):
        place = (change.kind.name, change.key)
        if change.part is not None and place in places:
            whole, before = told[places[place]]
            told[places[place]] = (whole, _joined(before, replace(one, consequences=())))
            told += one.consequences  # which are of other records, and of now
        else:
            places[place] = len(told)
            told.append((change, one))
    return told


def _joined(whole: Applied, part: Applied) -> Applied:
    if part.effect is not Effect.UPDATED:
        return replace(whole, after=part.after)
    if whole.effect in (Effect.CREATED, Effect.UPDATED):
        return replace(whole, after=part.after, changed=whole.changed | part.changed)
    return part
