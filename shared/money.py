"""Money: between a decimal text and the integer of a currency's minor units, exactly.

Comes in: an amount as a provider writes it and an ISO 4217 code. Comes out: an integer, or the text again. Pure, and
never a float: an amount that the currency cannot express is an error and is not rounded. A process that dies in the
middle leaves nothing.
"""

import re
from decimal import Decimal
from functools import lru_cache
from typing import Final

# How many decimals each currency has. What has no minor unit (gold, the SDR, no currency at all) is no money of ours.
# Source: ISO 4217 list one and, for what shops still name, of list three what was withdrawn since 2010; six-group.com,
# read 2026-11.
_BY_DECIMALS: Final = {
    0: """
    BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF
    BYR
    """,
    2: """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY
    COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS
    INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR
    MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP
    STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG
    ANG BGN CUC EEK HRK LTL LVL MRO SLL STD VEF ZMK ZWL
    """,
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
EXPONENTS: Final = {code: decimals for decimals, codes in _BY_DECIMALS.items() for code in codes.split()}
LARGEST: Final = 2**63 - 1  # what a bigint column holds
EXACT_BELOW: Final = 2**53  # of minor units: from here on two amounts are the same float

# What may be the name of a currency: ISO's have three letters, and what else shops count in (USDC) is named alike.
_CODE = re.compile(r"[A-Z][A-Z0-9]{2,4}")
# No exponent, no grouping, no sign but minus: what else is written differently is no amount that we understand.
_AMOUNT = re.compile(r"(-?)([0-9]{1,18})(?:\.([0-9]{1,18}))?")


def is_code(text: str) -> bool:
    """Whether it may be a currency's code, of one that we know or not."""
    return _CODE.fullmatch(text) is not None


def is_known(currency: str) -> bool:
    """Whether we know the currency, and so how many decimals it has. An amount in any other stays a text."""
    return currency in EXPONENTS


def exponent(currency: str) -> int:
    """How many decimals the currency has.

    Raises:
        ValueError: it is no ISO 4217 code.
    """
    if (found := EXPONENTS.get(currency)) is None:
        raise ValueError("no ISO 4217 currency code")
    return found


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
    minor = _minor(f"{amount:f}" if isinstance(amount, Decimal) else repr(amount), currency)
    if isinstance(amount, float) and abs(minor) >= EXACT_BELOW:
        raise ValueError("too large for a JSON number with decimals")
    return minor


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
