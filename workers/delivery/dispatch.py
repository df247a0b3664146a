"""The order `delivery.dispatch`: ship what is due, for a while, and order the next while if work is left.

Comes in: an order that says nothing but "look". Left behind: outcomes. The loop that sends lives in a thread of this
process for as long as the process does, so connections and slow requests outlast the order. A process that dies in the
middle leaves leases that expire, and beat orders again.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from datetime import datetime
from random import SystemRandom
from typing import Any, TypeVar

import redis
from celery import signals
from sqlalchemy.exc import SQLAlchemyError

from shared import logs, orders, queues
from shared.clock import utc_now
from workers import garbage, stopping
from workers.context import Context
from workers.delivery.window import Window

Value = TypeVar("Value")

_log = logs.get("delivery")


class Dispatcher:
    """One process's loop and window, for one context."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.turn = threading.Lock()  # one order at a time
        self._loop = asyncio.new_event_loop()
        self._window: Window | None = None
        self._thread = threading.Thread(target=self._run_loop, name="delivery-loop", daemon=True)
        self._thread.start()

    def _run_loop(self) -> None:
        self._loop.run_forever()
        self._loop.close()

    def ship(
        self, *, clock: Callable[[], datetime], seconds: float, is_stopping: Callable[[], bool]
    ) -> tuple[dict[str, int], bool]:
        """The counts of one turn, and whether work is left."""
        counts, more = self._run(self._ship(clock, seconds, is_stopping))
        return dict(counts), more

    async def _ship(
        self, clock: Callable[[], datetime], seconds: float, is_stopping: Callable[[], bool]
    ) -> tuple[dict[str, int], bool]:
        if self._window is None:
            self._window = Window(self.context, clock=clock, rng=SystemRandom())
        self._window.clock = clock
        return await self._window.turn(seconds=seconds, is_stopping=is_stopping)

    def close(self, *, seconds: float) -> None:
        """Finish or give back what is in flight within `seconds`, and end the loop."""
        with contextlib.suppress(TimeoutError):
            self._run(self._close(seconds), timeout=seconds + 1)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(1)

    async def _close(self, seconds: float) -> None:
        if self._window is not None:
            await self._window.drain(seconds)
            await self._window.close()

    def _run(self, work: Coroutine[Any, Any, Value], *, timeout: float | None = None) -> Value:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(timeout)
        except BaseException:
            future.cancel()  # Celery's soft time limit arrives here; what is in flight goes on
            raise


_dispatchers: dict[int, Dispatcher] = {}


def dispatch(
    context: Context, *, clock: Callable[[], datetime] = utc_now, is_stopping: Callable[[], bool] = stopping.is_stopping
) -> dict[str, int]:
    """Ship what is due until nothing is, or until the order's time is up; then the next order is sent.

    Counts: `claimed`, the states that deliveries took (`delivered`, `pending` for a later try, `dead`, `held`, ...),
    `attempts:<verdict>`, `given_back`, `disabled`, `lost` (results whose claim no longer held). Idempotent.
    """
    with contextlib.suppress(redis.RedisError):  # lowered before looking: what comes while we look raises it again
        context.client.delete(queues.DISPATCH_WAKE)
    dispatcher = _dispatchers.get(id(context))
    if dispatcher is None:
        garbage.collect_seldom()
        dispatcher = _dispatchers[id(context)] = Dispatcher(context)
    if not dispatcher.turn.acquire(blocking=False):
        return {"busy": 1}
    try:
        counts, more = dispatcher.ship(
            clock=clock, seconds=context.settings.dispatch_run_seconds, is_stopping=is_stopping
        )
    except SQLAlchemyError as error:
        _log.warning("dispatch.failed", error=type(error).__name__)
        return {"failed": 1}
    finally:
        dispatcher.turn.release()
    if more and not is_stopping():
        orders.wake_dispatch(context.settings, context.client)
    if counts:
        _log.info("dispatch.finished", **counts)
    return counts


def close(context: Context, *, seconds: float | None = None) -> None:
    """End this process's dispatcher of `context`, if there is one. Idempotent."""
    dispatcher = _dispatchers.pop(id(context), None)
    if dispatcher is not None:
        dispatcher.close(seconds=context.settings.shutdown_grace_seconds if seconds is None else seconds)


@signals.worker_process_shutdown.connect(weak=False)  # type: ignore[untyped-decorator]
def _on_process_shutdown(**_: object) -> None:
    """Requests that outlasted the last order are finished or given back before the pool child goes."""
    for dispatcher in list(_dispatchers.values()):
        close(dispatcher.context)
