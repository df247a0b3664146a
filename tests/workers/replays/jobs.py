"""What tests of replay jobs ask about a job, and how they run one to its end."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Engine

from shared import replays
from tests.workers.rows import NOW
from workers.context import Context
from workers.replay import run_slice

LATER = NOW + timedelta(hours=1)


def state_of(engine: Engine, job: UUID) -> dict[str, Any]:
    with engine.connect() as connection:
        return replays.get(connection, job, account_id=None)


def sums(job: dict[str, Any]) -> tuple[int, int, int, int]:
    return job["total"], job["done"], job["skipped"], job["failed"]


def run_to_end(context: Context, job: UUID, *, most: int = 50) -> int:
    """Slices it took."""
    for number in range(1, most + 1):
        if run_slice(context, str(job), now=LATER)["state"] == "finished":
            return number
    raise AssertionError(state_of(context.engine, job))
