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
    width: int = FIRST_WIDTH
    waiting: deque[Claimed] = field(default_factory=deque)
    flying: int = 0
    unwritten_failures: int = 0  # until they are written, nobody knows whether the lane is paused: nothing is sent
    served: int = 0  # the number of the claim that took from it last
    queued: bool = False  # it stands in the window's queue
    _landed: int = 0  # successes since the last claim
    _pace: int = 0  # successes between the two claims before

    def room(self) -> int:
        """How many more deliveries may be leased."""
        if self.unwritten_failures:
            return 0
        ahead = min(max(self._pace, self._landed), self.cap * AHEAD)
        return max(0, min(self.width, self.cap) + ahead - self.flying - len(self.waiting))

    def may_fly(self) -> bool:
        """Whether one that waits may be sent now."""
        return bool(self.waiting) and not self.unwritten_failures and self.flying < min(self.width, self.cap)

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
