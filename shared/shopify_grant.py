"""What a shop lets us in with: an access token, when it ends, and the refresh token that is exchanged for the next.

Comes in: the answer of Shopify's token endpoint, or an integration's credentials. Comes out: a grant, or the
credentials that are kept of one. Pure; nothing is left behind.

Source: shopify.dev, offline access tokens and authorization code grant, read 2026-11.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import orjson

from shared.clock import after, parse_instant, to_json
from shared.settings import Settings
from shared.shopify_shop import url_of

HEADERS: Final[Mapping[str, str]] = {"Content-Type": "application/json", "Accept": "application/json"}
_MOST_SECONDS: Final = 10 * 365 * 86_400  # a longer life is no instant that we could tell


@dataclass(frozen=True, slots=True)
class Grant:
    """A token and what becomes of it. Its repr has neither token, wherever that may be written."""

    access_token: str = field(repr=False)
    access_ends_at: datetime | None = None  # None: never, or Shopify did not say
    # None: the token does not end, or a person has to connect again.
    refresh_token: str | None = field(default=None, repr=False)
    refresh_ends_at: datetime | None = None
    is_refused: bool = False  # Shopify would not take the refresh token, so it is kept no more

    def ends_within(self, seconds: float, *, now: datetime) -> bool:
        """Whether the access token has ended, or will so soon."""
        return self.access_ends_at is not None and self.access_ends_at <= after(now, seconds)

    def credentials(self) -> dict[str, Any]:
        """What is kept of it, to be sealed; only what there is."""
        kept = {
            "access_token": self.access_token,
            "access_token_ends_at": self.access_ends_at and to_json(self.access_ends_at),
            "refresh_token": self.refresh_token,
            "refresh_token_ends_at": self.refresh_ends_at and to_json(self.refresh_ends_at),
            "refresh_token_refused": self.is_refused or None,
        }
        return {name: value for name, value in kept.items() if value is not None}


def grant_of(credentials: Mapping[str, Any]) -> Grant | None:
    """The grant that an integration's credentials hold; `None` when they hold no token."""
    token, refresh_token = _text(credentials, "access_token"), _text(credentials, "refresh_token")
    if token is None:
        return None
    return Grant(
        token,
        parse_instant(credentials.get("access_token_ends_at")),
        refresh_token,
        parse_instant(credentials.get("refresh_token_ends_at")),
        is_refused=credentials.get("refresh_token_refused") is True,
    )


def read_grant(answer: Mapping[str, Any], *, now: datetime, before: Grant | None = None) -> Grant | None:
    """The grant in the token endpoint's answer to a request made at `now`; `None` when there is no token in it.

    What renews it is that of `before`, where the answer brings no other (RFC 6749, 6).
    """
    token, refresh_token = _text(answer, "access_token"), _text(answer, "refresh_token")
    if token is None:
        return None
    ends_at = _end(answer, "expires_in", now)
    if refresh_token is None and before is not None:
        return Grant(token, ends_at, before.refresh_token, before.refresh_ends_at)
    return Grant(token, ends_at, refresh_token, _end(answer, "refresh_token_expires_in", now))


def read_answer(body: bytes) -> dict[str, Any]:
    """The object that the token endpoint answered; an empty one when it is none."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def token_url(settings: Settings, shop: str) -> str:
    """Where a shop gives tokens."""
    return f"{url_of(settings, shop)}/admin/oauth/access_token"


def code_form(settings: Settings, *, code: str, secret: bytes) -> bytes:
    """The request for the grant that a code is good for."""
    form = {"client_id": settings.shopify_client_id, "client_secret": secret.decode(), "code": code}
    return orjson.dumps(form | ({"expiring": "1"} if settings.shopify_expiring_tokens else {}))


def refresh_form(settings: Settings, *, refresh_token: str, secret: bytes) -> bytes:
    """The request for the grant that a refresh token is good for."""
    form = {"client_id": settings.shopify_client_id, "client_secret": secret.decode()}
    return orjson.dumps(form | {"grant_type": "refresh_token", "refresh_token": refresh_token})


def _end(answer: Mapping[str, Any], name: str, now: datetime) -> datetime | None:
    seconds = answer.get(name)
    if isinstance(seconds, bool) or not isinstance(seconds, int) or not 0 < seconds <= _MOST_SECONDS:
        return None
    return after(now, seconds)


def _text(found: Mapping[str, Any], name: str) -> str | None:
    value = found.get(name)
    return value if isinstance(value, str) and value else None
