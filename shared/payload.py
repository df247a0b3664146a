"""From raw bytes to a JSON value that every later step can keep, or the reason why not.

Comes in: a body that anyone may have written. Comes out: a value that says one thing only, whose texts PostgreSQL can
store and whose numbers nobody rounds. Pure; a process that dies in the middle leaves nothing.
"""

import re
from typing import Any

import orjson

from shared import strict_json
from shared.strict_json import REPLACEMENT

JSON = Any

# orjson reads an integer past 64 bits as a float, and rounds what has more digits than a float holds: an id would
# silently become another one. Such a body is found by its runs of digits and points, by translating it first, which is
# ten times faster than a regular expression over all of it.
_ALIKE = bytes(ord("0") if byte in b"0123456789." else byte for byte in range(256))
_LONG = b"0" * 16
INTEGER_DIGITS = 19  # of which every integer has its place in 64 bits, if it is not negative
_RUN = re.compile(rb"0+")
# A NUL; and colons that count for two, see `parse`.
_ESCAPE = re.compile(rb"\\u00(?:00|3[aA])")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def parse(body: bytes, what: str = "the body", *, with_nul: bool = False) -> tuple[JSON, str | None]:
    """The JSON value of `body` and `None`, or `None` and why it cannot be taken, which begins with `what` it is.

    Refused is what is no JSON, NaN and infinities among it; what JSON allows and no two readers take alike, such as a
    name that stands twice in an object and a number past every double; and a NUL or a lone surrogate in a text or a
    name, which PostgreSQL cannot hold. An integer past 64 bits becomes its digits as text, and so does a number
    with a point or an exponent that no double is.

    `with_nul` lets NULs through, for who has to see what was signed and stores nothing.

    Whether a name stands twice is not asked of the parser, which keeps the last, but of the colons: outside of texts
    there is one for every name, and in texts they are written as they are. So the value written down again has as many
    as the body, or lacks at least the one of each name that was lost.
    """
    if not _is_odd(body):
        try:
            value = orjson.loads(body)
            if orjson.dumps(value).count(b":") == body.count(b":"):
                return value, None
        except (orjson.JSONDecodeError, orjson.JSONEncodeError):
            pass  # the slow way accepts a little more, and says what is wrong
    return strict_json.read(body, what, with_nul=with_nul)


def _is_odd(body: bytes) -> bool:
    """Whether the body holds what the fast parser would let through, or the count of colons would miss."""
    # Most bodies have no backslash, which is found out faster than a longer text.
    if b"\\" in body and _ESCAPE.search(body):
        return True
    alike = body.translate(_ALIKE)
    at = alike.find(_LONG)
    while at >= 0:
        end = run.end() if (run := _RUN.match(alike, at)) else len(alike)
        if _may_be_rounded(body, at, end):
            return True
        at = alike.find(_LONG, end)
    return False


def _may_be_rounded(body: bytes, start: int, end: int) -> bool:
    """Whether the digits and points there, sixteen or more, may be a number that is neither an integer nor a double."""
    size = end - start
    if b"." in body[start:end] or body[end : end + 1] in (b"e", b"E"):
        return True
    return size > INTEGER_DIGITS or (size == INTEGER_DIGITS and body[start - 1 : start] == b"-")


def clean_text(text: str) -> str:
    """`text` as PostgreSQL can store it: NUL and lone surrogates are U+FFFD."""
    if text.isascii():
        return text.replace("\x00", REPLACEMENT) if "\x00" in text else text
    return _UNSTORABLE.sub(REPLACEMENT, text)


def scrub(value: JSON) -> JSON:
    """`value` with every text in it, names included, as PostgreSQL can store it.

    For what we fetched ourselves, where one odd text must not keep the rest out; what is posted is refused by `parse`.
    """
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, dict):
        return {clean_text(key): scrub(item) for key, item in value.items()}
    if isinstance(value, list):
        return [scrub(item) for item in value]
    return value
