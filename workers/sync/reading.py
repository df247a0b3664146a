"""Reads an integration's data as its provider wants it read.

Comes in: a job. Comes out: what the provider's own reading comes to; each says what it leaves behind and when it dies.
"""

from collections.abc import Callable, Mapping
from typing import Final

from workers.sync import manychat, shopify_sync
from workers.sync.job import Done, GoOn, Job
from workers.sync.upstream import UpstreamFailed

_READINGS: Final[Mapping[str, Callable[[Job], Done | GoOn]]] = {
    "manychat": manychat.sync,
    "shopify": shopify_sync.sync,
}


def sync(job: Job) -> Done | GoOn:
    """The data read, or as much of it as there was time for.

    Raises:
        UpstreamFailed: the provider could not be asked, or has nothing that we read.
    """
    read = _READINGS.get(job.source["provider"])
    if read is None:
        raise UpstreamFailed("sync_unknown", f"Nothing is read from {job.source['provider']}.", is_final=True)
    return read(job)
