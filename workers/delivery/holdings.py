"""What one window holds: deliveries that are leased and not yet settled, by claim, and the bytes of their bodies.

Pure bookkeeping in memory. A process that dies leaves leases that expire.
"""

from collections import Counter

from workers.delivery.claim import Claimed

MOST_BYTES = 32_000_000  # of bodies: with this much leased, no more is claimed


class Holdings:
    """Taken when a claim leases a delivery, let go when its result is written down or it is given back."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()  # deliveries by claim id
        self._bytes = 0

    @property
    def claim_ids(self) -> list[str]:
        """The claims of which something is still held."""
        return list(self._open)

    @property
    def room_bytes(self) -> int:
        """How many more bytes may be leased; 0 or less: none."""
        return MOST_BYTES - self._bytes

    def take(self, claimed: Claimed) -> None:
        """Hold one that was leased."""
        self._open[claimed.claim_id] += 1
        self._bytes += len(claimed.body or b"")

    def let_go(self, claimed: Claimed) -> None:
        """Hold one no more."""
        self._bytes -= len(claimed.body or b"")
        self._open[claimed.claim_id] -= 1
        if self._open[claimed.claim_id] <= 0:
            del self._open[claimed.claim_id]
