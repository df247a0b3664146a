import json
from decimal import Decimal

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared import payload, strict_json
from shared.payload import clean_text, parse
from shared.providers import samples
from shared.providers.registry import PROVIDERS

JSONS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_characters="\x00"), max_size=5), inner, max_size=3)
    ),
    max_leaves=10,
)

# Texts of JSON, written in every way that the grammar allows.
SPACE = st.sampled_from(["", "", "", " ", "\n", "\t ", " \r\n"])
SHORT = {'"': '\\"', "\\": "\\\\", "/": "\\/", "\n": "\\n", "\t": "\\t", "\x08": "\\b", "\x0c": "\\f", "\r": "\\r"}


@st.composite
def written(draw: st.DrawFn, characters: st.SearchStrategy[str]) -> str:
    """A text, each character raw, by its short escape or by number."""
    made = []
    for one in draw(st.lists(characters, max_size=4)):
        ways = [f"\\u{ord(one):04x}", f"\\u{ord(one):04X}"] if ord(one) < 0x10000 else []
        if one in SHORT:
            ways.append(SHORT[one])
        if one not in '"\\' and one >= " " and not "\ud800" <= one <= "\udfff":
            ways += [one, one]
        made.append(draw(st.sampled_from(ways)))
    return f'"{"".join(made)}"'


NAMES = written(st.sampled_from('ab:"\\'))  # so few that they often meet
SCALARS = st.sampled_from(
    ["null", "true", "0", "-1", "1.5e3", "9007199254740993", "-9999999999999999999", "18446744073709551616", "1e-9"]
)


@st.composite
def texts_of_json(draw: st.DrawFn, characters: str = 'x:"\\é😀 \n\t/,{}', depth: int = 3) -> str:
    kind = draw(st.sampled_from(["text", "scalar", "object", "object", "list"] if depth else ["text", "scalar"]))
    if kind == "text":
        return draw(written(st.sampled_from(characters)))
    if kind == "scalar":
        return draw(SCALARS)

    def spaced(token: str) -> str:
        return f"{draw(SPACE)}{token}{draw(SPACE)}"

    items = [draw(texts_of_json(characters, depth - 1)) for _ in range(draw(st.integers(0, 3)))]
    if kind == "list":
        return spaced("[") + ",".join(map(spaced, items)) + spaced("]")
    return spaced("{") + ",".join(f"{spaced(draw(NAMES))}:{spaced(item)}" for item in items) + spaced("}")


def says_something_twice(text: str) -> bool:
    """The referee: the standard parser, asked for every pair."""
    found = []
    json.loads(text, object_pairs_hook=lambda pairs: found.append(len(dict(pairs)) < len(pairs)))
    return any(found)


@given(st.binary(max_size=200))
def test_no_bytes_make_it_raise(body: bytes) -> None:
    value, problem = parse(body)
    assert value is None or problem is None


@given(JSONS)
def test_whatever_json_comes_can_be_written_down_again(value: object) -> None:
    parsed, problem = parse(json.dumps(value).encode("utf-8", "surrogatepass"))
    assert problem is None
    assert parsed == value
    assert b"\\u0000" not in orjson.dumps(parsed)


@given(texts_of_json())
@example('{"a":1,"\\u003a":2,"a":3}')
@example('{"a":"\\u003A","a":0}')
@example('{"a" :1,"a": ":"}')
@example('{"a":"\\"\\u003a","a":""}')
@example('{"x\\\\":1,"x\\u005c":2}')
@example('{"a":-9999999999999999999,"a":1}')
def test_a_name_that_stands_twice_is_found_wherever_it_is_and_however_it_is_written(text: str) -> None:
    value, problem = parse(text.encode())
    assert (problem is not None and problem.endswith("twice")) == says_something_twice(text)
    if problem is None:
        assert value == json.loads(
            text, parse_int=lambda digits: strict_json.read(digits.encode(), "", with_nul=True)[0]
        )


@given(st.from_regex(r"-?(0|[1-9][0-9]{0,24})(\.[0-9]{1,24})?([eE][+-]?[0-9]{1,2})?", fullmatch=True))
@example("9007199254740993.0")
@example("-9007199254740995e0")
@example("90071992547409.9312345")
@example("0.30000000000000004")
@example("0.00000000000000000001")
def test_no_number_is_rounded(digits: str) -> None:
    value, problem = parse(f'{{"a":[{digits}]}}'.encode())
    assert problem is None
    assert Decimal(repr(value["a"][0]) if isinstance(value["a"][0], float) else value["a"][0]) == Decimal(digits)


@given(texts_of_json(characters="x:\x00\ud800\udc00"))
def test_what_postgresql_cannot_hold_is_refused_and_all_else_is_not(text: str) -> None:
    value, problem = parse(text.encode())
    held = json.dumps(json.loads(text), ensure_ascii=False)
    is_storable = "\\u0000" not in held.replace("\\\\", "") and held == clean_text(held)
    assert (problem is None) == (is_storable and not says_something_twice(text))
    if problem is None:
        orjson.dumps(value)


