"""What an item says beside what has a field of ours: a line of an order, a variant, an address.

Comes in: the parsed item and the names that are read elsewhere. Comes out: the rest of it, ids as text, and short: an
order has up to 250 lines, and is told with all of them, twice where they changed. Pure.
"""

from collections.abc import Mapping
from typing import Any, Final

from shared.providers import reading
from shared.providers.contract import JSON

_NOTHING: Final[frozenset[str]] = frozenset()
_NUMBER: Final = (int, float)
_PLAIN: Final = (str, bool, float)


def of_item(item: Mapping[str, Any], without: frozenset[str]) -> dict[str, JSON]:
    """The rest of one item, without what is blank, false or said twice.

    Raises:
        PayloadUnexpected: it nests deeper than any provider's does.
    """
    found: dict[str, JSON] = {}
    for name, value in item.items():
        if name in without or (not value and (value is False or not isinstance(value, _NUMBER))):
            continue
        if isinstance(value, list):
            found[name] = [
                of_item(one, _NOTHING) if isinstance(one, dict) else reading.with_text_ids(one) for one in value
            ]
        elif isinstance(value, dict) and name.endswith("_set") and name[: -len("_set")] in item:
            if seen := _seen(value):
                found[name] = seen
        elif isinstance(value, _PLAIN):
            found[name] = value
        elif isinstance(value, int):
            is_id = name == "id" or name.endswith("_id") or abs(value) > reading.SAFE_INTEGER
            found[name] = str(value) if is_id else value
        else:
            found.update(reading.with_text_ids({name: value}))
    return found


def _seen(both: Mapping[str, Any]) -> dict[str, JSON]:
    """Of an amount's set what the amount beside it does not say: what the customer saw, if that was other money."""
    ours = both.get("shop_money")
    return {
        side: reading.with_text_ids(money) for side, money in both.items() if side != "shop_money" and money != ours
    }
