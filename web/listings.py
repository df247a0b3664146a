"""What the ingress knows of the sources: the directory, kept fresh by a thread of its own.

Comes in: the directory in Valkey. Left behind: nothing; a process that starts again reads it again. While Valkey is
down or emptied, the last directory known goes on counting; before the first one is read, there is none.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from shared import directory, logs, valkey
from shared.clock import parse_instant
from shared.crypto import KeyRing
from shared.directory import Listing
from shared.errors import QueueUnavailable

POLL_SECONDS = 0.25  # a new secret counts within a second


class Listings:
    """The sources by path, as of the last poll."""

    def __init__(self, client: valkey.Client, ring: KeyRing, *, clock: Callable[[], datetime]) -> None:
        self._client = client
        self._ring = ring
        self._clock = clock
        self._version = 0
        self._entries: Mapping[str, dict[str, Any]] = {}
        self._expires_at: datetime | None = None
        self._stopping = threading.Event()
        # Replaced whole, never changed: a request sees the old one or the new one.
        self.by_path: Mapping[str, Listing] | None = None  # None: never loaded

    def poll(self) -> bool:
        """Read the directory again if it changed; drop secrets that expired, whether Valkey answers or not.

        Returns whether anything changed.

        Raises:
            QueueUnavailable: Valkey cannot be reached; what is known stays.
        """
        now = self._clock()
        changed = False
        try:
            version = directory.version(self._client)
            if version not in (0, self._version):
                self._entries = directory.entries(self._client)
                changed = True
            # 0: emptied, or nothing published yet. Whatever comes next is news; until then the last known counts.
            self._version = version
        finally:
            changed = changed or (self._expires_at is not None and now >= self._expires_at)
            if changed:
                self._expires_at = next_expiry(self._entries, now)
                self.by_path = {path: self._listing(entry, now) for path, entry in self._entries.items()}
        return changed

    def start(self) -> None:
        """Poll once, and from then on in the background."""
        self._poll_safely()
        threading.Thread(target=self._run, name="listings", daemon=True).start()

    def stop(self) -> None:
        """End the background thread after its present poll."""
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.wait(POLL_SECONDS):
            self._poll_safely()

    def _poll_safely(self) -> None:
        try:
            self.poll()
        except QueueUnavailable as error:
            logs.get("ingress").debug("directory.unreachable", error=str(error))
        except Exception:  # noqa: BLE001  # the thread's edge: a directory that cannot be read must not end the polling
            logs.get("ingress").exception("directory.unreadable")

    def _listing(self, entry: dict[str, Any], now: datetime) -> Listing:
        found = directory.listing(entry, self._ring, now=now)
        # Host names have no case, and that is what tenants in headers are.
        return found if found.tenants is None else replace(found, tenants=frozenset(map(str.lower, found.tenants)))


def next_expiry(entries: Mapping[str, dict[str, Any]], now: datetime) -> datetime | None:
    """When the next secret of any source stops counting; `None` when none is to."""
    ends = (parse_instant(secret.get("expiresAt")) for entry in entries.values() for secret in entry["secrets"])
    return min((end for end in ends if end is not None and end > now), default=None)
