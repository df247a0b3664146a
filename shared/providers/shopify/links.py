"""Links that an order tells of, without what opens them.

Comes in: a link, whole or from the root of the shop. Comes out: the page that it is of. Pure.
"""

import re
from typing import Final

# What comes after these in a path is a key: to a checkout, an order's page, an invoice, an account being opened.
_KEYED: Final = re.compile(r"(/(?:checkouts|orders|invoices|activate|reset|multipass|gift_cards|cart/c))/.*", re.DOTALL)


def page(link: str) -> str:
    """The page, and the campaign that led there. Of a query nothing else stays, for it may hold any key or trace."""
    where, _, query = link.partition("#")[0].partition("?")
    where = _KEYED.sub(r"\1", where)
    campaign = "&".join(part for part in query.split("&") if part.startswith("utm_"))
    return f"{where}?{campaign}" if campaign else where
