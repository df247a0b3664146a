"""Subscriptions: where an account's events go. `webhook` is the public API's word for one.

Left behind: rows in `subscriptions` and `lanes`, in the caller's transaction, secrets sealed. Values come checked by
`subscription_fields.check`, which resolves the URL's host and so runs before the transaction. Whoever locks both locks
the lane before the subscription, as the delivery engine does. A process that dies in the middle leaves nothing of it.
"""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Connection, RowMapping, insert, select, update

from shared import alerts, sealed
from shared import lanes as lane
from shared.crypto import KeyRing
from shared.db.tables import lanes, subscriptions
from shared.destinations.registry import DESTINATIONS
from shared.errors import Conflict, NotFound
from shared.ids import new_id
from shared.settings import Settings
from shared.signing import new_secret
from shared.subscription_fields import Checked

Held = Literal["deliver", "discard"]


def place(subscription_id: UUID | str) -> str:
    """What a subscription's secrets are sealed to."""
    return f"subscription:{subscription_id}"


def create(
    connection: Connection, ring: KeyRing, settings: Settings, *, account_id: UUID, checked: Checked, now: datetime
) -> tuple[dict[str, Any], str]:
    """The new subscription and its secret, which cannot be had again; empty if its owner brought a credential."""
    subscription_id = new_id()
    values = dict(checked.values)
    credential = values.pop("credential", None)
    secret = "" if credential is not None else new_secret()
    defaults: dict[str, Any] = {
        "description": "",
        "destination": "webhook",
        "settings": {},
        "active": True,
        "retry_attempts": 3,
        "retry_delay_seconds": 60.0,
        "schedule": None,
        "timeout_ms": min(10_000, int(settings.request_timeout_seconds * 1000)),
        "disable_after": settings.disable_after,
        "disable_after_seconds": settings.disable_after_seconds,
        "max_in_flight": settings.subscription_in_flight,
        "ordering": "none",
    }
    values = {**defaults, **values}
    if not values["active"]:
        values |= {"disabled_reason": "by_hand", "disabled_at": now}
    connection.execute(
        insert(subscriptions).values(
            id=subscription_id,
            account_id=account_id,
            secrets=[sealed.entry(ring, credential or secret, place=place(subscription_id), now=now)],
            created_at=now,
            updated_at=now,
            **values,
        )
    )
    connection.execute(insert(lanes).values(subscription_id=subscription_id))
    return get(connection, subscription_id, account_id=account_id), secret


def get(connection: Connection, subscription_id: UUID, *, account_id: UUID | None) -> dict[str, Any]:
    """The subscription with its lane's counters; `account_id` None: whosever it is.

    Raises:
        NotFound: there is none of this id in the account, or it was deleted.
    """
    query = _with_lane().where(subscriptions.c.id == subscription_id)
    if account_id is not None:
        query = query.where(subscriptions.c.account_id == account_id)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFound("webhook")
    return _shown(row)


def list_subscriptions(
    connection: Connection,
    *,
    account_id: UUID | None,
    active: bool | None = None,
    name: str | None = None,
    before: UUID | None = None,
    limit: int = 50,
) -> list[dict[str, Any]]:
    """The newest subscriptions first, older than `before`; `account_id` None: of every account.

    `name` is any part of the name, in any case.
    """
    query = _with_lane().order_by(subscriptions.c.id.desc()).limit(limit)
    if account_id is not None:
        query = query.where(subscriptions.c.account_id == account_id)
    if active is not None:
        query = query.where(subscriptions.c.active == active)
    if name is not None:
        query = query.where(subscriptions.c.name.icontains(name, autoescape=True))
    if before is not None:
        query = query.where(subscriptions.c.id < before)
    return [_shown(row) for row in connection.execute(query).mappings()]


def change(
    connection: Connection, ring: KeyRing, subscription_id: UUID, *, account_id: UUID, checked: Checked, now: datetime
) -> dict[str, Any]:
    """The subscription after the checked changes. Idempotent. `active` goes through `disable` and `enable`.

    A `credential` takes the place of the one before at once.

    Raises:
        NotFound: there is none of this id in the account.
    """
    row = _locked(connection, subscription_id, account_id=account_id)
    apart = ("active", "credential")
    values = {name: value for name, value in checked.values.items() if name not in apart and row[name] != value}
    if "credential" in checked.values:
        newest = sealed.entry(ring, checked.values["credential"], place=place(subscription_id), now=now)
        values["secrets"] = [newest]
    if values:
        connection.execute(
            update(subscriptions).where(subscriptions.c.id == subscription_id).values(**values, updated_at=now)
        )
    if "ordering" in values:  # deliveries carry a copy, which the claim reads
        lane.set_ordering(connection, subscription_id, ordering=values["ordering"])
    if checked.values.get("active") is False:
        disable(connection, subscription_id, account_id=account_id, now=now)
    elif checked.values.get("active") is True:
        enable(connection, subscription_id, account_id=account_id, now=now)
    return get(connection, subscription_id, account_id=account_id)


