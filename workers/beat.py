"""Beat's scheduler: Celery's own, which withholds an order while its queue holds enough of them.

Comes in: the schedule of `celeryconfig`. Left behind: orders, and Celery's file of when each was last due. A beat that
dies sends nothing until it is started again, and then what is overdue; since every order only says "look", none that
was left out is missed.
"""

from typing import Any

import redis
from celery.beat import PersistentScheduler

from shared import logs, orders
from shared.settings import current

_log = logs.get("beat")


class Scheduler(PersistentScheduler):  # type: ignore[misc]
    """Celery's scheduler over queues that do not grow while a worker is away, however long that is."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._withheld: set[str] = set()
        logs.configure(current())
        super().__init__(*args, **kwargs)

    def apply_async(self, entry: Any, producer: Any = None, advance: bool = True, **kwargs: Any) -> Any:
        """Send the order of a due entry, unless its queue is full."""
        if self._has_room(entry.task):
            self._withheld.discard(entry.task)
            return super().apply_async(entry, producer=producer, advance=advance, **kwargs)
        if entry.task not in self._withheld:
            self._withheld.add(entry.task)
            _log.warning("order.withheld", task=entry.task)
        return None

    def _has_room(self, task: str) -> bool:
        try:
            return orders.has_room(current(), task, share=orders.BEAT_SHARE)
        except redis.RedisError:
            return True  # Celery tells what is wrong with the broker, and waits for it
