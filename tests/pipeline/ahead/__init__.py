"""A process whose clock is ahead: this folder on PYTHONPATH, and by how much in a variable."""

import os
from pathlib import Path

VARIABLE = "CLOCK_AHEAD_SECONDS"  # not CROSSDOCK_…, which Settings would not know


def environment(seconds: int) -> dict[str, str]:
    """What a process must find in its environment."""
    paths = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    return {VARIABLE: str(seconds), "PYTHONPATH": os.pathsep.join(filter(None, paths))}
