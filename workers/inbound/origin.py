"""Where an event comes from, and how its draft is made.

Pure; a process that dies in the middle leaves nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from shared.event_types import CATALOGUE
from shared.events import EventDraft, envelope


@dataclass(frozen=True, slots=True)
class Origin:
    """The message that a change came in, or the reading of an upstream API when `message_id` is None."""

    account_id: UUID
    message_id: UUID | None
    source_id: UUID | None
    provider: str
    occurred_at: datetime
    received_at: datetime


def draft(event_type: str, data: Mapping[str, Any], *, kind: str, row: Mapping[str, Any], origin: Origin) -> EventDraft:
    """An event about the record of `row`."""
    return EventDraft(
        account_id=origin.account_id,
        type=event_type,
        body=envelope(
            event_type=event_type,
            data=data,
            source=origin.provider,
            action=CATALOGUE[event_type].action,
            at=origin.occurred_at,
        ),
        occurred_at=origin.occurred_at,
        message_id=origin.message_id,
        source_id=origin.source_id,
        subject_kind=kind,
        subject_id=row["id"],
        accepted_at=origin.received_at,
    )
