"""A row's list of secrets: `[{"id", "sealed", "createdAt", "expiresAt"}]`, newest first, so that one can be rotated.

Pure but for the random nonce; nothing is left behind, and a dying process loses nothing.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from shared.clock import parse_instant, to_json
from shared.crypto import KeyRing
from shared.directory import live_secrets
from shared.errors import Unacceptable
from shared.ids import new_id

SECRETS_MAX = 5  # each one that lives costs a signature on every request
OVERLAP_MAX_SECONDS = 30 * 86_400

Entry = dict[str, Any]


def entry(ring: KeyRing, secret: str, *, place: str, now: datetime) -> Entry:
    """A list entry for `secret`, sealed to `place` (`source:<id>` or `subscription:<id>`), that does not expire."""
    return {
        "id": str(new_id()),
        "sealed": ring.encrypt(secret.encode(), place=place),
        "createdAt": to_json(now),
        "expiresAt": None,
    }


def rotated(entries: Sequence[Entry], newest: Entry, *, overlap_seconds: float, now: datetime) -> list[Entry]:
    """The list with `newest` first; those before it end after the overlap, or sooner if they were to.

    What has expired is dropped, and so are the oldest past `SECRETS_MAX`.
    """
    end = now + timedelta(seconds=overlap_seconds)
    kept = []
    for old in live_secrets(list(entries), now=now):
        ends = parse_instant(old.get("expiresAt"))
        if (ends or end) > now and overlap_seconds > 0:
            kept.append({**old, "expiresAt": to_json(min(ends or end, end))})
    return [newest, *kept][:SECRETS_MAX]


def shown(entries: Sequence[Entry]) -> list[Entry]:
    """The list as it may be shown: when each was made and ends, never what it is."""
    return [{key: item.get(key) for key in ("id", "createdAt", "expiresAt")} for item in entries]


def check_overlap(overlap_seconds: float) -> None:
    """Refuse an overlap that is none.

    Raises:
        Unacceptable: it is negative or past `OVERLAP_MAX_SECONDS`.
    """
    if not 0 <= overlap_seconds <= OVERLAP_MAX_SECONDS:
        raise Unacceptable("overlap_malformed", f"An overlap is 0 to {OVERLAP_MAX_SECONDS} seconds.")
