"""Claims on upstream work: which is whose for how long, and what became of it.

Comes in: rows of `upstream_work` that are due. Left behind: a lease, then a result that only counts with the claim's
id. A worker that dies in the middle leaves a lease that ends, and the next claim goes on from its last progress, unless
that is hours old by then. Whoever asked since it began is answered by nothing of that, and it is done once more.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import Connection, text

from shared.clock import after
from shared.errors import CrossdockError
from shared.ids import new_id
from shared.upstream_work import Kind

# How long a failure waits for the next try, by how many there were in a row; the last counts for all that follow.
#                 1 min  5 min  15 min  1 h    6 h
RETRY_SECONDS: Final = (60.0, 300.0, 900.0, 3600.0, 21600.0)

# Progress that is older is given up: what was read before it is too old to be put together with what comes.
PROGRESS_SECONDS: Final = 3 * 3600.0

# An ask that came before it begins is answered by it, and one that comes later is not: by the order in which the two
# get hold of the row, for no two machines' clocks agree.
_CLAIM: Final = text("""
WITH next AS MATERIALIZED (
    SELECT w.integration_id AS id, w.kind AS what, w.progress IS NULL OR w.progressed_at <= :stale AS begins
    FROM upstream_work w
    JOIN integrations i ON i.id = w.integration_id AND i.state = 'active'
    WHERE w.kind = ANY(CAST(:kinds AS text[]))
      AND ((w.due_at <= :now AND (w.state <> 'running' OR w.lease_until <= :now))
           OR (w.state = 'running' AND w.lease_until <= :now))
    ORDER BY w.due_at NULLS LAST, w.lease_until
    LIMIT 1 FOR UPDATE OF w SKIP LOCKED
)
UPDATE upstream_work SET state = 'running', claim_id = :claim_id, due_at = NULL, lease_until = :lease_until,
    started_at = CASE WHEN next.begins THEN :now ELSE started_at END,
    asked_for = CASE WHEN NOT next.begins THEN asked_for END,
    progress = CASE WHEN NOT next.begins THEN progress END
FROM next WHERE integration_id = next.id AND kind = next.what
RETURNING integration_id, kind, tries, progress, result
""")
# What has ended is due again for whoever asked since it began; after a failure, no sooner than another try would be.
_SETTLE: Final = text("""
UPDATE upstream_work SET state = :state, claim_id = NULL, lease_until = NULL,
    due_at = CASE WHEN :ends AND asked_for IS NOT NULL
        THEN LEAST(:due_at, GREATEST(:now, asked_for, :not_before)) ELSE :due_at END,
    asked_for = CASE WHEN NOT :ends THEN asked_for END,
    not_before = :not_before, left_alone_until = :left_alone_until,
    tries = CASE :state WHEN 'failed' THEN tries + 1 WHEN 'done' THEN 0 ELSE tries END,
    progressed_at = CASE WHEN :keep OR progress = CAST(:progress AS jsonb) THEN progressed_at ELSE :now END,
    progress = CASE WHEN :keep THEN progress ELSE CAST(:progress AS jsonb) END,
    error_code = :error_code, error = :error,
    result = coalesce(CAST(:result AS jsonb), result),
    finished_at = CASE WHEN :finished THEN :now ELSE finished_at END
WHERE integration_id = :integration_id AND kind = :kind AND claim_id = :claim_id
RETURNING due_at
""")
_PROGRESS: Final = text("""
UPDATE upstream_work SET progress = CAST(:progress AS jsonb), progressed_at = :now, lease_until = :lease_until
WHERE integration_id = :integration_id AND kind = :kind AND claim_id = :claim_id
""")
_HOLD: Final = text("SELECT 1 FROM upstream_work WHERE claim_id = :claim_id FOR UPDATE")
# Due again, so that it begins anew should the integration be active once more. What is locked is somebody's just now.
_ABANDON: Final = text("""
WITH begun AS (
    SELECT w.integration_id, w.kind
    FROM upstream_work w
    JOIN integrations i ON i.id = w.integration_id AND i.state <> 'active'
    WHERE w.state = 'running' OR w.progress IS NOT NULL
       OR (w.kind = 'sync' AND EXISTS (SELECT 1 FROM sync_pages p WHERE p.integration_id = w.integration_id))
    FOR UPDATE OF w SKIP LOCKED
), pages AS (
    DELETE FROM sync_pages p USING begun WHERE p.integration_id = begun.integration_id AND begun.kind = 'sync'
)
UPDATE upstream_work w
SET state = 'waiting', due_at = LEAST(w.due_at, :now), claim_id = NULL, lease_until = NULL, tries = 0,
    progress = NULL, progressed_at = NULL, asked_for = NULL, not_before = NULL, left_alone_until = NULL
