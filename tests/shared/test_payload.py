import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.payload import clean_text, parse

JSONS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(st.binary(max_size=200))
def test_no_bytes_make_it_raise(body: bytes) -> None:
    value, problem = parse(body)
    assert value is None or problem is None


@given(JSONS)
def test_whatever_json_comes_can_be_written_down_again(value: object) -> None:
    parsed, problem = parse(json.dumps(value).encode("utf-8", "surrogatepass"))
    assert problem is None
    assert b"\\u0000" not in orjson.dumps(parsed)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a": "x\\u0000y"}', {"a": "x\ufffdy"}),
        (b'{"a\\u0000": 1}', {"a\ufffd": 1}),
        (b'["\\ud800"]', ["\ufffd"]),
        (b'["\\ud83d\\ude00"]', ["😀"]),
        (b'{"id": 706405506930370084}', {"id": 706405506930370084}),
        (b'{"id": 18446744073709551615}', {"id": 18446744073709551615}),
        (b'{"id": 18446744073709551616}', {"id": "18446744073709551616"}),
        (b'{"id": -99999999999999999999}', {"id": "-99999999999999999999"}),
        (b"[" + b"9" * 5000 + b"]", ["9" * 5000]),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b'"12345678901234567890123"', "12345678901234567890123"),
    ],
)
def test_odd_json_is_read_without_loss(body: bytes, value: object) -> None:
    assert parse(body) == (value, None)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "empty"),
        (b"{", "not JSON"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": -Infinity}', "Infinity"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[" * 200_000, "nested too deeply"),
        (b"a=1&b=2", "not JSON"),
    ],
)
def test_what_is_no_json_is_refused_with_the_reason(body: bytes, problem: str) -> None:
    value, said = parse(body)
    assert value is None
    assert said is not None
    assert problem in said


@given(st.text() | st.text(st.characters(categories=["Cs"])))
def test_a_clean_text_can_be_stored_and_keeps_its_length(text: str) -> None:
    cleaned = clean_text(text)
    cleaned.encode()
    assert "\x00" not in cleaned
    assert len(cleaned) == len(text)
