"""A foreign value as one of our fields holds it, by the field's form.

Comes in: a field of a record kind, and what an expression or a path found for it. Comes out: the value in our form.
Pure; nothing is left behind. What cannot be brought into the form raises PayloadUnexpected with the field's name, never
the value, which may be personal.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from math import isfinite
from typing import Any, Final

from shared import money
from shared.clock import parse_epoch, parse_instant
from shared.errors import PayloadUnexpected
from shared.providers import reading
from shared.providers.contract import JSON
from shared.record_kinds import LAST_COUNTED, Field, Form
from shared.record_shapes import Shape

EPOCH_MS_FROM = 100_000_000_000  # a number of seconds this large is past the year 5000: it is milliseconds
# Of an item (a line, a variant): a decimal amount under the left name is told in minor units under the right one.
ITEM_AMOUNTS: Final = {
    "price": "priceMinor",
    "total": "totalMinor",
    "amount": "amountMinor",
    "compareAtPrice": "compareAtPriceMinor",
}
_FLAGS: Final = {"true": True, "false": False}


def value_of(field: Field, value: Any, currency: str | None = None, shape: Shape | None = None) -> JSON:
    """`value` as the field holds it; `currency` is what decimal amounts in its items are of.

    `shape` is that of the objects in it, of a field that has such.

    Raises:
        PayloadUnexpected: it is nothing of the kind.
    """
    if shape is None:
        return _READERS[field.form](field.name, value, currency)
    if field.form is Form.PART:
        return None if value is None else _shaped(shape, reading.as_object(value, field.name))
    if value is not None and not isinstance(value, list):
        raise PayloadUnexpected(f"{field.name} is no list of objects")
    return [_item(shape, reading.as_object(item, field.name), currency) for item in value or ()]


def instant(value: Any, what: str) -> datetime | None:
    """The instant of an ISO 8601 text or a Unix time in seconds or milliseconds; `None` for null.

    Raises:
        PayloadUnexpected: it is neither.
    """
    if value is None:
        return None
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        value = int(value.strip()[:20])
    number = value if isinstance(value, int) and not isinstance(value, bool) else None
    unit = "ms" if number is not None and number >= EPOCH_MS_FROM else "s"
    found = parse_instant(value) if number is None else parse_epoch(number, unit=unit)
    if found is None:
        raise PayloadUnexpected(f"there is no time at {what}")
    return found


def amount(name: str, value: Any, currency: str | None) -> int | None:
    """A decimal amount, a text or a JSON number, in minor units of `currency`; `None` where we do not know that one.

    Raises:
        PayloadUnexpected: it is none, or there is no currency.
    """
    if value is None or value == "":
        return None
    if currency is None:
        raise PayloadUnexpected(f"{name} is an amount, and there is no currency")
    return reading.optional_minor({name: value}, name, currency)


def is_read(currency: str | None) -> bool:
    """Whether amounts in the currency are told in minor units; in one that we do not know they stay as they are."""
    return currency is None or money.is_known(currency)


def currency_code(value: Any) -> str | None:
    """The code of a currency, of one that we know or not, in capitals; `None` when there is none.

    Raises:
        PayloadUnexpected: it is something else.
    """
    return reading.optional_currency({"currency": None if value is None else str(value).upper()})


def _text(name: str, value: Any, _: str | None) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool | dict | list):
        raise PayloadUnexpected(f"{name} is neither a text nor a number")
    if reading.is_rounded(value):
        raise PayloadUnexpected(f"{name} is a number too large to be told exactly")
    return str(value).strip() or None


def _whole(name: str, value: Any, _: str | None) -> int | None:
    if isinstance(value, str) and (text := value.strip()).removeprefix("-").isdigit() and text.isascii():
        value = int(text[:20])  # what has more digits is too big for any of our columns, cut or not
    if isinstance(value, float) and not reading.is_rounded(value) and value.is_integer():
        value = int(value)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise PayloadUnexpected(f"{name} is no whole number")
    return value


def _number(name: str, value: Any, _: str | None) -> float | None:
    if value is None:
        return None
    try:
        number = None if isinstance(value, bool) or not isinstance(value, int | float | str) else float(value)
    except (ValueError, OverflowError):
        number = None
    if number is None or not isfinite(number):
        raise PayloadUnexpected(f"{name} is no number")
    return number


def _flag(name: str, value: Any, _: str | None) -> bool:
    found = _FLAGS.get(value.strip().lower()) if isinstance(value, str) else bool(value) if value in (0, 1) else None
    if value is None:
        return False
    if found is None:
        raise PayloadUnexpected(f"{name} is neither true nor false")
    return found


def _time(name: str, value: Any, _: str | None) -> datetime | None:
    return instant(value, name)


def _texts(name: str, value: Any, _: str | None) -> list[str]:
    """Texts from a list of texts and numbers, or from one text with commas; each once."""
    items = value.split(",") if isinstance(value, str) else [] if value is None else value
    if not isinstance(items, list) or any(isinstance(item, bool | dict | list | None) for item in items):
        raise PayloadUnexpected(f"{name} is no list of texts")
    return list(dict.fromkeys(stripped for item in items if (stripped := str(item).strip())))


def _tags(name: str, value: Any, currency: str | None) -> list[JSON]:
    return [reading.tag(one) for one in _texts(name, value, currency)]


def _object(name: str, value: Any, _: str | None) -> JSON:
    return reading.with_text_ids({} if value is None else reading.as_object(value, name))


def _part(name: str, value: Any, _: str | None) -> JSON:
    return None if value is None else reading.with_text_ids(reading.as_object(value, name))


def _custom(name: str, value: Any, _: str | None) -> dict[str, str]:
    given: Mapping[str, Any] = {} if value is None else reading.as_object(value, name)
    return {key: _custom_text(item) for key, item in given.items() if item is not None}


def _flags(name: str, value: Any, _: str | None) -> dict[str, bool | None]:
    given: Mapping[str, Any] = {} if value is None else reading.as_object(value, name)
    return {key: None if item is None else _flag(f"{name}.{key}", item, None) for key, item in given.items()}


def _counts(name: str, value: Any, _: str | None) -> dict[str, JSON]:
    given: Mapping[str, Any] = {} if value is None else reading.as_object(value, name)
    return {key: (_time if key == LAST_COUNTED else _whole)(f"{name}.{key}", item, None) for key, item in given.items()}


def _custom_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        raise PayloadUnexpected("a custom field is neither a text nor a number")
    return str(value)


def _item(shape: Shape, item: Mapping[str, Any], currency: str | None) -> JSON:
    rest = {key: one for key, one in item.items() if key not in ITEM_AMOUNTS}
    amounts = {minor: amount(key, item[key], currency) for key, minor in ITEM_AMOUNTS.items() if key in item}
    unread = {} if is_read(currency) else {key: item[key] for key in ITEM_AMOUNTS if key in item}
    return _shaped(shape, rest) | amounts | unread


def _shaped(shape: Shape, given: Mapping[str, Any]) -> dict[str, Any]:
    """What the sender's settings put into an object: our keys in their form, any others as they are."""
    found: dict[str, Any] = {}
    for key, one in given.items():
        if form := shape.keys.get(key):
            found[key] = _READERS[form](key, one, None)
        else:
            found[key] = str(one) if _is_id(key, one) else reading.with_text_ids(one)
    return found


def _is_id(key: str, value: Any) -> bool:
    return (key == "id" or key.endswith("Id")) and isinstance(value, int) and not isinstance(value, bool)


_READERS: Final[Mapping[Form, Callable[[str, Any, str | None], JSON]]] = {
    Form.TEXT: _text,
    Form.ID: _text,
    Form.TIME: _time,
    Form.MINOR: _whole,
    Form.COUNT: _whole,
    Form.NUMBER: _number,
    Form.FLAG: _flag,
    Form.OBJECT: _object,
    Form.PART: _part,
    Form.TEXTS: _texts,
    Form.CUSTOM: _custom,
    Form.FLAGS: _flags,
    Form.COUNTS: _counts,
    Form.TAGS: _tags,
}
