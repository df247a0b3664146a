"""From raw bytes to a JSON value that every later step can keep, or the reason why not.

Comes in: a body that anyone may have written. Comes out: a value whose texts PostgreSQL can store and whose integers
nobody rounds. Pure; a process that dies in the middle leaves nothing.
"""

import json
import re
from typing import Any, NoReturn

import orjson

JSON = Any
REPLACEMENT = "\ufffd"  # stands, for people to see, where a character was that PostgreSQL cannot hold

# orjson reads an integer past 64 bits as a float: an id would silently become another one. Such a body is found by its
# run of digits; translating and searching is ten times faster than a regular expression.
_ALIKE = bytes(ord("0") if ord("0") <= byte <= ord("9") else byte for byte in range(256))
_LONG_DIGITS = b"0" * 20
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def parse(body: bytes) -> tuple[JSON, str | None]:
    """The JSON value of `body` and `None`, or `None` and why it is not JSON.

    NUL and lone surrogates become U+FFFD; an integer past 64 bits becomes its digits as text; of a repeated key the
    last counts. NaN, infinities and nesting past the parser's limit are refused.
    """
    if b"\\u0000" not in body and _LONG_DIGITS not in body.translate(_ALIKE):
        try:
            return orjson.loads(body), None
        except orjson.JSONDecodeError:
            pass  # the slow way accepts a little more, and says what is wrong
    return _parse_slowly(body)


def _parse_slowly(body: bytes) -> tuple[JSON, str | None]:
    if not body:
        return None, "the body is empty"
    try:
        value = json.loads(body.decode("utf-8-sig"), parse_int=_integer, parse_constant=_refuse)
        return scrub(value), None
    except UnicodeDecodeError:
        return None, "the body is not UTF-8"
    except RecursionError:
        return None, "the body is nested too deeply"
    except ValueError as error:
        return None, f"the body is not JSON: {error}"


def clean_text(text: str) -> str:
    """`text` as PostgreSQL can store it: NUL and lone surrogates are U+FFFD."""
    if text.isascii():
        return text.replace("\x00", REPLACEMENT) if "\x00" in text else text
    return _UNSTORABLE.sub(REPLACEMENT, text)


def scrub(value: JSON) -> JSON:
    """`value` with every text in it, names included, as PostgreSQL can store it."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, dict):
        return {clean_text(key): scrub(item) for key, item in value.items()}
    if isinstance(value, list):
        return [scrub(item) for item in value]
    return value


def _integer(digits: str) -> int | str:
    # Compared as text first: Python refuses to convert thousands of digits.
    if len(digits) <= len("18446744073709551615"):
        value = int(digits)
        if -(2**63) <= value < 2**64:
            return value
    return digits


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
