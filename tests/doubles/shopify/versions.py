"""Which version of the API answers a request.

One that Shopify does not support any more falls forward to the oldest that it does; what was never a version, or is not
one yet, is not found. Source: shopify.dev, API versioning, read 2026-11.
"""

import re
from typing import Final

SUPPORTED: Final = ("2026-01", "2026-04", "2026-07", "2026-10")
CANDIDATE: Final = "2027-01"
_FORM: Final = re.compile(r"20\d{2}-(01|04|07|10)")


def served_version(asked: str) -> str | None:
    """The version that answers; `None` when there is none."""
    if asked in (*SUPPORTED, CANDIDATE, "unstable"):
        return asked
    return SUPPORTED[0] if _FORM.fullmatch(asked) and asked < SUPPORTED[0] else None
