"""What the ingress answers, before it is WSGI's or Flask's: a status, a body, and what says when to come again.

Pure; nothing is left behind.
"""

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, NamedTuple

import orjson
from flask import Response

from shared.providers.contract import Reply

JSON = "application/json"
_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
_HEADERS_OF_STATUS: dict[int, tuple[tuple[str, str], ...]] = {
    429: (("Retry-After", "1"),),
    503: (("Retry-After", "5"),),
    405: (("Allow", "POST"),),
}


class Answer(NamedTuple):
    """A whole answer."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()

    def flask(self) -> Response:
        """The same as Flask has it."""
        response = Response(self.body, self.status, content_type=self.content_type)
        response.headers.update(self.headers)
        return response

    def start(self, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """The same as WSGI has it."""
        start_response(
            _LINES.get(self.status) or f"{self.status} Unknown",
            [("Content-Type", self.content_type), ("Content-Length", str(len(self.body))), *self.headers],
        )
        return [self.body]


def accepted(message_id: str) -> Answer:
    """The usual 200: the message is safe, under this id."""
    return Answer(200, b'{"received":true,"id":"%s"}' % message_id.encode())


def own_words(reply: Reply) -> Answer:
    """What a provider expects to hear instead."""
    return Answer(reply.status, reply.body, reply.content_type)


def error(status: int, code: str, message: str, *, allow: Iterable[str] = ()) -> Answer:
    """The one form of an error; 429 and 503 say when to come again, 405 what may be sent."""
    headers = (("Allow", ", ".join(allow)),) if allow else _HEADERS_OF_STATUS.get(status, ())
    return Answer(status, orjson.dumps({"error": {"code": code, "message": message}}), headers=headers)
