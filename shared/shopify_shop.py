"""A Shopify shop as an address: where its pages and API are, and where it is connected.

Pure; nothing is left behind.
"""

from urllib.parse import quote

from shared.settings import Settings
from shared.shopify_domain import domain_of


def url_of(settings: Settings, domain: str) -> str:
    """Where the shop's pages and API are, without a slash at the end.

    Raises:
        ValueError: `domain` is no shop's, and would lead elsewhere.
    """
    if domain_of(domain) != domain:
        raise ValueError("that is no shop's domain")
    return settings.shopify_url.replace("{shop}", domain).rstrip("/")


def login_url(settings: Settings, domain: str, *, source_path: str) -> str:
    """Where the shop's owner connects it, and connects it again.

    It names the source, and so leads to it whoever else claims the shop.
    """
    return f"{settings.console_address()}/shopify/{domain}/login?source={quote(source_path)}"


def api_url(settings: Settings, domain: str) -> str:
    """Where the shop's GraphQL API is."""
    return f"{url_of(settings, domain)}/admin/api/{settings.shopify_api_version}/graphql.json"
