"""The shapes of the API's JSON: camelCase, ids as text, times in ISO 8601 with milliseconds.

A form is what comes in, and refuses fields it does not know; a shape is what goes out, and shows only the fields it
names, so that a column added tomorrow is not shown by accident. Pure.
"""

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

import orjson
from flask import Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer
from pydantic.alias_generators import to_camel

from shared.clock import parse_instant, to_json
from shared.errors import NotFound
from shared.ids import parse_id

LIMIT_DEFAULT = 50
LIMIT_MAX = 1000

Instant = Annotated[
    datetime,
    PlainSerializer(to_json, return_type=str, when_used="json"),
    Field(json_schema_extra={"format": "date-time"}),
]


class Shape(BaseModel):
    """What goes out."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore")


class Form(BaseModel):
    """What comes in."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=False, extra="forbid", hide_input_in_errors=True
    )

    def given(self) -> dict[str, Any]:
        """The fields that were sent, by our names."""
        return self.model_dump(exclude_unset=True)


class IdPath(BaseModel):
    """A path with one id in it."""

    id: str = Field(description="The id, as the API gave it.")

    def uuid(self, noun: str) -> UUID:
        """The id.

        Raises:
            NotFound: it is no id, and so nothing has it.
        """
        found = parse_id(self.id)
        if found is None:
            raise NotFound(noun)
        return found


class PageQuery(Form):
    """Which page of a list."""

    limit: int = Field(LIMIT_DEFAULT, ge=1, le=LIMIT_MAX, description="Rows on the page.")
    cursor: UUID | None = Field(None, description="`nextCursor` of the page before.")


def _instant(value: object) -> datetime:
    at = value if isinstance(value, datetime) else parse_instant(value)
    if at is None or at.tzinfo is None:
        raise ValueError("not an ISO 8601 date or instant")
    return at


# A date alone is its midnight, and no offset means UTC, as the public contract's examples have it.
Moment = Annotated[datetime, BeforeValidator(_instant)]


class Pagination(Shape):
    """Where a list goes on."""

    limit: int
    has_more: bool
    next_cursor: str | None


class Answer(Shape):
    """An answer that says it went well."""

    success: Literal[True] = True


class Done(Answer):
    """It was done, and there is no more to say."""


class Error(Shape):
    """What went wrong."""

    code: str = Field(description="Stable and machine readable.")
    message: str = Field(description="For people.")
    details: list[dict[str, str]] | None = Field(None, description="Of a validation: field, message and type of each.")


class ErrorAnswer(Shape):
    """An answer that says what went wrong."""

    error: Error


Row = TypeVar("Row", bound=Mapping[str, Any])


def page(rows: Sequence[Row], *, limit: int, key: str = "id") -> tuple[list[Row], dict[str, Any]]:
    """The page's rows and its pagination, out of the `limit` + 1 rows that were asked for."""
    shown = list(rows[:limit])
    more = len(rows) > limit
    return shown, {"limit": limit, "has_more": more, "next_cursor": str(shown[-1][key]) if more else None}


def answer(shape: BaseModel, status: int = 200, *, with_nulls: bool = True) -> Response:
    """`shape` as JSON."""
    body = orjson.dumps(shape.model_dump(mode="json", by_alias=True, exclude_none=not with_nulls))
    return Response(body, status, content_type="application/json")


def as_text(body: bytes) -> tuple[str, str]:
    """`body` as (text, encoding): `utf-8` where it is text, or else `base64`."""
    try:
        return bytes(body).decode(), "utf-8"
    except UnicodeDecodeError:
        return base64.b64encode(body).decode(), "base64"
