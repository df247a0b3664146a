"""Waiting for a claim to come true, with a deadline: the only way in which a story passes time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

POLL_SECONDS = 0.03
PATIENCE_SECONDS = 45.0


def until(
    claim: Callable[[], T],
    seconds: float = PATIENCE_SECONDS,
    *,
    poll: float = POLL_SECONDS,
    what: str = "",
    told: Callable[[], object] | None = None,
) -> T:
    """The first true value of `claim`, asked again and again; a failure (a server that is down) is asked again too.

    Raises:
        AssertionError: it did not come true within `seconds`; the text says `what`, and what is `told` of the matter.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            value = claim()
            seen = repr(value)
            if value:
                return value
        except Exception as error:  # noqa: BLE001  # a server that was killed answers in many ways
            seen = repr(error)
        if time.monotonic() > deadline:
            more = f"\n{told()}" if told else ""
            raise AssertionError(f"waited {seconds:g} s in vain for {what or 'the claim'}; the last was {seen}{more}")
        time.sleep(poll)
