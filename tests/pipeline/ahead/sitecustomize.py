"""Python reads this before anything else of the process: from here on every clock of its that tells the time is ahead.

Intervals (`time.monotonic`) are as they are, and so is what C code reads by itself.
"""

import datetime as dt
import os
import time

_SECONDS = int(os.environ["CLOCK_AHEAD_SECONDS"])
_DELTA = dt.timedelta(seconds=_SECONDS)
_real, _time, _time_ns = dt.datetime, time.time, time.time_ns


class _Kind(type):
    def __instancecheck__(cls, value):
        return isinstance(value, _real)

    def __subclasscheck__(cls, kind):
        return issubclass(kind, _real)


class _Ahead(_real, metaclass=_Kind):
    """Makes plain datetimes, so that C code that looks for their type finds it."""

    def __new__(cls, *args, **values):
        return _real(*args, **values)

    @classmethod
    def now(cls, tz=None):
        return _real.now(tz) + _DELTA

    @classmethod
    def utcnow(cls):
        return _real.now(dt.UTC).replace(tzinfo=None) + _DELTA

    @classmethod
    def today(cls):
        return _real.now() + _DELTA


dt.datetime = _Ahead
time.time = lambda: _time() + _SECONDS
time.time_ns = lambda: _time_ns() + _SECONDS * 1_000_000_000
