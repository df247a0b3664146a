"""Connecting a shop whose owner has just agreed: which source it may join, and the integration it becomes.

Left behind: a row in `integrations` with the sealed token, its audit row and the work to do at once, in the caller's
transaction. The caller publishes the directory after its commit; a process that dies in between leaves that to
`maintenance.recover`, and the work to beat.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, delete, select, text, update

from shared import audit, integrations, upstream_work
from shared.crypto import KeyRing
from shared.db.tables import integrations as integrations_table
from shared.db.tables import sources
from shared.db.upstream_tables import registrations
from shared.directory import live_secrets, place
from shared.errors import Conflict, NotFound, SecretUndecipherable
from shared.upstream_work import Kind

_CANDIDATES: Final = text("""
SELECT s.id, s.account_id, i.state
FROM sources s
LEFT JOIN integrations i ON i.source_id = s.id AND i.external_id = :tenant
WHERE s.provider = :provider AND s.active AND (:path = '' OR s.path = :path) AND (i.id IS NOT NULL OR s.any_tenant)
ORDER BY s.id
""")


@dataclass(frozen=True, slots=True)
class Joinable:
    """The source that a shop connects to, with the secrets of the app it belongs to, newest first."""

    id: UUID
    account_id: UUID
    secrets: tuple[bytes, ...]


def find_source(connection: Connection, *, provider: str, tenant: str, path: str = "") -> UUID:
    """The source that `tenant` may join: of one account's the one that has it already, or the only one that takes any.

    Any account may claim a shop, so no claim is better than another account's: then a person says which by its `path`.

    Raises:
        NotFound: there is none, so nobody has let this shop in.
        Conflict: `integration_disabled` by a person, or `source_ambiguous`: say which by its `path`.
    """
    found = connection.execute(_CANDIDATES, {"provider": provider, "tenant": tenant, "path": path}).all()
    if not found:
        raise NotFound("shop")
    is_one_accounts = len({row.account_id for row in found}) == 1
    found = [row for row in found if row.state is not None] or found
    if len(found) > 1 or not is_one_accounts:
        raise Conflict("source_ambiguous", "Several sources would take this shop.")
    if found[0].state == "disabled":
        raise Conflict("integration_disabled", "The shop was switched off here.")
    source_id: UUID = found[0].id
    return source_id


def joinable(connection: Connection, ring: KeyRing, source_id: UUID, *, now: datetime) -> Joinable:
    """The source with its secrets that count now.

    Raises:
        NotFound: it is gone, switched off, or has no secret that can be opened.
    """
    query = select(sources).where(sources.c.id == source_id, sources.c.active)
    row = connection.execute(query).mappings().one_or_none()
    secrets = () if row is None else open_secrets(ring, dict(row), now=now)
    if row is None or not secrets:
        raise NotFound("source")
    return Joinable(source_id, row["account_id"], secrets)


def open_secrets(ring: KeyRing, source: Mapping[str, Any], *, now: datetime) -> tuple[bytes, ...]:
    """The secrets of a source's row that count now, newest first; one that cannot be opened is left out."""
    secrets = []
    for entry in live_secrets(source["secrets"], now=now):
        try:
            secrets.append(ring.decrypt(entry["sealed"], place=place(source["id"])))
        except SecretUndecipherable:
            continue
    return tuple(secrets)


def connect(
    connection: Connection,
    ring: KeyRing,
    source: Joinable,
    *,
    tenant: str,
    credentials: Mapping[str, Any],
    detail: Mapping[str, Any],
    work: Sequence[Kind],
    actor: str,
    now: datetime,
) -> dict[str, Any]:
    """The integration, active, with these credentials, and `work` due now. Idempotent: a shop connects again as itself.

    Raises:
        Conflict: `integration_disabled`: a person has switched it off, and a shop's owner does not undo that.
    """
    known = connection.execute(
        select(integrations_table.c.id, integrations_table.c.state, integrations_table.c.detail)
        .where(integrations_table.c.source_id == source.id, integrations_table.c.external_id == tenant)
        .with_for_update()
    ).one_or_none()
    if known is not None and known.state == "disabled":
        raise Conflict("integration_disabled", "The shop was switched off here.")
    if known is None:
        known_id = integrations.create(
            connection, ring, account_id=source.account_id, source_id=source.id, external_id=tenant, now=now
        )["id"]
    else:
        known_id = known.id
    merged = {**(known.detail if known is not None else {}), **detail}
    row = integrations.change(
        connection,
        ring,
        known_id,
        account_id=source.account_id,
        changes={"state": "active", "credentials": dict(credentials), "detail": merged},
        now=now,
    )
    connection.execute(update(integrations_table).where(integrations_table.c.id == known_id).values(installed_at=now))
    if known is not None and known.state != "active":
        # The provider forgets its registrations with the app: they are new, and nothing was dropped.
        connection.execute(delete(registrations).where(registrations.c.integration_id == known_id))
    for kind in work:
        upstream_work.ask(connection, [known_id], kind, now=now, by_person=True)
    audit.record(
        connection,
        account_id=source.account_id,
        actor=actor,
        action="integration.connected",
        subject_kind="integration",
        subject_id=known_id,
        detail={"externalId": tenant, **detail},
        now=now,
    )
    return row
