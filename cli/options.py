"""What many commands take: an account, a page, an instant; and what those words mean.

Nothing is left behind.
"""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import click
from sqlalchemy import Connection

from shared import accounts
from shared.clock import parse_instant, utc_now
from shared.errors import Unacceptable

_Command = TypeVar("_Command", bound=Callable[..., Any])
_AGO = re.compile(r"(\d{1,6})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SHOWN_ACCOUNTS = 10


class Instant(click.ParamType[datetime]):
    """An instant: ISO 8601, or so long ago (`90s`, `15m`, `2h`, `3d`, `1w`)."""

    name = "instant"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The instant in UTC."""
        if isinstance(value, datetime):
            return value
        if ago := _AGO.fullmatch(value):
            return utc_now() - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        at = parse_instant(value)
        if at is None:
            self.fail(
                f"{value!r} is neither a time such as 2026-01-31T12:00:00Z nor so long ago, such as 2h.", param, ctx
            )
        return at


def account_option(command: _Command) -> _Command:
    """Whose rows a command is about."""
    return click.option(
        "--account", "account_name", metavar="SLUG|ID", help="Whose. Needed for changes when there are several."
    )(command)


def page_options(command: _Command) -> _Command:
    """How many rows of a list, and from where on."""
    limit = click.option(
        "--limit", default=50, show_default=True, type=click.IntRange(1, 1000), help="Most rows to show."
    )
    before = click.option("--before", type=click.UUID, metavar="ID", help="Only rows older than this one.")
    return limit(before(command))


def time_options(command: _Command) -> _Command:
    """From when to when."""
    since = click.option("--since", type=Instant(), help="Made at or after: 2026-01-31, or so long ago: 2h, 3d.")
    until = click.option("--until", type=Instant(), help="Made before.")
    return since(until(command))


def the_account(connection: Connection, name: str | None) -> dict[str, Any]:
    """The account that is named, or the only one there is.

    Raises:
        NotFound: there is none of that name.
        Unacceptable: none is named, and there is not exactly one.
    """
    if name is not None:
        return accounts.get(connection, name)
    found = accounts.list_accounts(connection, limit=_SHOWN_ACCOUNTS)
    if not found:
        raise Unacceptable("account_needed", "There is no account yet; `crossdock accounts create SLUG` makes one.")
    if len(found) > 1:
        names = ", ".join(sorted(account["slug"] for account in found))
        raise Unacceptable("account_needed", f"Name one with --account: {names}.")
    return found[0]


def an_account(connection: Connection, name: str | None) -> UUID | None:
    """The id of the account that is named; `None`, which is all of them, when none is.

    Raises:
        NotFound: there is none of that name.
    """
    if name is None:
        return None
    account_id: UUID = accounts.get(connection, name)["id"]
    return account_id
