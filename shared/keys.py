"""API keys: `cdk_<prefix>_<secret>`, of which only the prefix and a SHA-256 are kept.

Comes in: the text of an Authorization header. Comes out: who it is. Left behind: rows in `api_keys`, and at most once
a minute when a key was last used. A key has 256 random bits, so a fast hash is enough. A process that dies after
`create` commits and before the key was shown leaves a key that nobody knows; revoke it.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, insert, or_, select, update

from shared.db.tables import api_keys
from shared.errors import NotFound, Unacceptable
from shared.ids import new_id
from shared.states import ROLE_RANK, Role

_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
_KEY = re.compile(r"cdk_([a-z0-9]{8})_([A-Za-z0-9_-]{43})")
_SEEN_EVERY = timedelta(minutes=1)
_NO_HASH = bytes(32)
NAME_MAX = 200

# What may be shown; the hash is not among it.
_SHOWN = [column for column in api_keys.c if column.name != "key_hash"]


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls: a key that counts."""

    key_id: UUID
    prefix: str
    account_id: UUID | None  # None: every account
    role: Role

    @property
    def actor(self) -> str:
        """As the audit log names it."""
        return f"key:{self.prefix}"

    def may(self, role: Role) -> bool:
        """Whether this key may do what `role` may."""
        return ROLE_RANK[self.role] >= ROLE_RANK[role]

    def may_act_for(self, account_id: UUID) -> bool:
        """Whether this key may touch the account."""
        return self.account_id is None or self.account_id == account_id


def create(
    connection: Connection, *, account_id: UUID | None, name: str, role: Role, now: datetime
) -> tuple[dict[str, Any], str]:
    """The new key's row and the whole key, which cannot be had again. `account_id` None: it reaches every account.

    Raises:
        Unacceptable: the name is empty or too long, or a superuser is to belong to an account.
    """
    if not name.strip() or len(name) > NAME_MAX:
        raise Unacceptable("name_malformed", f"A name has 1 to {NAME_MAX} characters.")
    if role is Role.SUPERUSER and account_id is not None:
        raise Unacceptable("superuser_has_no_account", "A superuser key reaches every account and belongs to none.")
    prefix = "".join(secrets.choice(_ALPHABET) for _ in range(8))
    key = f"cdk_{prefix}_{secrets.token_urlsafe(32)}"
    row = (
        connection.execute(
            insert(api_keys)
            .values(
                id=new_id(),
                account_id=account_id,
                name=name.strip(),
                prefix=prefix,
                key_hash=_hash(key),
                role=role.value,
                created_at=now,
            )
            .returning(*_SHOWN)
        )
        .mappings()
        .one()
    )
    return dict(row), key


def authenticate(connection: Connection, key_text: str, *, now: datetime) -> Principal | None:
    """Who the key is; None when it is malformed, unknown or revoked. The comparison takes constant time."""
    match = _KEY.fullmatch(key_text)
    row = (
        connection.execute(select(api_keys).where(api_keys.c.prefix == match[1])).one_or_none()
        if match is not None
        else None
    )
    same = hmac.compare_digest(_hash(key_text), bytes(row.key_hash) if row is not None else _NO_HASH)
    if row is None or not same or row.revoked_at is not None:
        return None
    if row.last_used_at is None or row.last_used_at < now - _SEEN_EVERY:
        connection.execute(
            update(api_keys)
            .where(
                api_keys.c.id == row.id,
                or_(api_keys.c.last_used_at.is_(None), api_keys.c.last_used_at < now - _SEEN_EVERY),
            )
            .values(last_used_at=now)
        )
    return Principal(key_id=row.id, prefix=row.prefix, account_id=row.account_id, role=Role(row.role))


def list_keys(
    connection: Connection, *, account_id: UUID | None, before: UUID | None = None, limit: int = 50
) -> list[dict[str, Any]]:
    """The newest keys first, revoked ones too, older than `before`; `account_id` None: of every account and above."""
    query = select(*_SHOWN).order_by(api_keys.c.id.desc()).limit(limit)
    if account_id is not None:
        query = query.where(api_keys.c.account_id == account_id)
    if before is not None:
        query = query.where(api_keys.c.id < before)
    return [dict(row) for row in connection.execute(query).mappings()]


def revoke(connection: Connection, key_id: UUID, *, account_id: UUID | None, now: datetime) -> dict[str, Any]:
    """The key, which counts no more from the next request on; `account_id` None: whosever it is. Idempotent.

    Raises:
        NotFound: there is none of this id in the account.
    """
    query = update(api_keys).where(api_keys.c.id == key_id)
    if account_id is not None:
        query = query.where(api_keys.c.account_id == account_id)
    row = (
        connection.execute(query.values(revoked_at=func.coalesce(api_keys.c.revoked_at, now)).returning(*_SHOWN))
        .mappings()
        .one_or_none()
    )
    if row is None:
        raise NotFound("key")
    return dict(row)


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
