"""Expressions: what is wrong with one is said when it is set, and nothing that comes makes one raise anything else."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import PayloadUnexpected
from shared.providers.expressions import CHARACTERS_MAX, check, compiled

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=4),
    max_leaves=12,
)
EXPRESSIONS = [
    "a",
    "a.b[0].c",
    "[0].a",
    "@",
    "[*].a",
    "a[?b > `1`].c",
    "a[-1]",
    "a[::-1]",
    "join(',', a)",
    "join(',', [].join(':', [to_string(a), to_string(b)]))",
    "sum(a)",
    "avg([a, b])",
    "ceil(to_number(a))",
    "floor(a)",
    "max_by(@, &a).b",
    "sort(a) | [0]",
    "sort_by(a, &b)[0]",
    "map(&a, @)",
    "merge(a, b)",
    "keys(a)",
    "a == b && c || !d",
    "{x: a, y: b.c}",
    "contains(a, b)",
    "length(a)",
    "to_string(@)",
    "not_null(a, b, 'c')",
    "reverse(a)",
    r"a == `[\"\`\", 1]` || '`b`' || \"`c`\"".replace(r"\"", '"'),
]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "an expression is needed"),
        ("a..b", "character 3: unexpected '.'"),
        ("a[", "character 3: it ends too early"),
        ("a.b c", "character 5: unexpected 'c'"),
        ("my-name", "character 3: unexpected '-'; a name with a hyphen is quoted"),
        ("$.data.id", "character 1: '$' begins no expression; the body itself is @"),
        ("'open", "character 1: unexpected"),
        ("a || `b`", "no JSON between the backticks at character 6"),
        ("lower(a)", "there is no function lower; there are abs, "),
        ("a[?starts_with(b)]", "starts_with takes 2 arguments and not 1"),
        ("merge()", "merge takes 1 or more arguments and not 0"),
        ("length(a, b)", "length takes 1 arguments and not 2"),
        ("a" * (CHARACTERS_MAX + 1), "at most"),
        ("[" * 900, "nests too deeply"),
        ("(" * 70 + "a" + ")" * 70, "nests too deeply"),
        ("|".join("a" * 70), "nests too deeply"),
        ("!" * 70 + "a", "nests too deeply"),
    ],
)
def test_what_is_wrong_with_an_expression_is_said_and_where(text, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        check(text)


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_an_expression_is_passed_as_it_is(text):
    assert check(text) == text


@given(text=st.text(max_size=30) | st.text("ab.[]*?&|'`\"{}:, @!<=>()-0", max_size=30))
def test_any_text_is_an_expression_or_a_readable_problem(text):
    try:
        check(text)
    except ValueError as error:
        said = str(error)
    else:
        said = "nothing"
    assert said


@given(text=st.sampled_from(EXPRESSIONS), value=VALUES)
def test_any_value_is_searched_or_unexpected_and_nothing_else(text, value):
    try:
        there, found = compiled(text).find(value)
    except PayloadUnexpected as error:
        said = str(error)
    else:
        said = text
        assert there or found is None
    assert text in said


def test_a_deep_body_is_unexpected_and_not_the_end():
    deep: Any = "end"
    for _ in range(5_000):
        deep = {"a": deep}
    with pytest.raises(PayloadUnexpected):
        compiled("to_string(@)").find(deep)


@pytest.mark.parametrize(
    ("text", "there", "found"),
    [
        ("a", True, None),
        ("b", False, None),
        ("list[1]", True, None),
        ("list[2]", False, None),
        ("list[-2]", True, 7),
        ("list.a", False, None),
        ('"a"', True, None),
        ("a || b", False, None),
        ("list[0] || b", True, 7),
    ],
)
def test_a_path_tells_null_from_absent(text, there, found):
    assert compiled(text).find({"a": None, "list": [7, None]}) == (there, found)
