"""Money: between a decimal text and the integer of a currency's minor units, exactly.

Comes in: an amount as a provider writes it and an ISO 4217 code. Comes out: an integer, or the text again. Pure, and
never a float: an amount that the currency cannot express is an error and is not rounded. A process that dies in the
middle leaves nothing.
"""

import re
from decimal import Decimal
from functools import lru_cache
from typing import Final

# How many decimals a currency has, where it is not two.
# Source: ISO 4217 list one and, for what shops still name, list three; six-group.com, read 2026-11.
EXPONENTS: Final = {
    **dict.fromkeys(
        "BIF BYR CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(),  # noqa: SIM905  # as in the list
        0,
    ),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}
USUAL_EXPONENT: Final = 2
LARGEST: Final = 2**63 - 1  # what a bigint column holds

_CODE = re.compile(r"[A-Z]{3}")
# No exponent, no grouping, no sign but minus: what else is written differently is no amount that we understand.
_AMOUNT = re.compile(r"(-?)([0-9]{1,18})(?:\.([0-9]{1,18}))?")


@lru_cache(maxsize=256)  # asked for every amount there is, of a few currencies
def exponent(currency: str) -> int:
    """How many decimals the currency has.

    Raises:
        ValueError: it is no ISO 4217 code.
    """
    if not _CODE.fullmatch(currency):
        raise ValueError("no ISO 4217 currency code")
    return EXPONENTS.get(currency, USUAL_EXPONENT)


def to_minor(amount: str | int | float | Decimal, currency: str) -> int:  # noqa: PYI041  # says that floats are meant
    """The amount in minor units: ("19.9", "EUR") is 1990, ("1200.00", "JPY") is 1200.

    A float, which some providers send as a JSON number, stands for its shortest decimal text.

    Raises:
        ValueError: it is no plain decimal number, has more decimals than the currency, or is too large; or the
            currency is no ISO 4217 code.
    """
    if isinstance(amount, bool):
        raise ValueError("no decimal number")  # noqa: TRY004  # one error for whatever is no amount
    if isinstance(amount, str):
        return _minor(amount.strip(), currency)
    return _minor(f"{amount:f}" if isinstance(amount, Decimal) else repr(amount), currency)


@lru_cache(maxsize=4096)  # a shop has few prices, and says each of them with every order
def _minor(text: str, currency: str) -> int:
    decimals = exponent(currency)
    match = _AMOUNT.fullmatch(text)
    if match is None:
        raise ValueError("no decimal number")
    sign, whole, fraction = match.groups(default="")
    kept, rest = fraction[:decimals], fraction[decimals:]
    if rest.strip("0"):
        raise ValueError(f"more than the {decimals} decimals of {currency}")
    minor = int(whole + kept.ljust(decimals, "0"))
    if minor > LARGEST:
        raise ValueError("too large an amount")
    return -minor if sign else minor


def to_text(minor: int, currency: str) -> str:
    """The amount as a decimal text with the currency's decimals: (1990, "EUR") is "19.90".

    Raises:
        ValueError: the currency is no ISO 4217 code.
    """
    return f"{Decimal(minor).scaleb(-exponent(currency)):f}"
