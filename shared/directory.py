"""The directory of sources: what the ingress knows, without a database.

Comes in: the rows of `sources` and `integrations`. Left behind: one Valkey hash, path -> the source, its secrets
sealed, and a version that rises. A process that dies between the commit and the publish leaves the old directory,
and `maintenance.recover` publishes the new one within a minute.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson
import redis

from shared import queues, valkey
from shared.clock import parse_instant
from shared.crypto import KeyRing
from shared.errors import QueueUnavailable, SecretUndecipherable
from shared.providers.contract import Identity, Provider, Source

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class Listing:
    """A source as the ingress sees it."""

    source: Source
    account_id: str
    active: bool
    tenants: frozenset[str] | None  # None: any tenant
    allowed_topics: frozenset[str] | None  # None: all; judged by the drain
    rate_per_second: int  # 0: no limit

    def takes(self, identity: Identity, provider: Provider) -> bool:
        """Whether the source wants any of what a message is about; what the law asks for it cannot leave out."""
        wanted = self.allowed_topics
        return wanted is None or not wanted.isdisjoint(identity.told) or identity.topic in provider.obligatory


def place(source_id: UUID | str) -> str:
    """What a source's secrets are sealed to."""
    return f"source:{source_id}"


def live_secrets(secrets: list[dict[str, Any]], *, now: datetime) -> list[dict[str, Any]]:
    """The entries of a `secrets` column that have not expired, newest first."""
    return [entry for entry in secrets if (end := parse_instant(entry.get("expiresAt"))) is None or end > now]


def snapshot(connection: "Connection") -> dict[str, bytes]:
    """The directory as the tables have it: path -> entry, the same bytes for the same rows."""
    # Late, since the ingress reads the directory and is to load no database: a third of its start and memory.
    from sqlalchemy import select

    from shared.db.tables import integrations, sources

    tenants: dict[UUID, list[str]] = {}
    # From a shop that uninstalled the app, the privacy requests are still to come.
    heard = integrations.c.state.in_(("active", "uninstalled"))
    active = select(integrations).where(heard).order_by(integrations.c.id)
    for row in connection.execute(active):
        tenants.setdefault(row.source_id, []).append(row.external_id)
    return {row.path: _dump(row, tenants.get(row.id, [])) for row in connection.execute(select(sources))}


def is_published(wanted: Mapping[str, bytes], client: valkey.Client) -> bool:
    """Whether Valkey holds exactly `wanted` and a version.

    Raises:
        QueueUnavailable: Valkey cannot be reached.
    """
    try:
        held: Mapping[bytes, bytes] = client.hgetall(queues.DIRECTORY)  # type: ignore[assignment]
    except redis.RedisError as error:
        raise QueueUnavailable(str(error)) from error
    return version(client) > 0 and held == {path.encode(): entry for path, entry in wanted.items()}


def publish(connection: "Connection", client: valkey.Client) -> int:
    """Write the whole directory from the tables and raise its version; the new version.

    Call it after the commit that changed a source or an integration. Idempotent.

    Raises:
        QueueUnavailable: Valkey cannot be reached.
    """
    listings = snapshot(connection)
    try:
        with client.pipeline(transaction=True) as pipe:
            pipe.delete(queues.DIRECTORY)
            if listings:
                pipe.hset(queues.DIRECTORY, mapping=listings)  # type: ignore[arg-type]
            pipe.incr(queues.DIRECTORY_VERSION)
            return int(pipe.execute()[-1])
    except redis.RedisError as error:
        raise QueueUnavailable(str(error)) from error


def _dump(row: Any, tenants: list[str]) -> bytes:
    return orjson.dumps(
        {
            "id": str(row.id),
            "account_id": str(row.account_id),
            "provider": row.provider,
            "active": row.active,
            "tenants": None if row.any_tenant else tenants,
            "settings": row.settings,
            "secrets": row.secrets,
            "allowed_topics": row.allowed_topics,
            "rate_per_second": row.rate_per_second or 0,
        }
    )


def version(client: valkey.Client) -> int:
    """The directory's version; 0 when there is none.

    Raises:
        QueueUnavailable: Valkey cannot be reached.
    """
    try:
        return int(client.get(queues.DIRECTORY_VERSION) or 0)
    except redis.RedisError as error:
        raise QueueUnavailable(str(error)) from error


def load(client: valkey.Client, ring: KeyRing, *, now: datetime) -> dict[str, Listing]:
    """Every source by path, secrets opened. A source whose secrets cannot be opened has none, and refuses all.

    Raises:
        QueueUnavailable: Valkey cannot be reached.
    """
    return {path: listing(entry, ring, now=now) for path, entry in entries(client).items()}


def entries(client: valkey.Client) -> dict[str, dict[str, Any]]:
    """Every directory entry by path, secrets still sealed.

    Raises:
        QueueUnavailable: Valkey cannot be reached.
    """
    try:
        raw: Mapping[bytes, bytes] = client.hgetall(queues.DIRECTORY)  # type: ignore[assignment]
    except redis.RedisError as error:
        raise QueueUnavailable(str(error)) from error
    return {path.decode(): orjson.loads(text) for path, text in raw.items()}


def listing(entry: dict[str, Any], ring: KeyRing, *, now: datetime) -> Listing:
    """One source from its directory entry, with the secrets that count at `now`."""
    secrets = []
    for secret in live_secrets(entry["secrets"], now=now):
        try:
            secrets.append(ring.decrypt(secret["sealed"], place=place(entry["id"])))
        except SecretUndecipherable:
            continue
    return Listing(
        source=Source(entry["id"], entry["provider"], tuple(secrets), entry["settings"]),
        account_id=entry["account_id"],
        active=entry["active"],
        tenants=None if entry["tenants"] is None else frozenset(entry["tenants"]),
        allowed_topics=None if entry["allowed_topics"] is None else frozenset(entry["allowed_topics"]),
        rate_per_second=entry["rate_per_second"],
    )
