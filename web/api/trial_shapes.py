"""The shapes of a source's trial: what is tried out, and what it would be.

Pure; nothing is left behind.
"""

from typing import Any

import orjson
from pydantic import Field

from shared.trials import Given
from web.shapes import Answer, Form, Instant, Shape


class TrySource(Form):
    """A request to try out, as its sender would post it."""

    headers: dict[str, str | list[str]] = Field({}, description="By name; a list where one is sent several times.")
    body: Any = Field("", description="A text: the body as it is. Anything else: JSON, written out.")
    method: str = Field("POST", pattern="^[A-Z]{1,20}$")
    beneath: str = Field("", pattern="^([/?].*)?$", description="Beneath the source's own URL: `/...` or `?...`.")
    settings: dict[str, Any] | None = Field(None, description="To try before they are set; null: the source's own.")

    def request(self) -> Given:
        """What is tried out."""
        return Given(
            headers=tuple(
                (name, value)
                for name, values in self.headers.items()
                for value in (values if isinstance(values, list) else [values])
            ),
            body=self.body.encode("utf-8", "replace") if isinstance(self.body, str) else orjson.dumps(self.body),
            method=self.method,
            beneath=self.beneath,
        )


class TriedChange(Shape):
    """What would change."""

    item: int | None = Field(description="Which item of the body it is of, from 0; null: the body is one thing.")
    kind: str = Field(description="user, order, ..., or what is to be done: integration, erasure, data_request.")
    op: str = Field(description="upsert or delete.")
    external_id: str
    version: Instant = Field(description="An older one never overwrites a newer one.")
    part: str | None
    fields: dict[str, Any] = Field(description="What is said of it; a field that is absent is left as it is.")
    events_if_new: list[str] = Field(description="What is told when the record is not known yet.")
    events_if_known: list[str] = Field(description="What is told when it is, and this says something new.")


class Tried(Shape):
    """What a request would be. Nothing of it is stored."""

    genuine: bool
    refusal: dict[str, str] | None = Field(description="`code` and `message`: why it would be turned away.")
    state: str = Field(description="processed, ignored or failed; were it let in.")
    reason: str | None
    topic: str | None
    tenant: str | None
    delivery_id: str | None
    occurred_at: Instant | None
    problems: list[str] = Field(description="The items that cannot be read, where the body brings several, and why.")
    changes: list[TriedChange] = Field(description="Those of the items that can be read hold all the same.")


class TriedAnswer(Answer):
    """What a request would be."""

    trial: Tried
