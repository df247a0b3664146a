"""The machine: Python and room on the disk.

Only looks; nothing is left behind.
"""

import shutil
import sys
from pathlib import Path

from cli.doctor.finding import Finding, failed, ok, warning

PYTHON = (3, 11)
ROOM_BYTES = 1_000_000_000
ROOM_LEAST_BYTES = 200_000_000


def python() -> Finding:
    """Whether this Python is new enough."""
    seen = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info < PYTHON:
        return failed("python", seen, "Use Python 3.11 or newer.")
    return ok("python", seen)


def disk(data_dir: Path) -> Finding:
    """Whether the data folder's disk has room."""
    there = next(folder for folder in (data_dir.resolve(), *data_dir.resolve().parents) if folder.exists())
    free = shutil.disk_usage(there).free
    seen = f"{free / 1e9:.1f} GB free at {there}"
    if free < ROOM_LEAST_BYTES:
        return failed("disk", seen, "Make room now: a full disk stops PostgreSQL and Valkey, and then the ingress.")
    if free < ROOM_BYTES:
        return warning(
            "disk", seen, "Make room, or keep less: CROSSDOCK_KEEP_MESSAGES_DAYS, CROSSDOCK_KEEP_EVENTS_DAYS."
        )
    return ok("disk", seen)
