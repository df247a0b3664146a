"""Joins what a message says of a part of a record to what it says of the whole, so that it is told once.

Comes in: a message's changes and what each did. Comes out: the same, but for the parts that were joined. Pure; a
process that dies in the middle leaves nothing.
"""

from collections.abc import Sequence
from dataclasses import replace

from shared.record_changes import RecordChange
from workers.inbound.guard import Applied, Effect


def with_parts(changes: Sequence[RecordChange], applied: Sequence[Applied]) -> list[tuple[RecordChange, Applied]]:
    """Each change with what it did; a part that follows the whole of its record is joined to it.

    Otherwise a customer who has consented from the first would be told of as one who has not, and then as changed.
    """
    told: list[tuple[RecordChange, Applied]] = []
    for change, one in zip(changes, applied, strict=True):
        if change.part is not None and told:
            whole, before = told[-1]
            if (whole.kind, whole.key) == (change.kind, change.key):
                told[-1] = (whole, _joined(before, one))
                continue
        told.append((change, one))
    return told


def _joined(whole: Applied, part: Applied) -> Applied:
    if part.effect is not Effect.UPDATED:
        return replace(whole, after=part.after)
    if whole.effect in (Effect.CREATED, Effect.UPDATED):
        return replace(whole, after=part.after, changed=whole.changed | part.changed)
    return part
