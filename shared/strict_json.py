"""JSON read to the letter: ten times slower than it could be, and able to say what is wrong and where.

Comes in: a body that the fast parser did not take, or would take without telling what it dropped. Comes out: its value,
or a reason that names the place and no value, which may be personal. Pure; nothing is left behind.
"""

import json
import math
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NoReturn

JSON = Any
REPLACEMENT = "\ufffd"  # stands, for people to see, where a character was that PostgreSQL cannot hold
NESTING_MAX = 254  # as deep as the fast parser's own value can be written down again
NAME_CHARACTERS = 40
PLACE_CHARACTERS = 150

_SURROGATE = re.compile("[\ud800-\udfff]")


def read(body: bytes, what: str, *, with_nul: bool) -> tuple[JSON, str | None]:
    """The JSON value of `body` and `None`, or `None` and why it cannot be taken, as `shared.payload.parse` has it."""
    if not body:
        return None, f"{what} is empty"
    try:
        # Objects come as tuples of pairs, so that none is lost before it is looked at.
        given = json.loads(
            body.decode("utf-8-sig"),
            parse_int=_integer,
            parse_float=_float,
            parse_constant=_refuse,
            object_pairs_hook=tuple,
        )
        return _Maker(_surrogate if with_nul else unstorable).made(given), None
    except UnicodeDecodeError:
        return None, f"{what} is not UTF-8"
    except RecursionError:
        return None, f"{what} is nested too deeply"
    except _Unfit as error:
        return None, f"{what} {error}"
    except ValueError as error:
        return None, f"{what} is not JSON: {error}"


class _Unfit(ValueError):
    """Raised for what is JSON and cannot be taken; the text follows the name of what was read."""


class _Maker:
    """Makes a value of what the standard parser read, or raises `_Unfit` at what cannot be taken."""

    def __init__(self, flaw: Callable[[str], str | None]) -> None:
        self.flaw = flaw  # what is wrong with a text, in words
        self.path: list[str | int] = []  # where it is

    def made(self, given: JSON) -> JSON:
        if isinstance(given, str):
            if flaw := self.flaw(given):
                raise _Unfit(f"holds {flaw}{_at(self.path)}")
            return given
        if isinstance(given, float) and math.isinf(given):
            raise _Unfit(f"holds a number that is too large{_at(self.path)}")
        if not isinstance(given, tuple | list):
            return given
        if len(self.path) >= NESTING_MAX:
            raise _Unfit("is nested too deeply")
        return self._object(given) if isinstance(given, tuple) else self._list(given)

    def _object(self, pairs: tuple[tuple[str, JSON], ...]) -> dict[str, JSON]:
        found: dict[str, JSON] = {}
        for name, item in pairs:
            self.path.append(name)
            if name in found:
                raise _Unfit(f'names "{_place(self.path)}" twice')
            if flaw := self.flaw(name):
                raise _Unfit(f'holds {flaw} in the name "{_place(self.path)}"')
            found[name] = self.made(item)
            self.path.pop()
        return found

    def _list(self, items: list[JSON]) -> list[JSON]:
        found: list[JSON] = []
        for index, item in enumerate(items):
            self.path.append(index)
            found.append(self.made(item))
            self.path.pop()
        return found


def _at(path: list[str | int]) -> str:
    return f" at {_place(path)}" if path else ""


def _place(path: list[str | int]) -> str:
    """`customer.lines[3].note`: short and printable, whatever the names are; of a long one the end."""
    whole = "".join(f"[{step}]" if isinstance(step, int) else f".{shown(step)}" for step in path).removeprefix(".")
    return whole if len(whole) <= PLACE_CHARACTERS else f"…{whole[-PLACE_CHARACTERS:]}"


def shown(name: str, most: int = NAME_CHARACTERS) -> str:
    """A name that anyone may have written as a reason may have it: short and printable."""
    start = "".join(one if one.isprintable() else REPLACEMENT for one in name[:most])
    return start if len(name) <= most else f"{start}…"


def unstorable(text: str) -> str | None:
    """What PostgreSQL cannot hold of a text, in words; `None` when it can hold it all."""
    return "a NUL character" if "\x00" in text else None if text.isascii() else _surrogate(text)


def _surrogate(text: str) -> str | None:
    return "a lone surrogate" if _SURROGATE.search(text) else None


def _integer(digits: str) -> int | str:
    # Compared as text first: Python refuses to convert thousands of digits.
    if len(digits) <= len("18446744073709551615"):
        value = int(digits)
        if -(2**63) <= value < 2**64:
            return value
    return digits


def _float(digits: str) -> float | str:
    value = float(digits)
    if math.isinf(value) or Decimal(repr(value)) == Decimal(digits):
        return value
    return digits


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
