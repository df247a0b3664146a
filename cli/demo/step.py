"""A step: one webhook that the demo sends, and what must become of it.

Pure values; nothing is left behind.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

# (provider, kind, the provider's id)
Record = tuple[str, str, str]


class Fate(StrEnum):
    """What must become of a webhook."""

    PROCESSED = "processed"
    IGNORED = "ignored"
    STALE = "stale"
    DUPLICATE = "duplicate"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Step:
    """One webhook and its fate."""

    provider: str
    topic: str
    number: int  # of whom it is about; by it the sample varies
    tenant: str
    delivery_id: str
    body: bytes
    at: datetime  # when the provider says it happened
    fate: Fate
    events: tuple[str, ...] = ()  # those it must cause, among others that hang on what the sample holds
    # How each of its records must look afterwards, in one telling word: a phone number, a status. None: deleted.
    leaves: Mapping[Record, str | None] = field(default_factory=dict)
    at_once: int = 1  # how many times it is posted at the same moment; all but one are repeats
    forged: bool = False


Story = Sequence[Step]
