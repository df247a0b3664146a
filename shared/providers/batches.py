"""Bodies that bring several things together, such as HubSpot's: each item is read for itself.

Comes in: the places of the settings and a parsed body. Comes out: the items, each with its topic, tenant and time; what
all of them are as one message; and what they mean, where an item that cannot be read takes nothing from the others.
Pure; nothing is left behind.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from shared import signatures
from shared.errors import PayloadUnexpected
from shared.providers import expressions
from shared.providers.contract import JSON, Change, Item, Outcome, Problem, topic_of
from shared.providers.places import Place
from shared.providers.record_mapping import ITEMS_MAX

MIXED: Final = "mixed"  # the topic of a message whose items are of several


@dataclass(frozen=True, slots=True)
class Places:
    """What is looked for in each item."""

    topic: Place | None
    tenant: Place | None
    occurred_at: Place | None


@dataclass(frozen=True, slots=True)
class Entry:
    """One item. `topic` is None where the item says none."""

    index: int | None  # None: the body is no list, and the one item itself
    value: JSON
    topic: str | None
    tenant: str
    occurred_at: datetime | None


def entries(items: str, places: Places, payload: JSON, *, whole: tuple[str | None, str]) -> list[Entry]:
    """The items at the expression; what stands in no body, the topic or the tenant of a header, is `whole`'s.

    Raises:
        PayloadUnexpected: nothing stands there, or more than a sender sends.
    """
    found = expressions.compiled(items).find(payload)[1]
    if found in (None, []):
        raise PayloadUnexpected(f"there are no items at {items}")
    if not isinstance(found, list):
        return [_entry(None, found, places, whole)]
    if len(found) > ITEMS_MAX:
        raise PayloadUnexpected(f"there are more than {ITEMS_MAX} items at {items}")
    return [_entry(index, value, places, whole) for index, value in enumerate(found)]


def _entry(index: int | None, value: JSON, places: Places, whole: tuple[str | None, str]) -> Entry:
    topic, tenant = whole
    if places.topic is not None and places.topic.is_in_body:
        topic = places.topic.find_in(value)
    if places.tenant is not None and places.tenant.is_in_body:
        tenant = places.tenant.find_in(value) or ""
    at = places.occurred_at.find_in(value) if places.occurred_at is not None and places.occurred_at.is_in_body else None
    unit = places.occurred_at.unit if places.occurred_at is not None else "iso"
    topic = None if topic is None else topic_of(topic)
    return Entry(index, value, topic, tenant, signatures.instant(at, unit) if at else None)


def topics_of(found: Iterable[Entry]) -> tuple[str, ...]:
    """The topics of the items, each once, in the order of the items."""
    return tuple(dict.fromkeys(entry.topic for entry in found if entry.topic is not None))


def tenant_of(found: Iterable[Entry]) -> str:
    """The one tenant that all items are of; "" when there are several."""
    tenants = {entry.tenant for entry in found}
    return tenants.pop() if len(tenants) == 1 else ""


def outcome(found: Sequence[Entry], topic: str, read: Callable[[Entry, str], Outcome]) -> Outcome:
    """What the items mean: their changes in order, and a problem for each that cannot be read.

    Raises:
        PayloadUnexpected: none of them can be read and none is ignored, so there is nothing to take in.
    """
    changes: list[Change] = []
    problems: list[Problem] = []
    ignored: list[str] = []
    for entry in found:
        try:
            if entry.topic is None:
                raise PayloadUnexpected("there is no topic where the settings say")  # noqa: TRY301  # as any other problem
            one = read(entry, entry.topic)
        except PayloadUnexpected as error:
            if entry.index is None:
                raise
            problems.append(Problem(entry.index, entry.topic, str(error)))
            continue
        if one.ignored is not None:
            ignored.append(one.ignored)
        changes += [_of(entry, entry.topic, change) for change in one.changes]
    if changes or (problems and ignored):
        return Outcome(changes=tuple(changes), problems=tuple(problems))
    if problems:
        raise PayloadUnexpected(Problem.told(problems))
    reasons = list(dict.fromkeys(ignored))
    return Outcome(ignored=reasons[0] if len(reasons) == 1 else f"no item of this {topic} is mapped to anything")


def _of(entry: Entry, topic: str, change: Change) -> Change:
    item = None if entry.index is None else Item(entry.index, topic, entry.tenant)
    return replace(change, version=change.version or entry.occurred_at, item=item)
