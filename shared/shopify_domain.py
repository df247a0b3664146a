"""The myshopify domain of a shop: what is one, and which one a name means.

Pure; nothing is left behind.
"""

import re
from typing import Final

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
