"""Integrations: the shops and sellers of a source, each by the id its provider knows it by, with its credentials.

Left behind: rows in `integrations`, in the caller's transaction, credentials sealed. The ingress learns of them by
`directory.publish`, which the caller calls after its commit; a process that dies in between leaves that to
`maintenance.recover`, within a minute.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Connection, RowMapping, delete, select, update
from sqlalchemy.dialects.postgresql import insert

from shared.clock import parse_instant
from shared.credentials import fit
from shared.crypto import KeyRing
from shared.db.tables import integrations, sources
from shared.errors import Conflict, NotFound, SecretUndecipherable, Unacceptable
from shared.ids import new_id
from shared.providers.contract import Provider
from shared.providers.registry import PROVIDERS

STATES = ("active", "disabled")  # a disabled one's messages are refused as those of an unknown tenant
EXTERNAL_ID_MAX = 255
CHANGEABLE = frozenset({"state", "credentials", "detail"})


def place(integration_id: UUID | str) -> str:
    """What an integration's credentials are sealed to."""
    return f"integration:{integration_id}"


def create(
    connection: Connection,
    ring: KeyRing,
    *,
    account_id: UUID,
    source_id: UUID,
    external_id: str,
    credentials: Mapping[str, Any] | None = None,
    detail: Mapping[str, Any] | None = None,
    now: datetime,
) -> dict[str, Any]:
    """The new integration; `external_id` is e.g. `acme.myshopify.com`, and is kept as its provider writes it.

    For its credentials stand `has_credentials` and `credentials_end_at`: when they end unless a worker renews them
    before, or a person does; `None` where they do not.

    Raises:
        NotFound: the account has no such source.
        Unacceptable: the external id or the credentials are malformed.
        Conflict: the source has this shop already, or another where it can have one only.
    """
    owned = select(sources.c.provider).where(sources.c.id == source_id, sources.c.account_id == account_id)
    name = connection.execute(owned.with_for_update(key_share=True)).scalar()
    if name is None:
        raise NotFound("source")
    provider = PROVIDERS[name]
    external_id = _named(provider, external_id)
    # The source is locked, so that of two at once the second sees the first.
    others = select(integrations.c.external_id).where(integrations.c.source_id == source_id)
    if provider.is_of_one and (other := connection.execute(others).scalars().first()) not in (None, external_id):
        raise Conflict(
            "source_taken",
            f"A source of {provider.title} has one integration, whose secret is the source's newest, and this one has "
            f"{other!r}: add a source for {external_id!r}, or remove that one first.",
        )
    integration_id = new_id()
    row = (
        connection.execute(
            insert(integrations)
            .values(
                id=integration_id,
                account_id=account_id,
                source_id=source_id,
                external_id=external_id,
                state="active",
                credentials=_seal(ring, integration_id, fit(credentials or {})),
                detail=dict(detail or {}),
                created_at=now,
                updated_at=now,
            )
            .on_conflict_do_nothing(index_elements=["source_id", "external_id"])
            .returning(integrations)
        )
        .mappings()
        .one_or_none()
    )
    if row is None:
        raise Conflict("integration_exists", f"The source has an integration {external_id!r} already.")
    return _shown(row, ring)


def get(connection: Connection, ring: KeyRing, integration_id: UUID, *, account_id: UUID | None) -> dict[str, Any]:
    """The integration; `account_id` None: whosever it is.

    Raises:
        NotFound: there is none of this id in the account.
    """
    return _shown(_row(connection, integration_id, account_id=account_id), ring)


def list_integrations(
    connection: Connection,
    ring: KeyRing,
    *,
    account_id: UUID | None,
    source_id: UUID | None = None,
    before: UUID | None = None,
    limit: int = 50,
) -> list[dict[str, Any]]:
    """The newest integrations first, older than `before`; `account_id` None: of every account."""
    query = select(integrations).order_by(integrations.c.id.desc()).limit(limit)
    if account_id is not None:
        query = query.where(integrations.c.account_id == account_id)
    if source_id is not None:
        query = query.where(integrations.c.source_id == source_id)
    if before is not None:
        query = query.where(integrations.c.id < before)
    return [_shown(row, ring) for row in connection.execute(query).mappings()]


