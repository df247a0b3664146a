"""Work at providers as both halves know it: what kinds there are, how one asks for it, and how it stands.

Left behind: rows in `upstream_work`, in the caller's transaction. They are their own schedule, and beat looks at them
every few seconds; a process that dies after the commit has lost nothing but those seconds.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, select, text

from shared.clock import after
from shared.db.tables import sources
from shared.db.upstream_tables import upstream_work
from shared.errors import Conflict


class Kind(StrEnum):
    """What can be done at a provider for one integration."""

    REGISTRATION = "registration"  # its webhooks are as they should be
    TRIAL = "trial"  # a signed webhook goes the whole way to our public address
    SYNC = "sync"  # its data is read
    INQUIRY = "inquiry"  # what messages left open is asked for


class WorkState(StrEnum):
    """How a kind of work stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


# Which providers have a kind of work; a kind that is absent, all of them.
PROVIDERS_OF: Final[Mapping[Kind, tuple[str, ...]]] = {
    Kind.TRIAL: ("shopify",),
    Kind.SYNC: ("shopify", "manychat"),
    Kind.INQUIRY: ("shopify",),
}

# Columns that are the workers' own.
_OURS: Final = ("claim_id", "progress", "progressed_at", "not_before", "left_alone_until")
# Sooner wins: however often it is asked for, it is done once. What has begun goes on, for it may have read already what
# has changed since, and is done again afterwards: as late as the last ask wants, so that those after it count as one.
#
# | who asks  | what provider or failures put off          | failures in a row |
# |-----------|--------------------------------------------|-------------------|
# | a message | stays put off                              | are kept          |
# | a person  | is due, but not before the provider's word | are forgotten     |
_ASK: Final = text("""
INSERT INTO upstream_work (integration_id, kind, state, due_at)
SELECT id, :kind, 'waiting', :due_at FROM unnest(CAST(:ids AS uuid[])) AS asked (id)
ON CONFLICT (integration_id, kind) DO UPDATE SET
    asked_for = GREATEST(upstream_work.asked_for, excluded.due_at),
    not_before = CASE WHEN :by_person THEN upstream_work.left_alone_until ELSE upstream_work.not_before END,
    due_at = CASE WHEN upstream_work.state <> 'running' THEN GREATEST(
        LEAST(upstream_work.due_at, excluded.due_at),
        CASE WHEN :by_person THEN upstream_work.left_alone_until ELSE upstream_work.not_before END
    ) END,
    tries = CASE WHEN :by_person THEN 0 ELSE upstream_work.tries END,
    state = CASE WHEN upstream_work.state = 'done' OR :by_person AND upstream_work.state <> 'running'
        THEN 'waiting' ELSE upstream_work.state END
""")


def ask(
    connection: Connection,
    integration_ids: Sequence[UUID],
    kind: Kind,
    *,
    now: datetime,
    in_seconds: float = 0,
    by_person: bool = False,
) -> None:
    """Have `kind` done for the integrations, no later than `in_seconds` from now. Idempotent: asked twice, done once.

    What has begun meanwhile, running or between two slices, is done to its end, and then once more. What failed or
    whose provider wants to be left alone is due no sooner for that, unless a person asks, who may have mended it; and
    what the provider has said counts for them too.

    After the commit, `orders.send(settings, queues.UPSTREAM_WORK)` spares it the wait for beat.
    """
    values = {"ids": [str(one) for one in integration_ids], "kind": kind.value, "due_at": after(now, in_seconds)}
    connection.execute(_ASK, values | {"by_person": by_person})


def ask_for(connection: Connection, integration: Mapping[str, Any], kind: Kind, *, now: datetime) -> None:
    """Have `kind` done now, as a person asks for it: earlier failures do not count, a Retry-After does.

    Raises:
        Conflict: the integration is not active, or there is no such work for its provider.
    """
    if integration["state"] != "active":
        raise Conflict("integration_inactive", "The integration is not active.")
    query = select(sources.c.provider).where(sources.c.id == integration["source_id"])
    provider = connection.execute(query).scalar_one()
    if provider not in PROVIDERS_OF.get(kind, (provider,)):
        raise Conflict("work_unknown", f"There is no {kind} for {provider}.")
    ask(connection, [integration["id"]], kind, now=now, by_person=True)


def standing(connection: Connection, integration_id: UUID) -> list[dict[str, Any]]:
    """How each kind of work for the integration stands; a kind that nobody asked for yet is absent."""
    columns = [column for column in upstream_work.columns if column.name not in _OURS]
    query = select(*columns).where(upstream_work.c.integration_id == integration_id).order_by(upstream_work.c.kind)
    rows = [dict(row) for row in connection.execute(query).mappings()]
    for row in rows:
        asked_for = row.pop("asked_for")
        if row["state"] == WorkState.RUNNING:
            row["due_at"] = asked_for
    return rows
