"""Checking what providers sign: bytes and values in, a refusal or none out. Pure.

Comes in: header values as received, which may be anything. Nothing is left behind. Every malformed value is a refusal
and never an exception, every comparison is over bytes in constant time, and every secret is tried without an early
exit, so that time tells nothing about which one fits.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal

from shared import macs
from shared.clock import parse_epoch, parse_http_date, parse_instant
from shared.providers.contract import Headers, Refusal

Encoding = Literal["hex", "base64", "base64url"]
Unit = Literal["s", "ms", "http-date", "iso"]

WHSEC = "whsec_"


def sole(headers: Headers, name: str) -> str | Refusal | None:
    """The value of a header that may stand once; `None` when it is missing or blank.

    Sent twice it is `header_duplicated`; present with `-` and with `_` it is `header_ambiguous`, since a proxy and we
    might each look at another one. A server that folds repeats into one value with commas (WSGI) leaves that to
    `single` and `elements`.
    """
    other = name.replace("-", "_") if "-" in name else name.replace("_", "-")
    spellings = [spelling for spelling in dict.fromkeys((name, other)) if spelling in headers]
    if len(spellings) > 1:
        return Refusal("header_ambiguous", f"{name} is present in two spellings.")
    if not spellings:
        return None
    values = headers.all(spellings[0])
    if len(values) > 1:
        return Refusal("header_duplicated", f"{name} is present more than once.")
    return values[0].strip() or None


def single(value: str, name: str) -> Refusal | None:
    """Refuses a value that two folded headers made: no encoding of a digest has a comma."""
    return Refusal("header_duplicated", f"{name} is present more than once.") if "," in value else None


def elements(value: str) -> list[tuple[str, str]]:
    """The `k=v` pairs of a header such as `t=1,v1=ab,v1=cd`, in order; what is no pair is left out."""
    pairs = (part.strip().partition("=") for part in value.split(","))
    return [(key, rest) for key, sign, rest in pairs if sign]


def decode(text: str, encoding: Encoding) -> bytes | None:
    """The bytes that `text` spells, strictly; `None` when it is malformed. Hex may be in either case."""
    try:
        raw = text.encode("ascii")
        if encoding == "hex":
            return binascii.unhexlify(raw)
        if encoding == "base64":
            return base64.b64decode(raw, validate=True)
        return base64.b64decode(raw + b"=" * (-len(raw) % 4), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error, ValueError):
        return None


def encode(digest: bytes, encoding: Encoding) -> str:
    """`digest` as a provider writes it: lower-case hex, padded base64, or URL-safe base64 without padding."""
    if encoding == "hex":
        return digest.hex()
    if encoding == "base64":
        return base64.b64encode(digest).decode()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def whsec_key(secret: bytes) -> bytes | None:
    """The key bytes of a Standard Webhooks secret: base64, with or without `whsec_` and padding; `None` if malformed.

    Source: github.com/standard-webhooks, spec, read 2026-11.
    """
    raw = secret.removeprefix(WHSEC.encode())
    try:
        return base64.b64decode(raw + b"=" * (-len(raw) % 4), validate=True) or None
    except (binascii.Error, ValueError):
        return None


def any_matches(given: Iterable[bytes], expected: Iterable[bytes]) -> bool:
    """Whether one of the given digests equals one of the expected; all pairs are compared, whatever the result."""
    wanted = list(expected)
    found = False
    for one in given:
        for other in wanted:
            found |= hmac.compare_digest(one, other)
    return found


def check_digests(
    given: Sequence[bytes], content: bytes, keys: Sequence[bytes], algorithm: macs.Algorithm
) -> Refusal | None:
    """Passes when one of the given digests is the HMAC of `content` under one of `keys`."""
    expected = [macs.digest(key, content, algorithm) for key in keys if key]
    if any_matches(given, expected):
        return None
    return Refusal("signature_mismatch", "The signature does not match the body.")


def check_token(given: str, secrets: Sequence[bytes]) -> Refusal | None:
    """Passes when `given` is one of the secrets; over digests, so that lengths tell nothing either."""
    presented = hashlib.sha256(given.encode("utf-8", "surrogateescape")).digest()
    if any_matches([presented], [hashlib.sha256(secret).digest() for secret in secrets if secret]):
        return None
    return Refusal("signature_mismatch", "The token is not the one agreed on.")


def instant(text: str, unit: Unit) -> datetime | None:
    """The instant a timestamp header names; `None` when it is malformed."""
    if unit == "http-date":
        return parse_http_date(text)
    if unit == "iso":
        return parse_instant(text)
    return parse_epoch(text, unit=unit)


def check_time(
    text: str | None, unit: Unit, *, now: datetime, tolerance_seconds: float, future_seconds: float
) -> Refusal | None:
    """Passes a timestamp at most `tolerance_seconds` old and at most `future_seconds` ahead."""
    if not text:
        return Refusal("timestamp_missing", "The signed timestamp is missing.")
    at = instant(text, unit)
    if at is None:
        return Refusal("signature_malformed", "The signed timestamp is malformed.")
    age = (now - at).total_seconds()
    if age > tolerance_seconds:
        return Refusal("timestamp_expired", f"The signed timestamp is more than {tolerance_seconds:g} s old.")
    if age < -future_seconds:
        return Refusal("timestamp_in_future", f"The signed timestamp is more than {future_seconds:g} s ahead.")
    return None
