"""How deliveries and attempts look in the API. Pure."""

from collections.abc import Mapping
from typing import Any, Self
from uuid import UUID

from pydantic import Field

from shared.deliveries import status_of
from shared.states import DeliveryState
from web.shapes import Answer, Instant, Pagination, Shape


class Delivery(Shape):
    """One event owed to one webhook."""

    id: UUID
    webhook_id: UUID
    event_id: UUID = Field(description="The `webhook-id` header of every attempt.")
    event_type: str
    status: str = Field(description="success, failed, pending, held or discarded.")
    state: str = Field(description="The same, finer: pending, leased, delivered, held, dead or discarded.")
    attempts: int
    status_code: int | None = Field(description="HTTP status of the last reply.")
    response_body: str | None = Field(description="The first 2 KB of the last reply.")
    error_code: str | None
    error: str | None = Field(description="Why the last attempt failed.")
    duration_ms: int | None
    last_attempt_at: Instant | None
    next_attempt_at: Instant | None = Field(description="When it is due; null when it waits for nothing.")
    created_at: Instant
    finished_at: Instant | None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """The shape of a row of `shared.deliveries`."""
        return cls.model_validate(
            {
                **row,
                "webhook_id": row["subscription_id"],
                "status": status_of(row["state"]),
                "status_code": row["response_status"] or row["last_status"],
                "response_body": row["response_excerpt"],
                "error_code": row["last_error"],
                "error": row["error"] or row["last_error"],
                "next_attempt_at": row["next_attempt_at"] if row["state"] == DeliveryState.PENDING else None,
            }
        )


class Attempt(Shape):
    """One try."""

    number: int
    verdict: str = Field(description="delivered, again, dead, gone, or later (a rate limit: no try was used up).")
    status_code: int | None
    error_code: str | None
    error: str | None
    response_body: str | None
    duration_ms: int
    started_at: Instant

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """The shape of a row of `attempts`."""
        return cls.model_validate({**row, "status_code": row["status"], "response_body": row["response_excerpt"]})


class DeliveryDetail(Delivery):
    """One delivery with all its attempts."""

    attempts_made: list[Attempt]
    body: str | None = Field(
        description="What is sent, to the byte; null for viewers, and once the event is past its time."
    )

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """The shape of what `shared.deliveries.get` gives."""
        tries = [Attempt.of(attempt) for attempt in row["attempts_made"]]
        plain = Delivery.of(row).model_dump()
        return cls.model_validate({**plain, "attempts_made": tries, "body": row["body"]})


class DeliveryAnswer(Answer):
    """One delivery."""

    delivery: DeliveryDetail


class DeliveriesAnswer(Answer):
    """A page of deliveries."""

    deliveries: list[Delivery]
    pagination: Pagination