def disable(
    connection: Connection, subscription_id: UUID, *, account_id: UUID, now: datetime
) -> tuple[dict[str, Any], int]:
    """The subscription, disabled by hand, and how many deliveries that held. Idempotent: the first reason counts.

    Raises:
        NotFound: there is none of this id in the account.
    """
    row = _locked(connection, subscription_id, account_id=account_id)
    held = lane.hold(connection, subscription_id, reason="by_hand", now=now) if row["active"] else 0
    return get(connection, subscription_id, account_id=account_id), held


def enable(
    connection: Connection,
    subscription_id: UUID,
    *,
    account_id: UUID,
    held: Held = "deliver",
    newest: int | None = None,
    now: datetime,
) -> tuple[dict[str, Any], int]:
    """The subscription, enabled, and how many held deliveries are due again. Idempotent; wake the dispatcher after it.

    `held` says what becomes of those; `newest` delivers only that many, and discards the rest.

    Raises:
        NotFound: there is none of this id in the account.
    """
    row = _locked(connection, subscription_id, account_id=account_id)
    moved = 0
    if not row["active"]:
        moved = lane.release(connection, subscription_id, now=now, held=held, newest=newest)
        for kind in ("subscription.disabled", "subscription.failing"):
            alerts.resolve(connection, kind=kind, subject_id=subscription_id, now=now)
    return get(connection, subscription_id, account_id=account_id), moved


def rotate(
    connection: Connection,
    ring: KeyRing,
    subscription_id: UUID,
    *,
    account_id: UUID,
    overlap_seconds: float = 86_400,
    now: datetime,
) -> tuple[dict[str, Any], str]:
    """The subscription and its new secret; until the overlap ends requests carry both signatures.

    Raises:
        NotFound: there is none of this id in the account.
        Unacceptable: the overlap is too long.
        Conflict: its secret is an API's credential, which is changed there and then here.
    """
    row = _locked(connection, subscription_id, account_id=account_id)
    if DESTINATIONS[row["destination"]].check_credential is not None:
        raise Conflict("credential_not_ours", "Its secret is a credential of an API: set a new `credential` instead.")
    sealed.check_overlap(overlap_seconds)
    secret = new_secret()
    newest = sealed.entry(ring, secret, place=place(subscription_id), now=now)
    connection.execute(
        update(subscriptions)
        .where(subscriptions.c.id == subscription_id)
        .values(
            secrets=sealed.rotated(row["secrets"], newest, overlap_seconds=overlap_seconds, now=now), updated_at=now
        )
    )
    return get(connection, subscription_id, account_id=account_id), secret


def remove(connection: Connection, subscription_id: UUID, *, account_id: UUID, now: datetime) -> int:
    """How many deliveries were discarded with the subscription. The row stays for the history, its secrets do not.

    Raises:
        NotFound: there is none of this id in the account.
    """
    _locked(connection, subscription_id, account_id=account_id)
    connection.execute(
        update(subscriptions)
        .where(subscriptions.c.id == subscription_id)
        .values(deleted_at=now, updated_at=now, active=False, disabled_reason="deleted", disabled_at=now, secrets=[])
    )
    return lane.discard(connection, subscription_id, now=now)


def _with_lane() -> Any:
    columns = [column for column in lanes.c if column.name != "subscription_id"]
    joined = subscriptions.join(lanes, lanes.c.subscription_id == subscriptions.c.id)
    return select(subscriptions, *columns).select_from(joined).where(subscriptions.c.deleted_at.is_(None))


def _locked(connection: Connection, subscription_id: UUID, *, account_id: UUID) -> RowMapping:
    query = select(subscriptions).where(
        subscriptions.c.id == subscription_id,
        subscriptions.c.account_id == account_id,
        subscriptions.c.deleted_at.is_(None),
    )
    if connection.execute(query).one_or_none() is None:
        raise NotFound("webhook")
    first = select(lanes.c.subscription_id).where(lanes.c.subscription_id == subscription_id)
    connection.execute(first.with_for_update(key_share=True))
    row = connection.execute(query.with_for_update(key_share=True)).mappings().one_or_none()
    if row is None:
        raise NotFound("webhook")
    return row


def _shown(row: RowMapping) -> dict[str, Any]:
    return {**row, "secrets": sealed.shown(row["secrets"])}
