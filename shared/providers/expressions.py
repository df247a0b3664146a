"""JMESPath expressions in a source's settings: checked when they are set, evaluated over foreign JSON.

Comes in: an expression's text, and parsed JSON. Comes out: a value, and whether it stood there. Pure; nothing is left
behind. What the JSON does to an expression is `PayloadUnexpected` and names the expression, never the value.
"""

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Annotated, Any

import jmespath
from jmespath.exceptions import JMESPathError, ParseError
from jmespath.functions import Functions
from pydantic import AfterValidator

from shared.errors import PayloadUnexpected
from shared.providers.contract import JSON

CHARACTERS_MAX = 2_000
DEPTH_MAX = 60  # jmespath recurses: what is checked here with a short stack is compiled elsewhere with a longer one
# What jmespath's functions raise on values that they were not made for: to_number('inf') to ceil, a deep to_string.
_RAISED = (JMESPathError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError)
# Steps that only lead on: of an expression made of these it can be told whether anything stands where it leads.
_STEPS = frozenset({"field", "index", "subexpression", "index_expression", "identity", "current"})

Step = str | int

# Texts, quoted names and literals; of the last alone the content is looked at.
_QUOTED = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|`((?:\\.|[^`\\])*)`""", re.DOTALL)


class Expression:
    """A compiled expression."""

    __slots__ = ("_parsed", "_steps", "is_path", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._parsed = jmespath.compile(text)
        tree = self._parsed.parsed
        self.is_path = all(node["type"] in _STEPS for node in nodes(tree))
        self._steps: tuple[Step, ...] | None = tuple(_steps(tree)) if self.is_path else None

    def find(self, value: JSON) -> tuple[bool, Any]:
        """Whether something stands there, and what.

        A path tells null from absent; any other expression that comes to null has found nothing.

        Raises:
            PayloadUnexpected: a function was given what it does not take.
        """
        if self._steps is not None:
            return _follow(value, self._steps)
        try:
            found = self._parsed.search(value)
        except _RAISED as error:
            raise PayloadUnexpected(f"the expression {self.text} does not fit what came") from error
        return found is not None, found


@lru_cache(maxsize=2048)
def compiled(text: str) -> Expression:
    """The expression of a text that was checked."""
    return Expression(text)


def check(text: str) -> str:
    """The text, when it is an expression.

    Raises:
        ValueError: it is none, or calls what there is not; says what is wrong, and at which character where it can.
    """
    if len(text) > CHARACTERS_MAX:
        raise ValueError(f"an expression has at most {CHARACTERS_MAX} characters")
    _check_literals(text)
    try:
        tree = jmespath.compile(text).parsed
    except ParseError as error:
        at = error.lex_position + 1
        raise ValueError(f"no JMESPath at character {at}: {_found(error)}") from error
    except RecursionError as error:
        raise ValueError("the expression nests too deeply") from error
    except JMESPathError as error:
        raise ValueError("an expression is needed") from error
    if _brackets(text) > DEPTH_MAX or _depth(tree) > DEPTH_MAX:
        raise ValueError("the expression nests too deeply")
    for node in nodes(tree):
        if node["type"] == "function_expression":
            _check_call(node)
    return text


Expr = Annotated[str, AfterValidator(check)]


def _found(error: ParseError) -> str:
    if error.lex_position >= len(error.expression or ""):
        return "it ends too early"
    if error.token_value in (".", "$") and error.lex_position == 0:
        return f"{error.token_value!r} begins no expression; the body itself is @, and its field a is just a"
    if error.token_value == "-":  # noqa: S105  # a token of the language
        return "unexpected '-'; a name with a hyphen is quoted: \"my-name\""
    return f"unexpected {error.token_value!r}"


def _check_literals(text: str) -> None:
    # jmespath takes what is no JSON for a text, and warns that it will not for ever.
    for match in _QUOTED.finditer(text):
        if match[1] is not None:
            try:
                json.loads(match[1].replace("\\`", "`"))
            except ValueError as error:
                raise ValueError(
                    f"no JSON between the backticks at character {match.start() + 1}; a text stands in 'single quotes'"
                ) from error


def _check_call(node: Any) -> None:
    name, given = node["value"], len(node["children"])
    known = Functions.FUNCTION_TABLE.get(name)
    if known is None:
        raise ValueError(f"there is no function {name}; there are {', '.join(sorted(Functions.FUNCTION_TABLE))}")
    wanted = known["signature"]
    is_open = bool(wanted and wanted[-1].get("variadic"))
    if given < len(wanted) or (given > len(wanted) and not is_open):
        raise ValueError(f"{name} takes {len(wanted)}{' or more' if is_open else ''} arguments and not {given}")


def _brackets(text: str) -> int:
    """How deep its brackets go, those in texts counted too; round ones leave no trace in the parsed tree."""
    depth = deepest = 0
    for sign in text:
        depth += (sign in "([{") - (sign in ")]}")
        deepest = max(deepest, depth)
    return deepest


def _depth(tree: Any) -> int:
    level, depth = [tree], 0
    while level:
        depth += 1
        level = [child for node in level for child in node["children"] if isinstance(child, dict)]
    return depth


def nodes(tree: Any) -> Iterator[Any]:
    """Every node of a parsed expression."""
    yield tree
    for child in tree["children"]:
        if isinstance(child, dict):
            yield from nodes(child)


def _steps(tree: Any) -> Iterator[Step]:
    if tree["type"] in ("field", "index"):
        yield tree["value"]
    for child in tree["children"]:
        yield from _steps(child)


def _follow(value: JSON, steps: tuple[Step, ...]) -> tuple[bool, Any]:
    for step in steps:
        if isinstance(step, str):
            if not isinstance(value, dict) or step not in value:
                return False, None
        elif not isinstance(value, list) or not -len(value) <= step < len(value):
            return False, None
        value = value[step]
    return True, value
