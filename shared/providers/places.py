"""Places: where a sender says what a message is, as a generic source's settings name them.

Comes in: a request and its parsed body. Comes out: the text that stands in the place. Pure; nothing is left behind.
"""

from typing import Self

from pydantic import Field, model_validator

from shared import signatures
from shared.errors import PayloadUnexpected
from shared.providers import expressions, mapping, options
from shared.providers.contract import JSON, Request


class Place(options.Options):
    """Where something stands: in a header, at a path or an expression of the JSON body, or always the same."""

    header: str = ""
    json_path: str = Field("", alias="json")
    jmespath: expressions.Expr | None = None
    fixed: str = ""
    unit: signatures.Unit = "iso"

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if sum(map(bool, (self.header, self.json_path, self.jmespath, self.fixed))) != 1:
            raise ValueError("one of header, json, jmespath and fixed is needed")
        return self

    @property
    def is_in_body(self) -> bool:
        """Whether the body has to be read for it."""
        return bool(self.json_path or self.jmespath)

    def find(self, request: Request, payload: JSON) -> str | None:
        """The text that stands there, `None` when there is none."""
        if self.fixed:
            return self.fixed
        if self.header:
            return (request.headers.get(self.header) or "").strip() or None
        return self.find_in(payload)

    def find_in(self, value: JSON) -> str | None:
        """The text that stands there in a body, or in an item of one; `None` when there is none."""
        if self.jmespath:
            try:
                return mapping.as_text(expressions.compiled(self.jmespath).find(value)[1])
            except PayloadUnexpected:
                return None
        return mapping.text_at(value, self.json_path)
