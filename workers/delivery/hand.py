"""What this process holds of one lane: deliveries that are leased and wait, and how many are on their way.

Pure bookkeeping in memory. A process that dies leaves leases that expire.
"""

from collections import deque
from dataclasses import dataclass, field

from workers.delivery.claim import Claimed

FIRST_WIDTH = 2  # requests a lane begins with; each success doubles it up to its cap, each failure halves it
AHEAD = 8  # times its cap that a lane may be leased ahead, if it is as quick as that


@dataclass(slots=True, eq=False)
class Hand:
    """One lane. A lane that answers widens and is leased ahead of; one that hangs keeps to two requests."""

    subscription_id: str
    cap: int
    size: int = 1  # deliveries that one flight carries; a lane that carries several has one flight at a time
    width: int = FIRST_WIDTH
    waiting: deque[Claimed] = field(default_factory=deque)
    flying: int = 0  # deliveries
    unwritten_failures: int = 0  # until they are written, nobody knows whether the lane is paused: nothing is sent
    served: int = 0  # the number of the claim that took from it last
    queued: bool = False  # it stands in the window's queue
    _landed: int = 0  # successes since the last claim
    _pace: int = 0  # successes between the two claims before

    def room(self) -> int:
        """How many more deliveries may be leased."""
        if self.unwritten_failures:
            return 0
        if self.size > 1:  # the next load gathers while one is on its way
            return max(0, 2 * self.size - self.flying - len(self.waiting))
        ahead = min(max(self._pace, self._landed), self.cap * AHEAD)
        return max(0, min(self.width, self.cap) + ahead - self.flying - len(self.waiting))

    def may_fly(self) -> bool:
        """Whether one that waits may be sent now."""
        most = min(self.width, self.cap) if self.size == 1 else 1
        return bool(self.waiting) and not self.unwritten_failures and self.flying < most

    def take(self) -> tuple[Claimed, ...]:
        """The next flight's load; there is at least one that waits."""
        waiting = self.waiting
        if self.size == 1:
            return (waiting.popleft(),)
        return tuple(waiting.popleft() for _ in range(min(self.size, len(waiting))))

    def deal(self, claimed: Claimed) -> None:
        """Take one that was leased."""
        self.waiting.append(claimed)

    def note_claim(self, number: int) -> None:
        """A claim took from this lane."""
        self.served = number
        self._pace, self._landed = self._landed, 0

    def succeed(self) -> None:
        """One landed and was delivered."""
        self.flying -= 1
        self._landed += 1
        self.width = min(self.cap, self.width * 2)

    def fail(self) -> None:
        """One landed and was not."""
        self.flying -= 1
        self.unwritten_failures += 1
        self.width = max(1, self.width // 2)
        self._pace = self._landed = 0

    def is_idle(self) -> bool:
        """Whether nothing of this lane is held."""
        return not self.waiting and not self.flying and not self.unwritten_failures
