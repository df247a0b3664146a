"""What a provider says of a user, checked: only our columns, each of its type.

Comes in: a `Change` of a transform. Comes out: a change whose fields can be merged and stored as they are. Pure; a
process that dies in the middle leaves nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

import orjson

from shared.clock import parse_instant, to_json
from shared.errors import PayloadUnexpected
from shared.providers.contract import Change
from shared.users import OBJECT_FIELDS, TEXT_FIELDS, TIME_FIELDS
from workers.inbound.payload import clean_text, scrub

ID_CHARACTERS = 255  # an index entry holds 2,700 bytes; what is longer than this is no id


class UserKey(NamedTuple):
    """Whose record a user is; the order of keys is the order of locks."""

    account_id: UUID
    provider: str
    tenant: str
    external_id: str


@dataclass(frozen=True, slots=True)
class UserChange:
    """One statement about one user."""

    key: UserKey
    op: Literal["upsert", "delete"]
    version: datetime
    fields: Mapping[str, Any]


def user_change(change: Change, *, account_id: UUID, provider: str, tenant: str, version: datetime) -> UserChange:
    """The change with its fields checked.

    Raises:
        PayloadUnexpected: another kind than `user`, no usable id, or a field that is not ours or not of its type.
    """
    if change.kind != "user":
        raise PayloadUnexpected(f"there are no records of kind {change.kind!r}")
    if not 0 < len(change.external_id) <= ID_CHARACTERS or len(tenant) > ID_CHARACTERS:
        raise PayloadUnexpected(f"an id has 1 to {ID_CHARACTERS} characters")
    key = UserKey(account_id, provider, tenant, clean_text(change.external_id))
    fields = {name: _check(name, value) for name, value in change.fields.items()}
    return UserChange(key, change.op, version, _storable(fields))


def _storable(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields as they can be written down: tried here, where one message fails, and not a whole batch."""
    try:
        written = orjson.dumps([[[[[fields]]]]])  # as deep as the envelope will hold them
    except TypeError as error:
        raise PayloadUnexpected(f"its fields cannot be written as JSON: {error}") from error
    if b"\\u0000" not in written:
        return fields
    cleaned: dict[str, Any] = scrub(fields)
    return cleaned


def _check(name: str, value: Any) -> Any:
    check = _CHECKS.get(name)
    if check is None:
        raise PayloadUnexpected(f"a user has no field {name!r}")
    try:
        return check(value)
    except TypeError as error:
        raise PayloadUnexpected(f"{name}: {error}") from error


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"text expected, not {type(value).__name__}")
    return str(value)


def _time(value: Any) -> datetime | None:
    if value is None:
        return None
    at = value if isinstance(value, datetime) else parse_instant(value)
    if at is None:
        raise TypeError("an instant expected")
    return at.astimezone(UTC) if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _object(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise TypeError(f"an object expected, not {type(value).__name__}")
    return {str(name): item for name, item in value.items()}


def _custom_fields(value: Any) -> dict[str, str | None]:
    return {name: _as_text(item) for name, item in _object(value).items()}


def _as_text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ", ".join(_as_text(item) or "" for item in value)
    return _text(value)


def _address(value: Any) -> dict[str, Any] | None:
    return _object(value) or None


def _flag(value: Any) -> bool:
    if value is None or isinstance(value, bool):
        return bool(value)
    raise TypeError(f"true or false expected, not {type(value).__name__}")


def _texts(value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, str) or not isinstance(value, list | tuple):
        raise TypeError(f"a list expected, not {type(value).__name__}")
    return list(dict.fromkeys(text for item in value if (text := _text(item))))


def _tags(value: Any) -> list[dict[str, Any]]:
    """Each tag as {"name", and "id" and "appliedAt" where the provider says them}; a name once."""
    if value is None:
        return []
    if not isinstance(value, list | tuple):
        raise TypeError(f"a list expected, not {type(value).__name__}")
    tags: dict[str, dict[str, Any]] = {}
    for item in value:
        given = _object({"name": item} if isinstance(item, str) else item)
        name = _text(given.get("name"))
        if not name:
            raise TypeError("a tag needs a name")
        applied_at = _time(given.get("appliedAt"))
        tags[name] = {
            "name": name,
            **({"id": _text(given["id"])} if given.get("id") is not None else {}),
            **({"appliedAt": to_json(applied_at)} if applied_at is not None else {}),
        }
    return list(tags.values())


_CHECKS: Final[Mapping[str, Callable[[Any], Any]]] = {
    **dict.fromkeys(TEXT_FIELDS, _text),
    **dict.fromkeys(OBJECT_FIELDS, _object),
    **dict.fromkeys(TIME_FIELDS, _time),
    "custom_fields": _custom_fields,
    "export_consent_given": _flag,
    "roles": _texts,
    "tags": _tags,
    "address": _address,
}
