"""The pieces that every signature scheme is made of."""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import signatures
from shared.providers.contract import Headers, Refusal

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


def code(found: object) -> str | None:
    return found.code if isinstance(found, Refusal) else None


@given(content=st.binary(), key=st.binary(min_size=1), other=st.binary(min_size=1))
def test_a_digest_passes_under_its_key_and_no_other(content, key, other):
    digest = hmac.new(key, content, hashlib.sha256).digest()
    assert signatures.check_digests([digest], content, [other, key], "sha256") is None
    same = key.ljust(64, b"\0") == other.ljust(64, b"\0")  # HMAC pads a short key with zeros
    if not same and len(key) <= 64 and len(other) <= 64:
        assert code(signatures.check_digests([digest], content, [other], "sha256")) == "signature_mismatch"


@given(digest=st.binary(min_size=1, max_size=64), encoding=st.sampled_from(["hex", "base64", "base64url"]))
def test_what_is_encoded_is_decoded(digest, encoding):
    assert signatures.decode(signatures.encode(digest, encoding), encoding) == digest


@given(text=st.text(), encoding=st.sampled_from(["hex", "base64", "base64url"]))
def test_any_text_is_decoded_or_malformed_and_never_raises(text, encoding):
    assert signatures.decode(text, encoding) is None or text.isascii()


@pytest.mark.parametrize("text", ["zz", "abc", "é", "a b", "ab\n"])
def test_hex_is_strict(text):
    assert signatures.decode(text, "hex") is None


@pytest.mark.parametrize("text", ["A", "AA=A", "AAAA!", "AA AA", "é==="])
def test_base64_is_strict(text):
    assert signatures.decode(text, "base64") is None


def test_every_pair_is_compared_whatever_was_found(monkeypatch):
    compared = []

    def watched(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return one == other

    monkeypatch.setattr("shared.signatures.hmac.compare_digest", watched)
    assert signatures.any_matches([b"a", b"b"], [b"a", b"c"])
    assert compared == [(b"a", b"a"), (b"a", b"c"), (b"b", b"a"), (b"b", b"c")]


def test_an_empty_secret_fits_nothing():
    assert code(signatures.check_digests([hmac.digest(b"", b"x", "sha256")], b"x", [b""], "sha256"))
    assert code(signatures.check_token("", [b""])) == "signature_mismatch"


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([("X-Sign", " a ")], "a"),
        ([("x-sign", "a")], "a"),
        ([("X_Sign", "a")], "a"),
        ([("X-Sign", "  ")], None),
        ([], None),
        ([("X-Sign", "a"), ("x-sign", "a")], "header_duplicated"),
        ([("X-Sign", "a"), ("X_Sign", "a")], "header_ambiguous"),
    ],
)
def test_a_header_may_stand_once(pairs, expected):
    found = signatures.sole(Headers(pairs), "X-Sign")
    assert (code(found) or found) == expected


def test_elements_keep_their_order_and_repeats():
    assert signatures.elements("t=1, v1=ab,junk,v1=c=d,=e") == [("t", "1"), ("v1", "ab"), ("v1", "c=d"), ("", "e")]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, None), (-300, None), (-301, "timestamp_expired"), (300, None), (301, "timestamp_in_future")],
)
@pytest.mark.parametrize("unit", ["s", "ms", "iso", "http-date"])
def test_the_tolerance_goes_both_ways_in_every_form(unit, seconds, expected):
    at = NOW + timedelta(seconds=seconds)
    text = {
        "s": str(int(at.timestamp())),
        "ms": str(int(at.timestamp() * 1000)),
        "iso": at.isoformat(),
        "http-date": at.strftime("%a, %d %b %Y %H:%M:%S GMT"),
    }[unit]
    found = signatures.check_time(text, unit, now=NOW, tolerance_seconds=300, future_seconds=300)
    assert code(found) == expected


@given(text=st.text(max_size=60), unit=st.sampled_from(["s", "ms", "iso", "http-date"]))
def test_any_timestamp_is_judged_and_never_raises(text, unit):
    found = signatures.check_time(text, unit, now=NOW, tolerance_seconds=300, future_seconds=300)
    assert found is None or found.status == 401


@pytest.mark.parametrize("text", ["1e9", "-1", "１６", "9" * 30, "0x10", "NaN", "1614265330.5", " 1614265330", ""])
def test_only_digits_are_a_unix_time(text):
    assert signatures.check_time(text, "s", now=NOW, tolerance_seconds=1e12, future_seconds=1e12) is not None


@pytest.mark.parametrize("secret", [b"whsec_AAECAwQF", b"AAECAwQF", b"whsec_AAECAwQFBg==", b"whsec_AAECAwQFBg"])
def test_a_standard_secret_is_read_with_or_without_prefix_and_padding(secret):
    key = signatures.whsec_key(secret)
    assert key is not None
    assert key.startswith(bytes(range(6)))


@pytest.mark.parametrize("secret", [b"", b"whsec_", b"whsec_!!", b"\xff\xfe"])
def test_a_malformed_standard_secret_is_none(secret):
    assert signatures.whsec_key(secret) is None
