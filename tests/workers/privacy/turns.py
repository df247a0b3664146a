"""Two at work on the same rows, in an order that a test decides: no sleep, no clock, and no chance in it."""

import re
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import Any

from sqlalchemy import Engine, event, text

Work = Callable[[Engine], Any]

_ONE_WAITS = text("""
SELECT EXISTS (
    SELECT FROM pg_stat_activity WHERE datname = current_database() AND pg_blocking_pids(pid) <> '{}'
)
""")


_LOCKS = re.compile(r"\b(INSERT|UPDATE|DELETE)\b")  # also FOR UPDATE


class _Pause:
    """Holds work up behind its locking statement of a number, until it may go on."""

    def __init__(self, number: int) -> None:
        self.is_there, self.may_go_on, self.was_made = Event(), Event(), False
        self._left = number

    def __call__(self, _: Any, __: Any, statement: str, *___: Any) -> None:
        self._left -= bool(_LOCKS.search(statement))
        if self._left == 0 and not self.was_made:
            self.was_made = True
            self.is_there.set()
            self.may_go_on.wait()


def take_turns(engines: Sequence[Engine], first: Work, second: Work, *, number: int) -> bool:
    """Have `first` go as far as behind its nth statement that locks, `second` as far as it can then, and both to their
    ends; each with an engine of its own, and the third is to watch them.

    Whether there was such a statement; without one `second` did nothing.

    Raises:
        OperationalError: they waited for each other, and PostgreSQL has ended one of them.
    """
    pause = _Pause(number)
    event.listen(engines[0], "after_cursor_execute", pause)
    try:
        with ThreadPoolExecutor(2) as pool, engines[2].connect() as watch:
            going: Future[Any] = pool.submit(first, engines[0])
            going.add_done_callback(lambda _: pause.is_there.set())
            pause.is_there.wait()
            if pause.was_made:
                behind = pool.submit(second, engines[1])
                while not behind.done() and not watch.execute(_ONE_WAITS).scalar_one():
                    watch.rollback()
                pause.may_go_on.set()
                behind.result()
            going.result()
            return pause.was_made
    finally:
        event.remove(engines[0], "after_cursor_execute", pause)
