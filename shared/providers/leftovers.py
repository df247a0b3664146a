"""What a provider says in a line, an address or the like and we have no field for: kept in its own words, up to a size.

Comes in: the object and the names in it that have a field of ours. Comes out: the rest, for its `attributes`. Pure;
nothing is left behind.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

from shared.providers import reading
from shared.providers.contract import JSON

# An order has hundreds of lines, and each event of it and each row of its history holds them all.
CHARACTERS_MAX: Final = 4_000
LEFT_OUT: Final = "left_out"  # the names of what there was no room for; the message itself has it
NAMES_MAX: Final = 20
NAME_CHARACTERS: Final = 64


def of(given: Mapping[str, Any], mapped: Collection[str]) -> dict[str, JSON]:
    """The fields that are not `mapped`, with ids as text; those that come first, where there are too many.

    Raises:
        PayloadUnexpected: it nests deeper than any provider's does.
    """
    whole = reading.rest(given, mapped)
    if not whole or len(str(whole)) <= CHARACTERS_MAX:
        return whole
    kept: dict[str, JSON] = {}
    room = CHARACTERS_MAX
    for name, item in whole.items():
        if (size := len(name) + len(str(item))) <= room:
            kept[name] = item
            room -= size
    names = [name[:NAME_CHARACTERS] for name in whole if name not in kept]
    return kept | {LEFT_OUT: names[:NAMES_MAX]}
