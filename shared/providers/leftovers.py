"""What a provider says and we have no field for: kept in its own words, up to a size.

Comes in: an object and the names in it that have a field of ours, or a record's fields as a transform has them. Comes
out: the rest, for its `attributes`; what there is no room for is named. Pure; a process that dies in the middle leaves
nothing.
"""

import json
from collections.abc import Collection, Mapping
from typing import Any, Final

import orjson

from shared.providers import reading
from shared.providers.contract import JSON

# Of JSON. An order has hundreds of lines, and each event of it and each row of its history holds them all.
ITEM_BYTES: Final = 4_000
# Of what one message says of a record itself: a product with a long description and 250 pictures has half of it. So it
# is of the items of one list together: a line has some 300 bytes, but what a customer writes on it has no end.
RECORD_BYTES: Final = 256_000
LEFT_OUT: Final = "left_out"  # the names of what there was no room for; the message itself has it
NAMES_MAX: Final = 20
NAME_CHARACTERS: Final = 64


def of(given: Mapping[str, Any], mapped: Collection[str]) -> dict[str, JSON]:
    """The fields of a line, an address or the like that are not `mapped`, with ids as text, as far as they fit.

    Raises:
        PayloadUnexpected: it nests deeper than any provider's does.
    """
    return within(ITEM_BYTES, reading.rest(given, mapped))


def of_record(said: dict[str, JSON]) -> dict[str, JSON]:
    """What a message says beside a record's fields, as far as it fits; null where not, lest what was said before stays.

    It is a record's attributes as a change has them, where null takes a name away.
    """
    kept = within(RECORD_BYTES, said)
    return kept if kept is said else {**dict.fromkeys(said), **kept}


def of_items(items: list[dict[str, JSON]]) -> list[dict[str, JSON]]:
    """The items of a list with as much under their attributes as fits; where it does not, each has its share."""
    if size([item.get("attributes") for item in items]) <= RECORD_BYTES:
        return items
    return [of_item(item, RECORD_BYTES // len(items)) for item in items]


def of_item(item: dict[str, JSON], most: int = RECORD_BYTES) -> dict[str, JSON]:
    """An item, or an address, with no more than `most` bytes under its attributes."""
    return {**item, "attributes": within(most, item["attributes"])} if item.get("attributes") else item


def within(most: int, rest: dict[str, JSON]) -> dict[str, JSON]:
    """As much of it as fits in `most` bytes, the longest left out first and of equals the last; of that the names."""
    if not rest or (taken := size(rest)) <= most:
        return rest
    sizes = {name: size(name) + size(item) + len(":,") for name, item in rest.items()}
    taken += size({LEFT_OUT: []})
    left_out: list[str] = []
    shortest_first = sorted(rest, key=sizes.__getitem__)
    while taken > most and shortest_first:
        name = shortest_first.pop()
        taken -= sizes.pop(name)
        left_out.append(name[:NAME_CHARACTERS])
        if len(left_out) <= NAMES_MAX:
            taken += size(left_out[-1]) + len(",")
    if taken > most:
        return {}  # not even for the names
    return {name: rest[name] for name in rest if name in sizes} | {LEFT_OUT: sorted(left_out[:NAMES_MAX])}


def size(value: JSON) -> int:
    """Of the value as JSON, in bytes."""
    try:
        return len(orjson.dumps(value))
    except orjson.JSONEncodeError:  # a lone surrogate, which is mended before anything is stored
        return len(json.dumps(value))
