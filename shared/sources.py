"""Sources: a URL path and the secrets that a provider signs with.

Left behind: rows in `sources`, in the caller's transaction, secrets sealed. The ingress learns of them by
`directory.publish`, which the caller calls after its commit; a process that dies in between leaves that to
`maintenance.recover`, within a minute.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, delete, select, update
from sqlalchemy.dialects.postgresql import insert

from shared import sealed
from shared.crypto import KeyRing
from shared.db.tables import sources
from shared.directory import place
from shared.errors import Conflict, NotFound, Unacceptable
from shared.ids import new_id
from shared.providers.registry import PROVIDERS
from shared.signing import new_secret

_PATH = re.compile(r"[a-z0-9][a-z0-9._-]*(?:/[a-z0-9][a-z0-9._-]*){0,5}")
PATH_MAX = 200
NAME_MAX = 200
RATE_MAX = 1_000_000
SECRET_MAX = 10_000  # an app secret is short, but a PEM is not
RESERVED = ("events", "register")  # /api/webhooks/register/{id} and /api/webhooks/events/stream are the console's
CHANGEABLE = frozenset({"name", "active", "any_tenant", "settings", "allowed_topics", "rate_per_second"})


def create(
    connection: Connection,
    ring: KeyRing,
    *,
    account_id: UUID,
    provider: str,
    path: str = "",
    name: str = "",
    secrets: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
    any_tenant: bool = False,
    allowed_topics: Sequence[str] | None = None,
    rate_per_second: int | None = None,
    now: datetime,
) -> tuple[dict[str, Any], str | None]:
    """The new source, and the secret that was made for it; None when `secrets` (newest first) were given.

    `path` empty: the provider's name. The secret cannot be had again.

    Raises:
        Unacceptable: the provider is unknown, or the path, a secret or a setting is malformed.
        Conflict: the path is taken.
    """
    if provider not in PROVIDERS:
        raise Unacceptable("provider_unknown", f"Providers are: {', '.join(sorted(PROVIDERS))}.")
    made = None if secrets else new_secret()
    path = (path or provider).strip("/")
    given = dict(settings or {})
    values = {
        "name": name or path,
        "settings": given,
        "any_tenant": any_tenant,
        "allowed_topics": None if allowed_topics is None else list(allowed_topics),
        "rate_per_second": rate_per_second,
    }
    _check_path(path)
    _check(provider, values)
    values["settings"] = _kept(provider, given)
    source_id = new_id()
    row = (
        connection.execute(
            insert(sources)
            .values(
                id=source_id,
                account_id=account_id,
                provider=provider,
                path=path,
                active=True,
                secrets=[
                    sealed.entry(ring, _check_secret(secret), place=place(source_id), now=now)
                    for secret in (secrets or [made or ""])
                ],
                created_at=now,
                updated_at=now,
                **values,
            )
            .on_conflict_do_nothing(index_elements=["path"])
            .returning(sources)
        )
        .mappings()
        .one_or_none()
    )
    if row is None:
        raise Conflict("path_taken", f"There is a source at {path!r} already.")
    return _shown(row), made


def get(connection: Connection, source_id: UUID, *, account_id: UUID | None, lock: bool = False) -> dict[str, Any]:
    """The source; `account_id` None: whosever it is.

    `lock`: nobody else changes it until the transaction ends, as whoever writes back a part of it has to ask.

    Raises:
        NotFound: there is none of this id in the account.
    """
    return _shown(_row(connection, source_id, account_id=account_id, lock=lock))


def list_sources(
    connection: Connection, *, account_id: UUID | None, before: UUID | None = None, limit: int = 50
) -> list[dict[str, Any]]:
    """The newest sources first, older than `before`; `account_id` None: of every account."""
    query = select(sources).order_by(sources.c.id.desc()).limit(limit)
    if account_id is not None:
        query = query.where(sources.c.account_id == account_id)
    if before is not None:
        query = query.where(sources.c.id < before)
    return [_shown(row) for row in connection.execute(query).mappings()]


def change(
    connection: Connection, source_id: UUID, *, account_id: UUID, changes: Mapping[str, Any], now: datetime
) -> dict[str, Any]:
    """The source after `changes`, which may have any of `CHANGEABLE`. Idempotent.

    Raises:
        NotFound: there is none of this id in the account.
        Unacceptable: a value is malformed, or there is nothing such to change.
    """
    row = _row(connection, source_id, account_id=account_id, lock=True)
    if unknown := set(changes) - CHANGEABLE:
        raise Unacceptable("field_unknown", f"Not to be changed: {', '.join(sorted(unknown))}.")
    _check(row["provider"], changes)
    if "settings" in changes:
        changes = {**changes, "settings": _kept(row["provider"], changes["settings"])}
    if all(row[name] == value for name, value in changes.items()):
        return _shown(row)
    return _write(connection, source_id, {**changes, "updated_at": now})


def rotate(
    connection: Connection,
    ring: KeyRing,
    source_id: UUID,
    *,
    account_id: UUID,
    secret: str | None = None,
    overlap_seconds: float = 86_400,
    now: datetime,
) -> tuple[dict[str, Any], str | None]:
    """The source with a new secret, and that secret if it was made here; the older ones count until the overlap ends.

    Raises:
        NotFound: there is none of this id in the account.
        Unacceptable: the secret is malformed or the overlap too long.
    """
    row = _row(connection, source_id, account_id=account_id, lock=True)
    sealed.check_overlap(overlap_seconds)
    made = None if secret else new_secret()
    newest = sealed.entry(ring, _check_secret(secret or made or ""), place=place(source_id), now=now)
    entries = sealed.rotated(row["secrets"], newest, overlap_seconds=overlap_seconds, now=now)
    return _write(connection, source_id, {"secrets": entries, "updated_at": now}), made


def remove(connection: Connection, source_id: UUID, *, account_id: UUID) -> None:
    """Delete the source and its integrations; its messages stay until their time is up.

    Raises:
        NotFound: there is none of this id in the account.
    """
    _row(connection, source_id, account_id=account_id, lock=True)
    connection.execute(delete(sources).where(sources.c.id == source_id))


def _row(connection: Connection, source_id: UUID, *, account_id: UUID | None, lock: bool = False) -> RowMapping:
    query = select(sources).where(sources.c.id == source_id)
    if account_id is not None:
        query = query.where(sources.c.account_id == account_id)
    row = connection.execute(query.with_for_update() if lock else query).mappings().one_or_none()
    if row is None:
        raise NotFound("source")
    return row


def _write(connection: Connection, source_id: UUID, values: Mapping[str, Any]) -> dict[str, Any]:
    query = update(sources).where(sources.c.id == source_id).values(**values).returning(sources)
    return _shown(connection.execute(query).mappings().one())


def _shown(row: RowMapping) -> dict[str, Any]:
    return {**row, "secrets": sealed.shown(row["secrets"])}


def _kept(provider: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    return dict(PROVIDERS[provider].kept_settings(settings))


def _check(provider: str, values: Mapping[str, Any]) -> None:
    if "name" in values and not 0 < len(str(values["name"]).strip()) <= NAME_MAX:
        raise Unacceptable("name_malformed", f"A name has 1 to {NAME_MAX} characters.")
    rate = values.get("rate_per_second")
    if rate is not None and not 1 <= rate <= RATE_MAX:
        raise Unacceptable("rate_malformed", f"A rate is 1 to {RATE_MAX} a second, or null for no limit.")
    if "settings" in values and (problems := PROVIDERS[provider].check_settings(values["settings"])):
        raise Unacceptable("settings_malformed", " ".join(problems))


def _check_path(path: str) -> None:
    if len(path) > PATH_MAX or not _PATH.fullmatch(path):
        raise Unacceptable("path_malformed", "A path is up to six parts of a-z, 0-9, dot, hyphen and underscore.")
    if path.split("/", maxsplit=1)[0] in RESERVED:
        raise Unacceptable("path_reserved", f"A path does not begin with {' or '.join(RESERVED)}.")


def _check_secret(secret: str) -> str:
    if not 0 < len(secret) <= SECRET_MAX:
        raise Unacceptable("secret_malformed", f"A secret has 1 to {SECRET_MAX} characters.")
    return secret
