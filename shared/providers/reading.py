"""Reading foreign JSON without trusting its shape: each reader gives the value or says what is wrong with it.

Comes in: parsed JSON of an authentic message. Nothing is left behind. What does not have its documented shape raises
PayloadUnexpected with the field's name, never KeyError or TypeError, and never the value, which may be personal.
"""

import hashlib
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from shared import money
from shared.clock import parse_instant
from shared.errors import PayloadUnexpected
from shared.providers.contract import JSON, Identity, Request

SAFE_INTEGER = 2**53  # past which JSON readers built on doubles lose digits
NESTING_MAX = 64
_PLAIN = frozenset((str, bool, float, type(None)))  # what stays as it is, under whatever name


def as_object(value: JSON, what: str) -> Mapping[str, Any]:
    """`value` as a JSON object.

    Raises:
        PayloadUnexpected: it is something else.
    """
    if not isinstance(value, dict):
        raise PayloadUnexpected(f"{what} is not a JSON object but {_kind(value)}")
    return value


def optional_object(parent: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """The object in a field, `None` when it is absent or null."""
    value = parent.get(name)
    return None if value is None else as_object(value, name)


def optional_list(parent: Mapping[str, Any], name: str) -> list[Any] | None:
    """The list in a field, `None` when it is absent or null."""
    value = parent.get(name)
    if value is not None and not isinstance(value, list):
        raise PayloadUnexpected(f"{name} is not a list but {_kind(value)}")
    return value


def optional_text(parent: Mapping[str, Any], name: str) -> str | None:
    """The text in a field, trimmed; `None` when it is absent, null or blank."""
    value = parent.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise PayloadUnexpected(f"{name} is not a text but {_kind(value)}")
    return value.strip() or None


def text(parent: Mapping[str, Any], name: str) -> str:
    """The text in a field that must have one."""
    value = optional_text(parent, name)
    if value is None:
        raise PayloadUnexpected(f"{name} is missing")
    return value


def identifier(parent: Mapping[str, Any], name: str = "id") -> str:
    """An id as text, from a JSON text or a JSON integer of any size."""
    value = parent.get(name)
    if isinstance(value, str) and value.strip():
        return value.strip()
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise PayloadUnexpected(f"{name} is missing" if value in (None, "") else f"{name} is no id but {_kind(value)}")


def optional_integer(parent: Mapping[str, Any], name: str) -> int | None:
    """The whole number in a field; `None` when it is absent or null."""
    value = parent.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise PayloadUnexpected(f"{name} is no whole number but {_kind(value)}")
    return value


def optional_instant(parent: Mapping[str, Any], name: str) -> datetime | None:
    """The instant in an ISO 8601 field; `None` when it is absent or null."""
    value = parent.get(name)
    if value is None:
        return None
    at = parse_instant(value)
    if at is None:
        raise PayloadUnexpected(f"{name} is no ISO 8601 time")
    return at


def optional_local_instant(parent: Mapping[str, Any], name: str, offset: timedelta) -> datetime | None:
    """As `optional_instant`, but a time that has no offset has this one rather than UTC's."""
    at = optional_instant(parent, name)
    if at is None or datetime.fromisoformat(parent[name].strip()).tzinfo is not None:
        return at
    try:
        return at - offset
    except OverflowError as error:
        raise PayloadUnexpected(f"{name} is no ISO 8601 time") from error


def instant(parent: Mapping[str, Any], name: str) -> datetime:
    """The instant in an ISO 8601 field that must have one."""
    at = optional_instant(parent, name)
    if at is None:
        raise PayloadUnexpected(f"{name} is missing")
    return at


def objects(parent: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """The objects of a list; none when it is absent or null."""
    return [as_object(item, name) for item in optional_list(parent, name) or ()]


def optional_identifier(parent: Mapping[str, Any], name: str) -> str | None:
    """An id as text; `None` when it is absent, null or blank."""
    return None if parent.get(name) in (None, "") else identifier(parent, name)


def optional_currency(parent: Mapping[str, Any], name: str = "currency") -> str | None:
    """The code of a currency, of one that we know or not; `None` when it is absent, null or blank.

    Amounts in one that we do not know cannot be read (`money.is_known`): they stay in the provider's own words.
    """
    code = optional_text(parent, name)
    if code is not None and not money.is_code(code):
        raise PayloadUnexpected(f"{name}: no ISO 4217 currency code")
    return code


def optional_minor(parent: Mapping[str, Any], name: str, currency: str) -> int | None:
    """The amount in a field, a decimal text or a JSON number, in minor units.

    `None` when it is absent or null, or in a currency that we do not know.
    """
    value = parent.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise PayloadUnexpected(f"{name} is no amount but {_kind(value)}")
    if not money.is_known(currency):
        return None
    try:
        return money.to_minor(value, currency)
    except ValueError as error:
        raise PayloadUnexpected(f"{name}: {error}") from error


def rest(given: Mapping[str, Any], mapped: Collection[str]) -> dict[str, JSON]:
    """What has no field of ours: all but the names in `mapped`, in the provider's own words, with ids as text.

    Raises:
        PayloadUnexpected: it nests deeper than any provider's does.
    """
    found: dict[str, JSON] = with_text_ids({name: item for name, item in given.items() if name not in mapped})
    return found


def with_text_ids(value: JSON, *, depth: int = 0) -> JSON:
    """`value` with every integer id, and every integer a double cannot hold, as text.

    Raises:
        PayloadUnexpected: it nests deeper than any provider's does.
    """
    if isinstance(value, dict):
        deeper(depth)
        return {
            name: item
            if (kind := type(item)) in _PLAIN
            else number_of(name, item)
            if kind is int
            else with_text_ids(item, depth=depth + 1)
            for name, item in value.items()
        }
    if isinstance(value, list):
        deeper(depth)
        return [item if type(item) in _PLAIN else with_text_ids(item, depth=depth + 1) for item in value]
    return number_of("", value) if type(value) is int else value


def number_of(name: str, value: int) -> int | str:
    """A whole number as it is kept under this name: as text where it is an id, or more than a double can hold."""
    return str(value) if name == "id" or name.endswith("_id") or abs(value) > SAFE_INTEGER else value


def is_rounded(value: int | float) -> bool:  # noqa: PYI041  # says that floats are meant
    """Whether a number may be another one than was written: with a fraction or an exponent, and past 2^53."""
    return isinstance(value, float) and abs(value) >= SAFE_INTEGER


def deeper(depth: int) -> int:
    """One level deeper.

    Raises:
        PayloadUnexpected: no provider nests that deep.
    """
    if depth >= NESTING_MAX:
        raise PayloadUnexpected(f"the body nests deeper than {NESTING_MAX} levels")
    return depth + 1


def address(**parts: str | None) -> dict[str, JSON]:
    """An address in our words: line1, line2, city, province, postalCode, country, countryCode, company, phone."""
    names = ("company", "line1", "line2", "city", "province", "postalCode", "country", "countryCode", "phone")
    return {name: parts.get(name) for name in names}


def tag(name: str) -> dict[str, str | None]:
    """A tag of a provider that knows tags by their name only."""
    return {"id": name, "name": name, "appliedAt": None}


def unique_key(delivery_id: str | None, body: bytes, *more: str) -> bytes:
    """A dedupe key for a delivery whose id is not covered by the signature: the id and the body's digest together."""
    return "\n".join([delivery_id or "", *more, hashlib.sha256(body).hexdigest()]).encode("utf-8", "surrogatepass")


def identified(topic: str, known: Collection[str], request: Request, read: Callable[[], Identity]) -> Identity:
    """What `read` finds; of a topic that is not `known` without its ids, when these are not in the form of the others.

    Raises:
        PayloadUnexpected: what `read` raises of a known topic.
    """
    try:
        return read()
    except PayloadUnexpected:
        if topic in known:
            raise
        return Identity(topic, unique_key(None, request.body, topic), None, "", None)


def _kind(value: JSON) -> str:
    kinds = {dict: "an object", list: "a list", str: "a text", bool: "a boolean", int: "a number", float: "a number"}
    return kinds.get(type(value), "null")