FROM begun WHERE w.integration_id = begun.integration_id AND w.kind = begun.kind
""")
# Who connects a shop anew locks it before its work, so its lock is not waited for here.
_IS_ACTIVE: Final = text(
    "SELECT 1 FROM integrations WHERE id = :integration_id AND state = 'active' FOR SHARE SKIP LOCKED"
)


class ClaimLost(CrossdockError):
    """Raised when another worker has taken the work over: what this one does does not count any more."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Work that is ours until its lease ends."""

    id: UUID
    integration_id: UUID
    kind: Kind
    tries: int
    progress: Mapping[str, Any] | None
    last_result: Mapping[str, Any]


def take(connection: Connection, *, kinds: Collection[Kind], now: datetime, lease_seconds: float) -> Claim | None:
    """The work that has been due for longest, now leased; `None` when there is none."""
    claim_id = new_id()
    values = {
        "claim_id": str(claim_id),
        "kinds": [kind.value for kind in kinds],
        "now": now,
        "stale": after(now, -PROGRESS_SECONDS),
        "lease_until": after(now, lease_seconds),
    }
    row = connection.execute(_CLAIM, values).mappings().one_or_none()
    if row is None:
        return None
    return Claim(claim_id, row["integration_id"], Kind(row["kind"]), row["tries"], row["progress"], row["result"])


def hold(connection: Connection, claim: Claim) -> bool:
    """Whether the work is still this claim's; it stays so until the transaction ends."""
    return connection.execute(_HOLD, {"claim_id": str(claim.id)}).one_or_none() is not None


def keep(connection: Connection, claim: Claim) -> None:
    """Hold the work until the transaction ends.

    Raises:
        ClaimLost: it is another's by now.
    """
    if not hold(connection, claim):
        raise ClaimLost("another worker has taken the work over")


def advance(
    connection: Connection, claim: Claim, progress: Mapping[str, Any], *, now: datetime, lease_seconds: float
) -> None:
    """Remember how far it got, and lease it anew; nothing when the claim is lost."""
    values = {"progress": orjson.dumps(progress).decode(), "now": now, "lease_until": after(now, lease_seconds)}
    connection.execute(_PROGRESS, values | _key(claim))


def finish(
    connection: Connection, claim: Claim, result: Mapping[str, Any], *, now: datetime, again_at: datetime | None
) -> bool:
    """It is done, and due again at `again_at` (`None`: when it is asked for), or for whoever has asked since it began.

    Whether the claim still counted.
    """
    values = _settled("done", now, again_at) | {"result": orjson.dumps(result).decode(), "finished": True, "ends": True}
    return connection.execute(_SETTLE, values | _key(claim)).one_or_none() is not None


def postpone(
    connection: Connection, claim: Claim, progress: Mapping[str, Any] | None, *, now: datetime, due_at: datetime
) -> None:
    """It goes on at `due_at` from `progress`, as its provider wants; nothing went wrong."""
    values = _settled("waiting", now, due_at) | {"not_before": due_at, "left_alone_until": due_at}
    values["progress"] = None if progress is None else orjson.dumps(progress).decode()
    connection.execute(_SETTLE, values | _key(claim))


def fail(
    connection: Connection,
    claim: Claim,
    *,
    code: str,
    message: str,
    now: datetime,
    is_final: bool,
    wait_seconds: float = 0.0,
    left_alone_seconds: float = 0.0,
    final_again_at: datetime | None = None,
) -> datetime | None:
    """It failed, and is tried again at what is returned.

    When that would change nothing (`is_final`) it begins anew at `final_again_at`, or, if that is `None`, when it is
    asked for.

    No message has it tried again sooner than after `wait_seconds` or the pause between tries, and nobody sooner than
    after `left_alone_seconds`, which are the provider's word.
    """
    wait = max(wait_seconds, RETRY_SECONDS[min(claim.tries, len(RETRY_SECONDS) - 1)])
    values = _settled("failed", now, final_again_at if is_final else after(now, wait))
    values |= {"not_before": after(now, wait), "left_alone_until": after(now, left_alone_seconds)}
    values |= {"error_code": code, "error": message, "keep": not is_final, "ends": is_final}
    settled: datetime | None = connection.execute(_SETTLE, values | _key(claim)).scalar()
    return settled


def is_for_an_active(connection: Connection, claim: Claim) -> bool:
    """Whether the claim's integration is active, which it stays until the transaction ends.

    False too while somebody else is changing it: then the claim's lease ends, and another finds out.
    """
    return connection.execute(_IS_ACTIVE, {"integration_id": str(claim.integration_id)}).one_or_none() is not None


def abandon(connection: Connection, *, now: datetime) -> None:
    """Give up whatever was begun for integrations that are not active any more, with all that it has read so far.

    Whoever is still at it loses its claim. Idempotent.
    """
    connection.execute(_ABANDON, {"now": now})


def _settled(state: str, now: datetime, due_at: datetime | None) -> dict[str, Any]:
    flags = dict.fromkeys(("finished", "keep", "ends"), False)
    empty = dict.fromkeys(("progress", "error_code", "error", "result", "not_before", "left_alone_until"))
    return {"state": state, "now": now, "due_at": due_at, **flags, **empty}


def _key(claim: Claim) -> dict[str, Any]:
    return {"integration_id": str(claim.integration_id), "kind": claim.kind.value, "claim_id": str(claim.id)}