def change(
    connection: Connection,
    ring: KeyRing,
    integration_id: UUID,
    *,
    account_id: UUID,
    changes: Mapping[str, Any],
    now: datetime,
) -> dict[str, Any]:
    """The integration after `changes`, which may have any of `CHANGEABLE`; credentials None: forgotten.

    Raises:
        NotFound: there is none of this id in the account.
        Unacceptable: the state is unknown, the credentials are malformed, or there is nothing such to change.
    """
    _row(connection, integration_id, account_id=account_id, lock=True)
    if unknown := set(changes) - CHANGEABLE:
        raise Unacceptable("field_unknown", f"Not to be changed: {', '.join(sorted(unknown))}.")
    values = dict(changes)
    if values.get("state", "active") not in STATES:
        raise Unacceptable("state_unknown", f"States are: {', '.join(STATES)}.")
    if "credentials" in values:
        values["credentials"] = _seal(ring, integration_id, fit(values["credentials"] or {}))
    query = update(integrations).where(integrations.c.id == integration_id).values(**values, updated_at=now)
    return _shown(connection.execute(query.returning(integrations)).mappings().one(), ring)


def open_credentials(ring: KeyRing, integration_id: UUID, sealed: str | None) -> dict[str, Any]:
    """An integration's credentials; none, where there are none that can be opened."""
    try:
        opened = orjson.loads(ring.decrypt(sealed, place=place(integration_id))) if sealed else {}
    except SecretUndecipherable:
        opened = {}
    return dict(opened)


def renew_credentials(
    connection: Connection, ring: KeyRing, integration_id: UUID, credentials: Mapping[str, Any], *, as_read: str
) -> bool:
    """Whether these credentials took the place of those that were sealed as `as_read`.

    They do not where a person has set others or the shop was let go since. `updated_at` stays: nobody changed anything.
    """
    query = (
        update(integrations)
        .where(integrations.c.id == integration_id, integrations.c.credentials == as_read)
        .values(credentials=_seal(ring, integration_id, credentials))
    )
    return connection.execute(query).rowcount == 1


def remove(connection: Connection, integration_id: UUID, *, account_id: UUID) -> None:
    """Delete the integration and its credentials.

    Raises:
        NotFound: there is none of this id in the account.
    """
    _row(connection, integration_id, account_id=account_id, lock=True)
    connection.execute(delete(integrations).where(integrations.c.id == integration_id))


def _named(provider: Provider, given: str) -> str:
    tenant = provider.tenant_of(given)
    if tenant is None or len(tenant) > EXTERNAL_ID_MAX:
        raise Unacceptable(
            "external_id_malformed",
            f"That is no external id of {provider.title}, such as {provider.tenant_example}; it has at most "
            f"{EXTERNAL_ID_MAX} characters.",
        )
    return tenant


def _row(connection: Connection, integration_id: UUID, *, account_id: UUID | None, lock: bool = False) -> RowMapping:
    query = select(integrations).where(integrations.c.id == integration_id)
    if account_id is not None:
        query = query.where(integrations.c.account_id == account_id)
    row = connection.execute(query.with_for_update() if lock else query).mappings().one_or_none()
    if row is None:
        raise NotFound("integration")
    return row


def _seal(ring: KeyRing, integration_id: UUID, credentials: Mapping[str, Any] | None) -> str | None:
    return None if not credentials else ring.encrypt(orjson.dumps(dict(credentials)), place=place(integration_id))


def _shown(row: RowMapping, ring: KeyRing) -> dict[str, Any]:
    shown = dict(row)
    sealed = shown.pop("credentials")
    opened = open_credentials(ring, row["id"], sealed)
    lasting = "refresh_token" if "refresh_token" in opened else "access_token"
    return shown | {
        "has_credentials": sealed is not None,
        "credentials_end_at": parse_instant(opened.get(f"{lasting}_ends_at")),
    }
