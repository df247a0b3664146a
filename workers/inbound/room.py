"""How much a record keeps of what all messages together have said of it beside its fields, in their own words.

Comes in: the columns that a change makes of a record's, of which some are added to by every message. Comes out: the
same, with no more in each of these than there is room for, and the names of what was left out. Pure; a process that
dies in the middle leaves nothing.

One message may bring `leftovers.RECORD_BYTES`, but the next may bring other names. What the last one says has the room
first; what was said before gives way, the longest of it first. What the drain itself works with, the clocks of parts
and what an order's shipments say, stays longest. `left_out` among the attributes has the names until they are told
again; of what stands in a field of its own, such as `customFields.shoe size`, with the field's.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from shared.providers import leftovers
from shared.providers.leftovers import LEFT_OUT, NAME_CHARACTERS, NAMES_MAX
from shared.record_changes import RecordChange
from workers.inbound import shipped_orders

# Of JSON, in each column that is added to; the names of what is left out come on top. Twice what one message may bring:
# a webhook and a sync that tell of the same thing in two sets of words have room beside one another.
TOTAL_BYTES: Final = 2 * leftovers.RECORD_BYTES
_ATTRIBUTES: Final = "attributes"
_CLOCK_CHARACTERS: Final = 32  # an instant as we write it has fewer

Attributes = Mapping[str, Any]


def within(before: Mapping[str, Any], after: dict[str, Any], change: RecordChange) -> dict[str, Any]:
    """The columns `after`, which the change makes of the row `before`, as far as there is room for them."""
    gone: list[str] = []
    for column in change.kind.merged & after.keys():
        if after[column] and leftovers.size(after[column]) > TOTAL_BYTES:
            kept, names = _cut(after[column], change.fields[column], is_free=column == _ATTRIBUTES)
            after = after | {column: kept}
            gone += [_named(change, column, name) for name in names]
    if not gone and LEFT_OUT not in before[_ATTRIBUTES]:
        return after  # as nearly always
    attributes = after.get(_ATTRIBUTES, before[_ATTRIBUTES])
    if not gone and LEFT_OUT in attributes and not _names(attributes):
        return after  # a provider's own word
    told = {_named(change, column, name) for column in change.kind.merged for name in change.fields.get(column, ())}
    known = [name for name in _names(before[_ATTRIBUTES]) if name not in {one[:NAME_CHARACTERS] for one in told}]
    marked = _marked(attributes, [*known, *_names(change.fields.get(_ATTRIBUTES, {})), *gone])
    return after if marked == before[_ATTRIBUTES] and _ATTRIBUTES not in after else after | {_ATTRIBUTES: marked}


def with_clock(attributes: dict[str, Any], name: str, at: str) -> dict[str, Any]:
    """The attributes with the clock of a part among them, to which other things give way where there is no room."""
    found = {**attributes, name: at}
    if leftovers.size(found) <= TOTAL_BYTES:
        return found
    kept, gone = _cut(found, {name}, is_free=True)
    return _marked(kept, [*_names(attributes), *gone]) if gone else found


def without(attributes: Attributes, name: str) -> dict[str, Any]:
    """The attributes with this name among those of what there was no room for."""
    return _marked(attributes, [*_names(attributes), name])


def _cut(merged: Attributes, said: Collection[str], *, is_free: bool) -> tuple[dict[str, Any], list[str]]:
    """As much of it as there is room for, and the names of the rest; `is_free`: they are a record's attributes."""

    def rank(name: str) -> tuple[int, int]:
        if is_free and _is_ours(name, merged[name]):
            return (1 if name in said else 0, sizes[name])  # what is new of an order's shipments is what does not fit
        return (2 if name in said else 3, sizes[name])

    mark = LEFT_OUT if is_free and _names(merged) else None
    sizes = {
        name: leftovers.size(name) + leftovers.size(item) + len(":,") for name, item in merged.items() if name != mark
    }
    taken = len("{}")
    gone: dict[str, None] = {}
    for name in sorted(sizes, key=rank):
        if taken + sizes[name] <= TOTAL_BYTES:
            taken += sizes[name]
        else:
            gone[name] = None
    return {name: item for name, item in merged.items() if name not in gone}, [*gone]


def _is_ours(name: str, value: Any) -> bool:
    """Whether the drain works with it. A provider's own time passes for a clock, which does no harm."""
    is_clock = name.endswith("_at") and isinstance(value, str) and len(value) <= _CLOCK_CHARACTERS
    return is_clock or shipped_orders.is_needed(name)


def _named(change: RecordChange, column: str, name: str) -> str:
    return name if column == _ATTRIBUTES else f"{change.kind.json_names[column]}.{name}"


def _names(attributes: Attributes) -> list[str]:
    """The names that stand there as left out; none where it is a provider's own word."""
    found = attributes.get(LEFT_OUT)
    return found if isinstance(found, list) and all(isinstance(one, str) for one in found) else []


def _marked(attributes: Attributes, names: Iterable[str]) -> dict[str, Any]:
    """The attributes with these as the names of what is left out, the first of them where they are many."""
    first = [*dict.fromkeys(name[:NAME_CHARACTERS] for name in names)][:NAMES_MAX]
    rest = {name: item for name, item in attributes.items() if name != LEFT_OUT}
    return rest | ({LEFT_OUT: sorted(first)} if first else {})
