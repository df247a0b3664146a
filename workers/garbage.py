"""How often Python looks for garbage in a worker's process.

Nothing comes in and nothing is left behind but a number in this process.
"""

import gc
from typing import Final

# A batch of messages keeps some 20,000 objects alive until it is committed, and a window of deliveries as many until
# they are written down. By default the collector walks them again and again and finds nothing, for hardly anything of
# ours refers to itself: that was a quarter of the drain's time and a fifth of the dispatcher's.
AFTER_OBJECTS: Final = 50_000


def collect_seldom() -> None:
    """Have the collector begin no sooner than `AFTER_OBJECTS` after it last did. Idempotent."""
    gc.set_threshold(AFTER_OBJECTS, *gc.get_threshold()[1:])
