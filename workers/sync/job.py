"""One piece of upstream work: whose it is and what it may use; and what can come of it.

Nothing is left behind.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from shared.connections import open_secrets
from shared.crypto import KeyRing
from shared.db.tables import integrations, sources
from shared.integrations import open_credentials
from shared.providers.registry import PROVIDERS
from shared.settings import Settings
from workers.context import Context
from workers.sync.claims import Claim
from workers.sync.upstream import Upstream, UpstreamFailed


@dataclass(frozen=True, slots=True)
class Job:
    """An integration's work, with its credentials opened."""

    context: Context
    upstream: Upstream
    claim: Claim
    integration: Mapping[str, Any]  # its row
    source: Mapping[str, Any]  # its row
    credentials: Mapping[str, Any]
    secrets: tuple[bytes, ...]  # the source's, newest first
    now: datetime
    is_over: Callable[[], bool]  # whether this order's time is up

    @property
    def settings(self) -> Settings:
        """The process's settings."""
        return self.context.settings

    @property
    def tenant(self) -> str:
        """The shop or seller as its provider names it."""
        return str(self.integration["external_id"])

    @property
    def safe_tenant(self) -> str:
        """The tenant, as it may stand in a URL or a path.

        Raises:
            UpstreamFailed: `tenant_malformed`: it is none of its provider's, and would lead elsewhere.
        """
        provider = PROVIDERS[self.source["provider"]]
        if provider.tenant_of(self.tenant) != self.tenant:
            words = f"The integration is none such as {provider.tenant_example}."
            raise UpstreamFailed("tenant_malformed", words, is_final=True)
        return self.tenant

    @property
    def address(self) -> str:
        """Where its provider is to post.

        Raises:
            UpstreamFailed: `public_url_missing`: nobody said how providers see the ingress.
        """
        if not self.settings.public_url:
            raise UpstreamFailed(
                "public_url_missing", "Set CROSSDOCK_PUBLIC_URL to the ingress as providers see it.", is_final=True
            )
        return f"{self.settings.public_url.rstrip('/')}/api/webhooks/{self.source['path']}"

    def credential(self, name: str) -> str:
        """One of its credentials.

        Raises:
            UpstreamFailed: `credentials_missing`.
        """
        value = self.credentials.get(name)
        if not isinstance(value, str) or not value:
            raise UpstreamFailed("credentials_missing", f"The integration has no {name}.", is_final=True)
        return value


@dataclass(frozen=True, slots=True)
class Done:
    """It is done, with a result to show; due again at `again_at`, or when it is asked for."""

    result: Mapping[str, Any]
    again_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class GoOn:
    """There is more to do, from `progress` on, at `due_at`."""

    progress: Mapping[str, Any]
    due_at: datetime


def load(
    connection: Connection,
    ring: KeyRing,
    claim: Claim,
    *,
    context: Context,
    upstream: Upstream,
    now: datetime,
    is_over: Callable[[], bool],
) -> Job | None:
    """The job of a claim; `None` when its integration is gone."""
    row = connection.execute(select(integrations).where(integrations.c.id == claim.integration_id)).mappings().first()
    if row is None:
        return None
    source = dict(connection.execute(select(sources).where(sources.c.id == row["source_id"])).mappings().one())
    return Job(
        context=context,
        upstream=upstream,
        claim=claim,
        integration=dict(row),
        source=source,
        credentials=open_credentials(ring, row["id"], row["credentials"]),
        secrets=open_secrets(ring, source, now=now),
        now=now,
        is_over=is_over,
    )
