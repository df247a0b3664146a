"""What every receiver says alike: how long to wait, and what an API's status comes to.

Comes in: an answer. Comes out: a judgement. Pure; nothing is left behind.
"""

import re
from collections.abc import Mapping
from datetime import datetime

from shared import __version__
from shared.clock import parse_http_date
from shared.destinations.contract import OUT_OF_TIME, UNSENT, Answer, Judgement, Verdict

USER_AGENT = f"Crossdock/{__version__}"
RETRY_AFTER_MAX_SECONDS = 86_400.0
_SECONDS = re.compile(r"[0-9]{1,10}")  # RFC 9110, 10.2.3: delay-seconds is digits and nothing else

TOO_MANY_REQUESTS = 429
# The request itself is at fault: sent again it would be refused again.
_HOPELESS = frozenset({400, 405, 413, 414, 415, 422})


def judge_api(answer: Answer, now: datetime, *, busy_seconds: float) -> Judgement:
    """What an API's answer comes to; `busy_seconds` is the wait after a 429 that names none.

    A 401 or 403 is tried again: a credential can be mended, and the events are not at fault.
    """
    status = answer.status
    if answer.error_code in UNSENT:
        until = 1.0 if answer.error_code == OUT_OF_TIME else retry_after(answer.headers, now) or busy_seconds
        return Judgement(Verdict.LATER, answer.error_code, until)
    if status is None:
        return Judgement(Verdict.AGAIN, answer.error_code or "connection_failed")
    if 200 <= status < 300:  # noqa: PLR2004  # the class itself
        return Judgement(Verdict.DELIVERED)
    wait = retry_after(answer.headers, now)
    if status == TOO_MANY_REQUESTS:
        return Judgement(Verdict.LATER, "http_429", wait or busy_seconds)
    if status in _HOPELESS:
        return Judgement(Verdict.DEAD, f"http_{status}")
    return Judgement(Verdict.AGAIN, f"http_{status}", wait)


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """The seconds that `Retry-After` asks for, given in seconds or as a date, at most a day; `None` if it says nothing.

    Source: RFC 9110, 10.2.3.
    """
    value = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(value):
        seconds = float(value)
    elif (at := parse_http_date(value)) is not None:
        seconds = (at - now).total_seconds()
    else:
        return None
    return min(seconds, RETRY_AFTER_MAX_SECONDS) if seconds > 0 else None
