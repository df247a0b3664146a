"""Who calls, for which account, and whether they may: decided before a view runs or its body is read.

Comes in: `Authorization: Bearer <API key>` and `X-Admin-ID`, the account by id or slug. Comes out: a `Scope`. A view
without `@needs` or `@open_to_all` does not start with the app, so none can be forgotten. Left behind: when the key was
last used; a process that dies in the middle leaves at most that.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Any, TypeVar
from uuid import UUID

from flask import Flask, current_app, g, request
from sqlalchemy import Connection

from shared import accounts, audit, keys
from shared.db.engine import transaction
from shared.errors import Forbidden, NotFound, Unacceptable
from shared.keys import Principal
from shared.states import Role
from web.context import here

KEY_MAX = 200
_MARK = "crossdock_need"
View = TypeVar("View", bound=Callable[..., Any])


class Account(Enum):
    """What a route has to do with accounts."""

    ONE = auto()  # it works within one; a key that reaches every account must name it
    ANY = auto()  # within one if it is named or the key has one, else over all
    NONE = auto()  # above accounts


@dataclass(frozen=True, slots=True)
class Need:
    """What a route asks of its caller."""

    role: Role
    account: Account


@dataclass(frozen=True, slots=True)
class Scope:
    """Who calls and for which account; `account` is None where the call is not within one."""

    principal: Principal
    account: UUID | None

    @property
    def account_id(self) -> UUID:
        """The account of a call that is within one."""
        if self.account is None:
            raise account_required()
        return self.account

    def note(
        self,
        connection: Connection,
        action: str,
        subject_id: UUID | str,
        *,
        reason: str | None = None,
        detail: Mapping[str, Any] | None = None,
        now: datetime,
    ) -> None:
        """Write into the audit log, in the deed's own transaction. `action` is `noun.verbed`."""
        audit.record(
            connection,
            account_id=self.account,
            actor=self.principal.actor,
            action=action,
            subject_kind=action.partition(".")[0],
            subject_id=subject_id,
            reason=reason,
            detail=detail,
            now=now,
        )


def needs(role: Role, account: Account = Account.ONE) -> Callable[[View], View]:
    """Mark a view with what it asks of its caller."""

    def mark(view: View) -> View:
        vars(view)[_MARK] = Need(role, account)
        return view

    return mark


def open_to_all(view: View) -> View:
    """Mark a view that anybody may call."""
    vars(view)[_MARK] = None
    return view


def unmarked(app: Flask) -> list[str]:
    """The endpoints that nobody has decided about; the app refuses to start with one."""
    return sorted(name for name, view in app.view_functions.items() if _MARK not in vars(view))


def need_of(app: Flask, endpoint: str) -> Need | None:
    """What a route asks of its caller; None when it is open to all."""
    need: Need | None = vars(app.view_functions[endpoint])[_MARK]
    return need


def guard() -> None:
    """Refuse the request or set its scope.

    Raises:
        Unacceptable: 401 `key_missing` or `key_invalid`, 400 `account_required`.
        Forbidden: `role_insufficient` or `account_forbidden`.
        NotFound: the account that is named does not exist, and the key would have reached it.
    """
    endpoint = request.endpoint
    if endpoint is None:  # nothing matched: the 404 or 405 that follows says so
        return
    need = need_of(current_app, endpoint)
    if need is None:
        return
    principal = authenticated()
    if not principal.may(need.role):
        raise Forbidden("role_insufficient", f"This needs the role {need.role.value}; the key has {principal.role}.")
    g.scope = Scope(principal, _account(principal, need))


def authenticated() -> Principal:
    """Who calls.

    Raises:
        Unacceptable: 401 `key_missing` or `key_invalid`.
    """
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise Unacceptable("key_missing", "Send an API key: Authorization: Bearer <key>.", status=401)
    context = here()
    with transaction(context.engine) as connection:
        principal = keys.authenticate(connection, key.strip()[:KEY_MAX], now=context.now())
    if principal is None:
        raise Unacceptable("key_invalid", "The API key is unknown or revoked.", status=401)
    return principal


def scope() -> Scope:
    """The scope of this request."""
    found: Scope = g.scope
    return found


def account_required() -> Unacceptable:
    """What a key that reaches every account is told when it names none."""
    return Unacceptable(
        "account_required", "This key reaches every account: name one in X-Admin-ID, by id or slug.", status=400
    )


def _account(principal: Principal, need: Need) -> UUID | None:
    named = request.headers.get("X-Admin-ID", "").strip()
    if need.account is Account.NONE:
        if principal.account_id is not None:
            raise Forbidden("account_forbidden", "This needs a key that reaches every account.")
        return None
    if not named:
        if principal.account_id is None and need.account is Account.ONE:
            raise account_required()
        return principal.account_id
    with transaction(here().engine) as connection:
        account = accounts.find(connection, named)
    if principal.account_id is not None:
        if account is None or not principal.may_act_for(account["id"]):
            raise Forbidden("account_forbidden", "The key may not act for this account.")
    elif account is None:
        raise NotFound("account")
    found: UUID = account["id"]
    return found
