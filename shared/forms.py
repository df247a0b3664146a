"""How a value is checked and brought into its form.

Comes in: what a provider's transform says. Comes out: what can be merged and stored. Pure; a process that dies in the
middle leaves nothing.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from math import isfinite
from typing import Any, Final

from shared.clock import parse_instant, to_json
from shared.record_kinds import LAST_COUNTED, Field, Form
from shared.record_shapes import Shape, shapes_of

Check = Callable[[Any], Any]  # raises TypeError, which says what was expected

BIGGEST: Final = 2**63 - 1  # of a bigint
ID_CHARACTERS: Final = 255


def text(value: Any) -> str | None:
    """A text, or a number as one."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"text expected, not {type(value).__name__}")
    return str(value)


def one_of(words: tuple[str, ...]) -> Check:
    """A check that passes these words and null alone."""
    known = frozenset(words)

    def check(value: Any) -> str | None:
        if value is not None and value not in known:
            raise TypeError(f"one of {', '.join(words)} expected, not {value!r}")
        return value  # type: ignore[no-any-return]  # it is one of the words

    return check


def time(value: Any) -> datetime | None:
    """An instant, in UTC."""
    if value is None:
        return None
    at = value if isinstance(value, datetime) else parse_instant(value)
    if at is None:
        raise TypeError("an instant expected")
    return at.astimezone(UTC) if at.tzinfo is not None else at.replace(tzinfo=UTC)


def whole(value: Any) -> int | None:
    """A whole number that a bigint holds. Money is one, in minor units, and never a float."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"a whole number expected, not {type(value).__name__}")
    if abs(value) > BIGGEST:
        raise TypeError("the number is too big")
    return value


def _id(value: Any) -> str | None:
    found = text(value)
    if found is not None and len(found) > ID_CHARACTERS:
        raise TypeError(f"an id has at most {ID_CHARACTERS} characters")
    return found


def _number(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise TypeError("a number expected")
    return float(value)


def _object(value: Any) -> dict[str, Any]:
    if type(value) is dict:  # as all that is read from JSON; nobody writes to what a change says, so it is not copied
        return value
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise TypeError(f"an object expected, not {type(value).__name__}")
    return {str(name): item for name, item in value.items()}


def _custom(value: Any) -> dict[str, str | None]:
    return {name: _as_text(item) for name, item in _object(value).items()}


def _flags(value: Any) -> dict[str, bool | None]:
    return {name: None if item is None else _of(name, _flag, item) for name, item in _object(value).items()}


def _counts(value: Any) -> dict[str, int | str | None]:
    return {
        name: _of(name, _json_time if name == LAST_COUNTED else whole, item) for name, item in _object(value).items()
    }


def _json_time(value: Any) -> str | None:
    at = time(value)
    return None if at is None else to_json(at)


def _of(name: str, check: Check, item: Any) -> Any:
    """What stands under a name, checked."""
    try:
        return check(item)
    except TypeError as error:
        raise TypeError(f"{name}: {error}") from error


def _as_text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ", ".join(_as_text(item) or "" for item in value)
    return text(value)


def _part(value: Any) -> dict[str, Any] | None:
    return _object(value) or None


def _flag(value: Any) -> bool:
    if value is None or isinstance(value, bool):
        return bool(value)
    raise TypeError(f"true or false expected, not {type(value).__name__}")


def _texts(value: Any) -> list[str]:
    return list(dict.fromkeys(found for item in _list(value) if (found := text(item))))


def _items(value: Any) -> list[dict[str, Any]]:
    return [_object(item) for item in _list(value)]


def _tags(value: Any) -> list[dict[str, Any]]:
    """Each tag as {"name", and "id" and "appliedAt" where the provider says them}; a name once."""
    tags: dict[str, dict[str, Any]] = {}
    for item in _list(value):
        given = _object({"name": item} if isinstance(item, str) else item)
        name = text(given.get("name"))
        if not name:
            raise TypeError("a tag needs a name")
        applied_at = time(given.get("appliedAt"))
        tags[name] = {
            "name": name,
            **({"id": text(given["id"])} if given.get("id") is not None else {}),
            **({"appliedAt": to_json(applied_at)} if applied_at is not None else {}),
        }
    return list(tags.values())


def _list(value: Any) -> list[Any] | tuple[Any, ...]:
    if value is None:
        return []
    if not isinstance(value, list | tuple):
        raise TypeError(f"a list expected, not {type(value).__name__}")
    return value


CHECKS: Final[Mapping[Form, Check]] = {
    Form.TEXT: text,
    Form.ID: _id,
    Form.TIME: time,
    Form.MINOR: whole,
    Form.COUNT: whole,
    Form.NUMBER: _number,
    Form.FLAG: _flag,
    Form.OBJECT: _object,
    Form.PART: _part,
    Form.TEXTS: _texts,
    Form.ITEMS: _items,
    Form.CUSTOM: _custom,
    Form.FLAGS: _flags,
    Form.COUNTS: _counts,
    Form.TAGS: _tags,
}


def check_of(kind: str, field: Field) -> Check:
    """The check of a kind's field: of its words, of the shape of what stands in it, or of its form alone."""
    shape = shapes_of(kind).get(field.name)
    if shape is None:
        return one_of(field.words) if field.words else CHECKS[field.form]
    each = _shaped(shape)
    if field.form is Form.PART:
        return lambda value: each(value) if value else _part(value)
    return lambda value: [each(item) for item in _list(value)]


def _shaped(shape: Shape) -> Check:
    """A check that passes objects whose keys are of their forms; a key that is absent stays so, any other passes."""
    checks = {name: CHECKS[form] for name, form in shape.keys.items()}

    def check(value: Any) -> dict[str, Any]:
        found, formed = _object(value), dict[str, Any]()
        for name, item in found.items():
            its = checks.get(name)
            if its is not None and (item is not None or shape.blank[name] is not None):
                in_form = _of(name, its, item)
                if in_form is not item:
                    formed[name] = in_form
        return {**found, **formed} if formed else found

    return check
