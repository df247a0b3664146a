"""The one clock. Everything below the edges takes `now` as an argument and never asks.

Nothing is left behind; there is nothing a dying process could lose.
"""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

_ISO_LENGTHS = range(8, 41)  # 20260102 to a time with nanoseconds and an offset
_EPOCH_DIGITS = 16
_YEAR_10000 = 253_402_300_800  # past which datetime ends


def utc_now() -> datetime:
    """The present instant as an aware UTC datetime. Only the edges (views, task shells, CLI) call this."""
    return datetime.now(UTC)


def to_json(at: datetime) -> str:
    """`at` as ISO 8601 in UTC with milliseconds and `Z`, the one form of time in our JSON."""
    # isoformat rather than strftime: several times faster, and every event has four of these.
    return at.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def parse_instant(text: object) -> datetime | None:
    """The instant that an ISO 8601 text names, in UTC; `None` for anything that is not one.

    A text without an offset is taken as UTC. Providers change offsets between deliveries of the same
    record, so versions are compared as instants and never as texts.
    """
    if not isinstance(text, str) or len(text) not in _ISO_LENGTHS:
        return None
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    try:
        return at.astimezone(UTC)
    except (OverflowError, ValueError):
        return None


def parse_epoch(value: object, *, unit: str = "s") -> datetime | None:
    """The instant of a Unix time in seconds (`unit="s"`) or milliseconds (`"ms"`); `None` if it is not one."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    if isinstance(value, str) and not (value.isascii() and value.isdigit() and len(value) <= _EPOCH_DIGITS):
        return None
    number, scale = int(value), 1000 if unit == "ms" else 1
    if not 0 <= number < _YEAR_10000 * scale:  # before the division: an integer can be too large for a float
        return None
    return datetime.fromtimestamp(number / scale, UTC)


def parse_http_date(text: str) -> datetime | None:
    """The instant of an HTTP date (RFC 9110, 5.6.7), in UTC; `None` if it is not one."""
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)


def after(at: datetime, seconds: float) -> datetime:
    """The instant `seconds` after `at`; it may be negative."""
    return at + timedelta(seconds=seconds)
