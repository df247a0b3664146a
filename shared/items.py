"""Items: the things that one message brings together, each taken in or not for itself.

Comes in: the changes of a message's items, and what of it a provider could not read. Comes out: those that can be
stored and are wanted, and the problems of the others. Pure; nothing is left behind.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Generic, TypeVar

from shared.errors import PayloadUnexpected
from shared.providers.contract import Change, Problem

Checked = TypeVar("Checked")


@dataclass(slots=True)
class ItemsRead(Generic[Checked]):
    """What became of a message's items."""

    changes: list[Checked] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def read_items(
    changes: Sequence[Change],
    problems: Sequence[Problem],
    *,
    wanted: frozenset[str] | None,
    check: Callable[[Change], Checked],
) -> ItemsRead[Checked]:
    """What `check` makes of the changes of every item whose topic is wanted (None: all are).

    An item whose changes `check` raises PayloadUnexpected for is a problem, and none of its changes count.
    """
    read: ItemsRead[Checked] = ItemsRead()
    read.problems += [one for one in problems if wanted is None or one.topic is None or one.topic in wanted]
    for item, mine in groupby(changes, key=lambda change: change.item):
        if item is None or (wanted is not None and item.topic not in wanted):
            continue
        try:
            checked = [check(change) for change in mine]
        except PayloadUnexpected as error:
            read.problems.append(Problem(item.index, item.topic, str(error)))
            continue
        read.changes += checked
    return read
