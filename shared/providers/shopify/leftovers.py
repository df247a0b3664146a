"""What an item says beside what has a field of ours: a line of an order, a variant, an address.

Comes in: the parsed item and the names that are read elsewhere. Comes out: the rest of it, ids as text, and short: an
order has up to 250 lines, and is told with all of them, twice where they changed. Pure.
"""

from collections.abc import Mapping
from typing import Any, Final

from shared.providers import reading
from shared.providers.contract import JSON

_NOTHING: Final[frozenset[str]] = frozenset()
_SIDES: Final = ("shop_money", "presentment_money")


def of_item(item: Mapping[str, Any], without: frozenset[str], depth: int = 0) -> dict[str, JSON]:
    """The rest of one item, without what is blank, false or said twice.

    Raises:
        PayloadUnexpected: it nests deeper than any provider's does.
    """
    found: dict[str, JSON] = {}
    # Of a large order there are some ten thousand of these: those first that there are most of.
    for name, value in item.items():
        kind = type(value)
        if name in without or (not value and kind is not int and kind is not float):
            continue
        if kind is str or kind is bool:
            found[name] = value
        elif kind is int:
            found[name] = reading.number_of(name, value)
        elif kind is list:
            inner = reading.deeper(depth)
            found[name] = [
                of_item(one, _NOTHING, inner) if type(one) is dict else reading.with_text_ids(one, depth=inner)
                for one in value
            ]
        elif kind is not dict or not name.endswith("_set") or name[: -len("_set")] not in item:
            found[name] = reading.with_text_ids(value, depth=depth + 1)
        elif seen := _seen(value, depth):
            found[name] = seen
    return found


def _seen(both: Mapping[str, Any], depth: int) -> dict[str, JSON]:
    """Of an amount's set what the amount beside it does not say: what the customer saw, if that was other money."""
    ours = both.get("shop_money")
    if len(both) == len(_SIDES) and ours is not None and both.get("presentment_money") == ours:
        return {}  # as nearly always
    return {
        side: reading.with_text_ids(money, depth=depth + 1)
        for side, money in both.items()
        if side != "shop_money" and money != ours
    }
