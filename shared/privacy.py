"""Privacy requests: a person who wants to see their data (an export) or to be forgotten (an erasure).

Comes in: who asks for whom, inside the caller's transaction. Left behind: rows of `exports` and `erasures`, which the
task `privacy.run` carries out. A process that dies before the commit leaves nothing; after it, beat asks for every row
that is still open, however often a worker dies.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

from sqlalchemy import Connection, select, text
from sqlalchemy.dialects.postgresql import insert

from shared.db.tables import erasures, exports
from shared.errors import NotFound, Unacceptable
from shared.ids import new_id

WHOLE_SHOP: Final = "*"  # the subject of an erasure that spares nobody of the tenant
# Source: shopify.dev, privacy law compliance, read 2026-11: "complete the action within 30 days".
DUE_DAYS: Final = 30
ID_CHARACTERS: Final = 255

# A shop is connected while its token is ours: an integration that was switched off, whoever did it, holds up nothing.
_RELEASE: Final = text("""
UPDATE erasures e SET state = 'requested'
WHERE e.state = 'held' AND NOT EXISTS (
    SELECT FROM integrations i JOIN sources s ON s.id = i.source_id AND s.provider = e.provider
    WHERE i.account_id = e.account_id AND lower(i.external_id) = lower(e.tenant)
      AND i.state = 'active' AND i.credentials IS NOT NULL
)
""")
_REFUSE: Final = text("""
UPDATE erasures SET state = 'refused', finished_at = :now
WHERE state = 'held' AND account_id = :account_id AND provider = :provider AND lower(tenant) = lower(:tenant)
RETURNING id
""")

Noun = Literal["export", "erasure"]
_TABLES: Final = {"export": exports, "erasure": erasures}


def ask_export(
    connection: Connection,
    *,
    account_id: UUID,
    provider: str,
    tenant: str,
    subject: str,
    orders: Sequence[str] = (),
    request_id: str | None = None,
    message_id: UUID | None = None,
    at: datetime,
) -> UUID:
    """The id of a new request for the data of the customer `subject`, or of the one this message made before.

    Raises:
        Unacceptable: there can be no such customer.
    """
    query = insert(exports).values(
        **_frame((account_id, provider, tenant, subject), message_id=message_id, at=at),
        kind="data_request",
        detail={"orders": list(orders), "requestId": request_id},
    )
    again = query.on_conflict_do_update(index_elements=["message_id", "subject"], set_={"subject": subject})
    return UUID(str(connection.execute(again.returning(exports.c.id)).scalar_one()))


def ask_erasure(
    connection: Connection,
    *,
    account_id: UUID,
    provider: str,
    tenant: str,
    subject: str,
    orders: Sequence[str] = (),
    message_id: UUID | None = None,
    is_held: bool = False,
    at: datetime,
) -> UUID:
    """The id of a request to erase the customer `subject`, or `WHOLE_SHOP`; one that this message made is opened again.

    `is_held`: it waits until the shop is not connected any more, or is refused.

    Raises:
        Unacceptable: there can be no such customer.
    """
    frame = _frame((account_id, provider, tenant, subject), message_id=message_id, at=at)
    state = "held" if is_held else "requested"
    query = insert(erasures).values(**frame | {"state": state}, orders=list(orders), counts={})
    again = query.on_conflict_do_update(
        index_elements=["message_id", "subject"],
        set_={"state": state, "finished_at": None, "counts": {}, "fence": None},
    )
    return UUID(str(connection.execute(again.returning(erasures.c.id)).scalar_one()))


def release_held(connection: Connection) -> int:
    """How many held erasures there were whose shop is not connected: they are to be done. Idempotent."""
    return connection.execute(_RELEASE).rowcount


def refuse_held(connection: Connection, *, account_id: UUID, provider: str, tenant: str, now: datetime) -> list[UUID]:
    """The held erasures of a shop that is connected, and has said so: they are refused."""
    values = {"account_id": str(account_id), "provider": provider, "tenant": tenant, "now": now}
    return [UUID(str(found)) for found in connection.execute(_REFUSE, values).scalars()]


def list_requests(
    connection: Connection,
    noun: Noun,
    *,
    account_id: UUID | None,
    state: str | None = None,
    before: UUID | None = None,
    limit: int = 50,
) -> list[dict[str, Any]]:
    """The newest requests first, older than `before`; `account_id` None: of every account."""
    table = _TABLES[noun]
    query = select(table).order_by(table.c.id.desc()).limit(limit)
    if account_id is not None:
        query = query.where(table.c.account_id == account_id)
    if state is not None:
        query = query.where(table.c.state == state)
    if before is not None:
        query = query.where(table.c.id < before)
    return [dict(row) for row in connection.execute(query).mappings()]


def get(connection: Connection, noun: Noun, request_id: UUID, *, account_id: UUID | None) -> dict[str, Any]:
    """The request; `account_id` None: whosever it is.

    Raises:
        NotFound: there is none of this id in the account.
    """
    table = _TABLES[noun]
    query = select(table).where(table.c.id == request_id)
    if account_id is not None:
        query = query.where(table.c.account_id == account_id)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFound(noun)
    return dict(row)


def _frame(whose: tuple[UUID, str, str, str], *, message_id: UUID | None, at: datetime) -> dict[str, Any]:
    account_id, provider, tenant, subject = whose
    if not 0 < len(subject) <= ID_CHARACTERS or len(tenant) > ID_CHARACTERS:
        raise Unacceptable("subject_malformed", f"A customer's id has 1 to {ID_CHARACTERS} characters.")
    return {
        "id": new_id(),
        "account_id": account_id,
        "state": "requested",
        "provider": provider,
        "tenant": tenant,
        "subject": subject,
        "message_id": message_id,
        "requested_at": at,
        "due_at": at + timedelta(days=DUE_DAYS),
    }