@pytest.mark.parametrize("name", PROVIDERS)
def test_no_providers_bodies_go_the_slow_way(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payload.strict_json, "read", lambda *_, **__: pytest.fail("slowly"))
    for one in samples.stored(name):
        value, _ = parse(one.body)
        for body in (orjson.dumps(value), json.dumps(value).encode(), json.dumps(value, indent=1).encode()):
            assert parse(body) == (value, None)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'["\\ud83d\\ude00"]', ["😀"]),
        (b'["\\\\u0000", "\\\\ud800"]', ["\\u0000", "\\ud800"]),
        (b'{"id": 706405506930370084}', {"id": 706405506930370084}),
        (b'{"id": 18446744073709551615}', {"id": 18446744073709551615}),
        (b'{"id": 18446744073709551616}', {"id": "18446744073709551616"}),
        (b'{"id": -9223372036854775808}', {"id": -9223372036854775808}),
        (b'{"id": -9223372036854775809}', {"id": "-9223372036854775809"}),
        (b'{"id": -9999999999999999999}', {"id": "-9999999999999999999"}),
        (b'{"id": -99999999999999999999}', {"id": "-99999999999999999999"}),
        (b"[" + b"9" * 5000 + b"]", ["9" * 5000]),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b'"12345678901234567890123"', "12345678901234567890123"),
    ],
)
def test_odd_json_is_read_without_loss(body: bytes, value: object) -> None:
    assert parse(body) == (value, None)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "the body is empty"),
        (b"{", "the body is not JSON"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": -Infinity}', "Infinity"),
        (b'{"a": [1, 1e999]}', "the body holds a number that is too large at a[1]"),
        (b"\xff\xfe", "the body is not UTF-8"),
        (b'["\xed\xa0\x80"]', "the body is not UTF-8"),
        (b'["a\x00"]', "the body is not JSON: Invalid control character"),
        (b"[" * 200_000, "the body is nested too deeply"),
        (b"[" * 255 + b"]" * 255, "the body is nested too deeply"),
        (b'{"\\u003a":' * 255 + b"1" + b"}" * 255, "the body is nested too deeply"),
        (b"a=1&b=2", "the body is not JSON"),
        (b'{"a": 1, "a": 2}', 'the body names "a" twice'),
        (b'{"lines": [{}, {"\\u0061": 1, "a": 1}]}', 'the body names "lines[1].a" twice'),
        (b'{"a":\n{"" : 1, "": 1}}', 'the body names "a." twice'),
        (b'{"customer": {"note": "x\\u0000y"}}', "the body holds a NUL character at customer.note"),
        (b'{"a": [0, {"b": "\\ud800"}]}', "the body holds a lone surrogate at a[1].b"),
        (b'"\\udfff"', "the body holds a lone surrogate"),
        (b'{"a": {"b\\u0000": 1}}', 'the body holds a NUL character in the name "a.b\ufffd"'),
        (b'{"\\ud800": 1, "\\ud800": 1}', 'the body holds a lone surrogate in the name "\ufffd"'),
    ],
)
def test_what_cannot_be_taken_is_refused_with_the_reason(body: bytes, problem: str) -> None:
    value, said = parse(body)
    assert value is None
    assert said is not None
    assert said == problem or (said.startswith("the body is not JSON") and problem in said)


def test_as_deep_as_the_fast_way_reads_the_slow_way_reads_too() -> None:
    for start in ('{"a":', '{"\\u003a":'):
        assert parse((start * 254 + "1" + "}" * 254).encode())[1] is None


@pytest.mark.parametrize("name", ["x" * 100_000, "\n\t\x1b[2J" * 50, "é" * 90, '"' * 60])
def test_a_reason_is_short_and_can_be_shown_whatever_a_name_is(name: str) -> None:
    body = {name: [{name: {name: {name: {name: "\x00"}}}}]}
    _, problem = parse(json.dumps(body).encode())
    assert problem is not None
    assert len(problem) <= 200
    assert problem.isprintable()


def test_what_was_signed_can_be_read_with_its_nuls() -> None:
    assert parse(b'{"a": "x\\u0000", "b\\u0000": 1}', with_nul=True) == ({"a": "x\x00", "b\x00": 1}, None)
    assert parse(b'{"a": "\\u0000", "a": 1}', "Message", with_nul=True) == (None, 'Message names "a" twice')
    assert parse(b'["\\u0000\\ud800"]', with_nul=True) == (None, "the body holds a lone surrogate at [0]")


@given(st.text() | st.text(st.characters(categories=["Cs"])))
def test_a_clean_text_can_be_stored_and_keeps_its_length(text: str) -> None:
    cleaned = clean_text(text)
    cleaned.encode()
    assert "\x00" not in cleaned
    assert len(cleaned) == len(text)
