"""What the samples of a Shopify shop have in common: its clock, its money, its goods, its ids. Pure."""

from datetime import datetime, timedelta
from typing import Any, Final

from shared.money import to_text
from shared.providers.contract import JSON

# All past 2^53, as Shopify's newer ids are.
FIRST_CUSTOMER: Final = 7_230_000_000_000_000_001
FIRST_ORDER: Final = 9_110_000_000_000_000_001
FIRST_PRODUCT: Final = 9_220_000_000_000_000_001
FIRST_LOCATION: Final = 71_000_000_001
VARIANTS_APART: Final = 1_000  # between the first variants of two products

OLDER_EVERY: Final = 3  # every third body has the older shape where there is one
CURRENCY: Final = "EUR"
# What customers pay in, and how much of its minor units a cent of the shop buys, in hundredths.
SEEN: Final = (("EUR", 100), ("EUR", 100), ("USD", 108), ("JPY", 162), ("KWD", 333))

GOODS: Final = (
    ("Enamel mug", "MUG", 1450),
    ("Grüner Tee „Frühling“", "TEE", 895),
    ("Bufanda de lana – señal", "BUF", 3990),
    ("手ぬぐい「波」", "TNG", 1200),
    ("कांसे का दीपक", "DPK", 2575),
    ("Чайник эмалированный", "CHN", 5420),
    ("Sticker set 🌵", "STK", 350),
)


def local(at: datetime) -> str:
    """A time as Shopify writes it: with the shop's own offset, which changes with the season."""
    return (at - timedelta(hours=5)).strftime("%Y-%m-%dT%H:%M:%S-05:00")


def gid(resource: str, number: int) -> str:
    """The global id of a resource."""
    return f"gid://shopify/{resource}/{number}"


def amount(cents: int) -> str:
    """An amount of the shop's money."""
    return to_text(cents, CURRENCY)


def both(cents: int, seen: int = 0) -> JSON:
    """An amount in the shop's currency and in the one that the customer saw."""
    code, rate = SEEN[seen]
    return {
        "shop_money": {"amount": amount(cents), "currency_code": CURRENCY},
        "presentment_money": {"amount": to_text(cents * rate // 100, code), "currency_code": code},
    }


def priced(name: str, cents: int, seen: int) -> dict[str, Any]:
    """An amount as text, and its set beside it."""
    return {name: amount(cents), f"{name}_set": both(cents, seen)}
