"""What is known of the subscriptions we send to: opened secrets, parsed settings, kept for as long as the row stands.

Comes in: ids and the row versions that a claim saw. Left behind: nothing but this process's memory.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from shared.clock import parse_instant
from shared.crypto import KeyRing
from shared.destinations.contract import Destination
from shared.destinations.registry import DESTINATIONS
from shared.errors import SecretUndecipherable

KEPT = 20_000  # subscriptions; past it the oldest are read again

_READ = text(
    "SELECT CAST(id AS text) AS id, CAST(xmin AS text) AS version, destination, url, settings, secrets, timeout_ms"
    " FROM subscriptions WHERE id = ANY(CAST(:ids AS uuid[]))"
)


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A subscription as sending sees it."""

    version: str
    destination: Destination | None  # None: a name that this release does not know
    url: str
    settings: Mapping[str, Any]
    timeout_seconds: float
    secrets: tuple[tuple[str, datetime | None], ...]  # newest first, each with its end
    memory: dict[str, Any] = field(default_factory=dict)  # what its conversations remember

    def live_secrets(self, now: datetime) -> tuple[str, ...]:
        """The secrets whose signatures are to be sent at `now`."""
        return tuple(secret for secret, end in self.secrets if end is None or end > now)


class Subscribers:
    """The subscribers of this process. A change of a row gives it another version, and it is read again."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring
        self._known: dict[str, Subscriber] = {}

    def refresh(self, connection: Connection, versions: Mapping[str, str]) -> None:
        """Read those of `versions` (id -> row version) that are not known as they now are."""
        missing = [
            key for key, version in versions.items() if (known := self.get(key)) is None or known.version != version
        ]
        if not missing:
            return
        for row in connection.execute(_READ, {"ids": missing}):
            self._known.pop(row.id, None)
            self._known[row.id] = self._open(row)
        while len(self._known) > KEPT:
            self._known.pop(next(iter(self._known)))

    def get(self, subscription_id: str) -> Subscriber | None:
        """What is known of one; None if it is gone."""
        return self._known.get(subscription_id)

    def _open(self, row: Any) -> Subscriber:
        secrets = []
        for entry in row.secrets:
            try:
                opened = self._ring.decrypt(entry["sealed"], place=f"subscription:{row.id}").decode()
            except SecretUndecipherable:
                continue  # with none left its deliveries fail with a code that says so
            secrets.append((opened, parse_instant(entry.get("expiresAt"))))
        return Subscriber(
            version=row.version,
            destination=DESTINATIONS.get(row.destination),
            url=row.url,
            settings=row.settings,
            timeout_seconds=row.timeout_ms / 1000,
            secrets=tuple(secrets),
        )
