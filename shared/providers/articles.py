"""Robaws's articles, read leniently: there is no complete public payload.

Comes in: the entity of an article event. Comes out: an article's fields; of several names that a field goes by, the
first that is there counts. Pure.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from shared import money
from shared.clock import parse_instant
from shared.errors import PayloadUnexpected
from shared.providers import reading
from shared.providers.contract import JSON

Body = Mapping[str, Any]

STOCK_LIMIT: Final = 10**15


def fields(article: Body, currency: str) -> dict[str, JSON]:
    """The article's fields; its price is in `currency` when it names none.

    Raises:
        PayloadUnexpected: a field is of another kind.
    """
    found: dict[str, JSON] = {}
    mapped = {"id", "createdAt", "updatedAt"}
    for ours, (names, read) in _FIELDS.items():
        if name := next((name for name in names if name in article), None):
            found[ours] = read(article, name)
            mapped.add(name)
    if "active" in article and "status" not in found:
        found["status"] = "active" if article["active"] is True else "inactive"
        mapped.add("active")
    if name := next((name for name in _PRICES if name in article), None):
        code = reading.optional_text(article, "currency") or currency
        found["price_minor"] = _price(article[name], code, name)
        found["currency"] = code
        if found["price_minor"] is not None:
            mapped.add(name)
    if (at := parse_instant(article.get("createdAt"))) is not None:
        found["created_at"] = at
    found["attributes"] = reading.rest(article, mapped)
    return found


def _price(value: JSON, code: str, name: str) -> int | None:
    """The price in minor units; `None` for one that has more decimals than its currency: it stays in attributes."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise PayloadUnexpected(f"{name} is no amount")
    try:
        return money.to_minor(value, code)
    except ValueError:
        return None


def _stock(article: Body, name: str) -> float | None:
    value = article[name]
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < STOCK_LIMIT:
        raise PayloadUnexpected(f"{name} is no number of pieces")
    return value


_FIELDS: Final[Mapping[str, tuple[tuple[str, ...], Callable[[Body, str], JSON]]]] = {
    "number": (("articleNumber", "number", "code"), reading.optional_identifier),
    "name": (("name", "title"), reading.optional_text),
    "description": (("description",), reading.optional_text),
    "stock": (("stock", "stockQuantity", "currentStock"), _stock),
    "unit": (("unit", "unitType"), reading.optional_text),
    "status": (("status",), reading.optional_text),
}
_PRICES: Final = ("salePrice", "sellingPrice", "price")
