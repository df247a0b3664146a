"""The requests of one window that are under way: what each carries, and which of them are slow.

Pure bookkeeping in memory. A process that dies leaves leases that expire.
"""

import asyncio
import time

from workers.delivery.claim import Claimed

# A request that takes longer than this no longer counts as one of the window's, so that hanging receivers do not use it
# up; there may be SLOW_FACTOR times the window of such.
SLOW_SECONDS = 0.5
SLOW_FACTOR = 4


class Flights:
    """At most `size` brisk ones at a time, and SLOW_FACTOR times as many slow ones."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._most = size * (1 + SLOW_FACTOR)
        self._loads: dict[asyncio.Task[None], tuple[Claimed, ...]] = {}
        self._brisk: dict[asyncio.Task[None], float] = {}  # the young ones, in the order they took off

    def __len__(self) -> int:
        return len(self._loads)

    @property
    def brisk(self) -> int:
        """How many count as the window's."""
        self._age()
        return len(self._brisk)

    @property
    def loads(self) -> dict[asyncio.Task[None], tuple[Claimed, ...]]:
        """What each carries now."""
        return dict(self._loads)

    def is_crowded(self) -> bool:
        """Whether there are as many as there may ever be, slow ones included."""
        return len(self._loads) >= self._most

    def has_room(self) -> bool:
        """Whether one more may take off."""
        if len(self._brisk) >= self._size:
            self._age()
        return len(self._brisk) < self._size and not self.is_crowded()

    def take_off(self, task: asyncio.Task[None], load: tuple[Claimed, ...]) -> None:
        """`task` carries `load` from now on."""
        self._loads[task] = load
        self._brisk[task] = time.monotonic()

    def land(self, task: asyncio.Task[None]) -> None:
        """`task` carries nothing any more."""
        self._loads.pop(task, None)
        self._brisk.pop(task, None)

    def _age(self) -> None:
        limit = time.monotonic() - SLOW_SECONDS
        while self._brisk:
            task = next(iter(self._brisk))
            if self._brisk[task] > limit:
                break
            del self._brisk[task]
