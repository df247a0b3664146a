"""A Shopify shop as an address: its domain, where its pages and API are, and where it is connected.

Pure; nothing is left behind.
"""

import re
from typing import Final

from shared.settings import Settings

SUFFIX: Final = ".myshopify.com"
# fullmatch: `$` would let a newline pass. Source: shopify.dev, authorization code grant, read 2026-11.
_DOMAIN: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,60}\.myshopify\.com")


def domain_of(name: str) -> str | None:
    """The myshopify domain that `name` (`acme` or `acme.myshopify.com`) means; `None` when it can be none."""
    # Not str.lower: it makes ASCII of other letters, such as the Kelvin sign.
    if not name.isascii():
        return None
    lowered = name.lower()
    domain = lowered if "." in lowered else lowered + SUFFIX
    return domain if _DOMAIN.fullmatch(domain) else None


def url_of(settings: Settings, domain: str) -> str:
    """Where the shop's pages and API are, without a slash at the end."""
    return settings.shopify_url.replace("{shop}", domain).rstrip("/")


def login_url(settings: Settings, domain: str) -> str:
    """Where the shop's owner connects it, and connects it again."""
    return f"{settings.console_address()}/shopify/{domain}/login"


def api_url(settings: Settings, domain: str) -> str:
    """Where the shop's GraphQL API is."""
    return f"{url_of(settings, domain)}/admin/api/{settings.shopify_api_version}/graphql.json"
