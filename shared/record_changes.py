"""What a provider says of a record, checked: only our fields, each of its form, and no more beside them than fits.

Comes in: a `Change` of a transform. Comes out: a change whose fields can be merged and stored as they are. Pure; a
process that dies in the middle leaves nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

import orjson

from shared.errors import PayloadUnexpected
from shared.forms import Check, check_of, time, whole
from shared.payload import clean_text, scrub
from shared.providers import leftovers
from shared.providers.contract import Change
from shared.record_kinds import KINDS, USER, RecordKind
from shared.record_shapes import shapes_of

ID_CHARACTERS = 255  # an index entry holds 2,700 bytes; what is longer than this is no id
INTERACTION: Final = "interaction"
_COUNTERS: Final = {"messages": "messagesCount", "comments": "commentsCount", "stories": "storiesCount"}


class RecordKey(NamedTuple):
    """Whose record it is; the order of keys is the order of locks."""

    account_id: UUID
    provider: str
    tenant: str
    external_id: str


@dataclass(frozen=True, slots=True)
class RecordChange:
    """One statement about one record.

    `count` adds to a user's interactions, whose names `fields` then has; it happened, so no version makes it stale.
    `adjust` adds to the quantities of an order's lines and takes from them. `repoint` gives an order of one customer to
    another: `fields` has the id of the one by that of the other.
    """

    kind: RecordKind
    key: RecordKey
    op: Literal["upsert", "delete", "count", "adjust", "repoint"]
    version: datetime
    fields: Mapping[str, Any]
    once: str | None = None  # what the provider calls this happening: counted once, however often it is told
    part: str | None = None  # it speaks of a part with a clock of its own
    guesses: frozenset[str] = frozenset()  # fields that count only where nothing is known
    is_of_forgotten: bool = False  # it refers to somebody who was erased, or to an order of theirs


# created_at is of the frame, but the provider may know it better than we do.
_CHECKS: Final[Mapping[str, Mapping[str, Check]]] = {
    kind.name: {
        **{field.name: check_of(kind.name, field) for field in kind.fields},
        "created_at": time,
    }
    for kind in KINDS.values()
}


def record_change(change: Change, *, account_id: UUID, provider: str, tenant: str, version: datetime) -> RecordChange:
    """The change with its fields checked.

    Raises:
        PayloadUnexpected: a kind that there are no records of, no usable id, or a field that is not ours or not of
            its form.
    """
    if not 0 < len(change.external_id) <= ID_CHARACTERS or len(tenant) > ID_CHARACTERS:
        raise PayloadUnexpected(f"an id has 1 to {ID_CHARACTERS} characters")
    key = RecordKey(account_id, provider, tenant, clean_text(change.external_id))
    if change.kind == INTERACTION:
        return _interaction(change, key, version)
    kind = KINDS.get(change.kind)
    if kind is None:
        raise PayloadUnexpected(f"there are no records of kind {change.kind!r}")
    checks = _CHECKS[change.kind]
    told, once = change.fields, None
    if change.op == "adjust":
        once = str(told["key"])
        told = {name: value for name, value in told.items() if name != "key"}
    fields = {name: _check(kind, checks, name, value) for name, value in told.items()}
    return RecordChange(kind, key, change.op, version, _storable(kind, fields), once, change.part, change.guesses)


def _storable(kind: RecordKind, fields: dict[str, Any]) -> dict[str, Any]:
    """The fields as they can be written down: tried here, where one message fails, and not a whole batch."""
    try:
        written = orjson.dumps([[[[[fields]]]]])  # as deep as the envelope will hold them
    except TypeError as error:
        raise PayloadUnexpected(f"its fields cannot be written as JSON: {error}") from error
    if len(written) > leftovers.RECORD_BYTES:
        fields = _within_bounds(kind, fields)
    if b"\\u0000" not in written:
        return fields
    cleaned: dict[str, Any] = scrub(fields)
    return cleaned


def _within_bounds(kind: RecordKind, fields: dict[str, Any]) -> dict[str, Any]:
    """The fields with no more of what has none than there is room for."""
    found = dict(fields)
    for name in shapes_of(kind.name).keys() & fields.keys():
        value = fields[name]
        found[name] = leftovers.of_items(value) if isinstance(value, list) else value and leftovers.of_item(value)
    if "attributes" in fields:
        found["attributes"] = leftovers.of_record(fields["attributes"])
    return found


def _check(kind: RecordKind, checks: Mapping[str, Check], name: str, value: Any) -> Any:
    check = checks.get(name)
    if check is None:
        raise PayloadUnexpected(f"the kind {kind.name} has no field {name!r}")
    try:
        return check(value)
    except TypeError as error:
        raise PayloadUnexpected(f"{name}: {error}") from error


def _interaction(change: Change, key: RecordKey, version: datetime) -> RecordChange:
    """Counters to add to; `fields` has `key`, and how many `messages`, `comments` and `stories`."""
    fields: dict[str, int] = {}
    for name, value in change.fields.items():
        if name == "key":
            continue
        if name not in _COUNTERS:
            raise PayloadUnexpected(f"an interaction has no counter {name!r}")
        try:
            fields[_COUNTERS[name]] = whole(value) or 0
        except TypeError as error:
            raise PayloadUnexpected(f"{name}: {error}") from error
    once = change.fields.get("key")
    return RecordChange(USER, key, "count", version, fields, None if once is None else str(once))
