"""Amounts become minor units exactly, or not at all."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import money

CURRENCIES = st.sampled_from(["EUR", "USD", "JPY", "KWD", "CLF", "HUF", "XOF"])


@given(minor=st.integers(-money.LARGEST, money.LARGEST), currency=CURRENCIES)
def test_what_is_written_is_read_back_exactly(minor, currency):
    text = money.to_text(minor, currency)
    # 18 digits are read before the point, which is more money than there is.
    if len(text.lstrip("-").partition(".")[0]) <= 18:
        assert money.to_minor(text, currency) == minor
        assert money.to_minor(Decimal(text), currency) == minor


@given(minor=st.integers(-(10**13), 10**13), currency=CURRENCIES)
def test_a_json_number_means_its_shortest_decimal_text(minor, currency):
    assert money.to_minor(float(money.to_text(minor, currency)), currency) == minor


@given(minor=st.integers(0, 10**9), digit=st.integers(1, 9), currency=CURRENCIES)
def test_a_fraction_of_a_minor_unit_is_refused_and_never_rounded(minor, digit, currency):
    text = money.to_text(minor, currency)
    finer = f"{text}{digit}" if "." in text else f"{text}.{digit}"
    with pytest.raises(ValueError, match="more than the"):
        money.to_minor(finer, currency)


@given(minor=st.integers(0, 10**9), zeros=st.integers(1, 8), currency=CURRENCIES)
def test_zeros_behind_are_no_fraction(minor, zeros, currency):
    text = money.to_text(minor, currency)
    longer = text + ("" if "." in text else ".") + "0" * zeros
    assert money.to_minor(longer, currency) == minor


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [
        ("19.99", "EUR", 1999),
        ("19.9", "EUR", 1990),
        ("-0.05", "EUR", -5),
        ("1200", "JPY", 1200),
        ("1200.00", "JPY", 1200),
        ("1.234", "KWD", 1234),
        ("1.2345", "CLF", 12345),
        (" 7 ", "USD", 700),
        (0.1, "USD", 10),
        (3, "USD", 300),
    ],
)
def test_an_amount_has_the_decimals_of_its_currency(amount, currency, minor):
    assert money.to_minor(amount, currency) == minor


@given(text=st.text(max_size=12))
def test_any_text_is_an_amount_or_a_value_error(text):
    try:
        minor = money.to_minor(text, "EUR")
    except ValueError:
        return
    assert Decimal(text.strip()) * 100 == minor


@pytest.mark.parametrize(
    "amount", ["", "1,50", "1e3", "NaN", "Infinity", "+1", ".5", "5.", "٣", "1" * 19, "1\n2", 1e300, float("nan"), True]
)
def test_what_is_no_plain_decimal_is_refused(amount):
    with pytest.raises(ValueError, match="number"):
        money.to_minor(amount, "EUR")


def test_more_than_a_column_holds_is_refused():
    with pytest.raises(ValueError, match="too large"):
        money.to_minor("9" * 18, "EUR")


@pytest.mark.parametrize("currency", ["", "eur", "EURO", "E1R", "EUR\n", "XYZ", "BTC", "USDC", "XXX", "XAU", "XDR"])
def test_what_is_no_currency_of_iso_4217_has_no_minor_unit_that_is_guessed(currency):
    assert not money.is_known(currency)
    with pytest.raises(ValueError, match="ISO 4217"):
        money.to_minor("1", currency)


def test_each_currency_is_in_the_table_once():
    codes = [code for codes in money._BY_DECIMALS.values() for code in codes.split()]
    assert len(codes) == len(set(codes)) == len(money.EXPONENTS)
    assert all(money.is_code(code) and len(code) == 3 for code in codes)


@pytest.mark.parametrize(
    ("code", "may_be"),
    [("EUR", True), ("BTC", True), ("USDC", True), ("eur", False), ("€", False), ("978", False), ("E", False)],
)
def test_what_may_be_a_code_is_told_from_what_is_none(code, may_be):
    assert money.is_code(code) == may_be


@pytest.mark.parametrize(
    ("amount", "currency"),
    [(9007199254740993.0, "JPY"), (90071992547409.93, "EUR"), (-90071992547409.93, "EUR"), (9007199254740.993, "KWD")],
)
def test_a_json_number_of_which_another_amount_would_be_the_same_is_refused(amount, currency):
    with pytest.raises(ValueError, match="too large for a JSON number with decimals"):
        money.to_minor(amount, currency)
    assert money.to_minor(str(amount).removesuffix(".0"), currency)  # as a text it is exact
