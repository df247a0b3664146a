"""Appends that wait at the same time go to Valkey in one round trip, and share its one fsync.

Comes in, on the loop: a message that is to be kept. Left behind: what `shared.inbox` leaves, in the order of arrival. A
process that dies in the middle has answered none of those that wait; their providers send them again.
"""

import asyncio
import contextlib
import queue
import threading
from typing import NamedTuple

from shared import logs
from shared.errors import QueueUnavailable
from shared.inbox import Appended, Arrival, Inbox

_log = logs.get("ingress")

MOST = 64  # at once: far past that a round trip costs nothing any more
MOST_BYTES = 1_000_000


class _Waiting(NamedTuple):
    arrival: Arrival
    future: "asyncio.Future[Appended | QueueUnavailable]"
    until: float  # on the loop's clock; past it its provider has waited long enough


class Appends:
    """One thread that appends what waits; made on the loop whose requests it serves."""

    def __init__(self, inbox: Inbox, loop: asyncio.AbstractEventLoop, *, patience_seconds: float) -> None:
        self._inbox = inbox
        self._loop = loop
        self._patience = patience_seconds
        self._waiting: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        threading.Thread(target=self._work, name="appends", daemon=True).start()

    def put(self, arrival: Arrival) -> "asyncio.Future[Appended | QueueUnavailable]":
        """What will have become of this append, once it is fsynced.

        QueueUnavailable: Valkey cannot take it, or has not within the patience. It may have been taken all the same,
        and then the provider's retry is recognised as a repeat.
        """
        future: asyncio.Future[Appended | QueueUnavailable] = self._loop.create_future()
        self._waiting.put(_Waiting(arrival, future, self._loop.time() + self._patience))
        return future

    def stop(self) -> None:
        """Append what waits, and end."""
        self._waiting.put(None)

    def _work(self) -> None:
        while (first := self._waiting.get()) is not None:
            batch, size, is_last = [first], len(first.arrival.request.body), False
            while len(batch) < MOST and size < MOST_BYTES:
                try:
                    another = self._waiting.get_nowait()
                except queue.Empty:
                    break
                if another is None:
                    is_last = True
                    break
                batch.append(another)
                size += len(another.arrival.request.body)
            self._append(batch)
            if is_last:
                return

    def _append(self, batch: list[_Waiting]) -> None:
        now = self._loop.time()
        found: list[Appended | QueueUnavailable] = [QueueUnavailable("Valkey has not answered yet")] * len(batch)
        # While Valkey hangs, each of those behind would wait for all before it.
        in_time = [n for n, waiting in enumerate(batch) if now < waiting.until]
        try:
            answers = self._inbox.append_all([batch[n].arrival for n in in_time])
        except Exception as error:  # noqa: BLE001  # an edge: without this thread nobody would ever be answered again
            _log.exception("appends.raised")
            answers = [QueueUnavailable(repr(error))] * len(in_time)
        for n, answer in zip(in_time, answers, strict=True):
            found[n] = answer
        with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody waits
            self._loop.call_soon_threadsafe(_tell, batch, found)


def _tell(batch: list[_Waiting], found: list[Appended | QueueUnavailable]) -> None:
    for waiting, answer in zip(batch, found, strict=True):
        if not waiting.future.done():  # done: its request is gone
            waiting.future.set_result(answer)
