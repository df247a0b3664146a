"""Errors as JSON: `{"error": {"code", "message", "details"?}}` for everything that goes wrong, and the one 500 edge.

Left behind: a log line for what is our own fault. Messages never repeat what was sent, which may be a secret.
"""

from typing import Any

import orjson
from flask import Flask, Request, Response, make_response, request
from flask.typing import ResponseReturnValue
from pydantic import ValidationError
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from shared import logs
from shared.errors import QueueUnavailable, Unacceptable
from shared.ids import new_id
from web.shapes import ErrorAnswer, answer

UNAUTHORIZED = 401
RETRY_AFTER_SECONDS = 5
# A server of ours that does not answer, which passes.
UNAVAILABLE = (QueueUnavailable, OperationalError, InterfaceError, PoolTimeout)
NUL = "\0"
_PROBLEMS = {
    400: ("request_malformed", "The request cannot be understood."),
    404: ("not_found", "There is nothing at this path."),
    405: ("method_not_allowed", "This path does not answer to this method."),
    413: ("body_too_large", "The body is too large."),
}


class JsonRequest(Request):
    """A request whose JSON is an object: an absent body is an empty one, and a malformed one is said to be so."""

    def get_json(self, *_: Any, **__: Any) -> Any:
        """The body's object.

        Raises:
            Unacceptable: 400 `json_malformed` or `nul_refused`, 415 `content_type_unsupported`, or 422
                `body_not_an_object`.
        """
        if not self.get_data(cache=True):
            return {}
        if not self.is_json:
            raise Unacceptable("content_type_unsupported", "Send Content-Type: application/json.", status=415)
        try:
            found = orjson.loads(self.get_data(cache=True))
        except orjson.JSONDecodeError as error:
            raise Unacceptable("json_malformed", "The body is not JSON.", status=400) from error
        if not isinstance(found, dict):
            raise Unacceptable("body_not_an_object", "The body must be a JSON object.")
        if _has_nul(found):
            raise nul_refused()
        return found


def nul_refused() -> Unacceptable:
    """What is said to U+0000, which PostgreSQL's text cannot hold and no name, filter or reason needs."""
    return Unacceptable("nul_refused", "The character U+0000 is not accepted.", status=400)


def refuse_nul() -> None:
    """Refuse a request whose path or query holds U+0000; the database would fail on it.

    Raises:
        Unacceptable: 400 `nul_refused`.
    """
    if NUL in request.path or any(NUL in text for pair in request.args.items(multi=True) for text in pair):
        raise nul_refused()


def _has_nul(value: Any) -> bool:
    # A loop over what is still to be looked at: a body may be nested deeper than calls can be.
    waiting = [value]
    while waiting:
        match waiting.pop():
            case str() as text if NUL in text:
                return True
            case dict() as members:
                waiting += [*members, *members.values()]
            case list() as members:
                waiting += members
    return False


def problem(status: int, code: str, message: str, details: list[dict[str, str]] | None = None) -> Response:
    """An error as its answer."""
    error: dict[str, Any] = {"code": code, "message": message}
    if details is not None:
        error["details"] = details
    response = answer(ErrorAnswer.model_validate({"error": error}), status, with_nulls=False)
    if status == UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = 'Bearer realm="crossdock"'
    return response


def invalid(error: ValidationError) -> Response:
    """What pydantic found, without what was sent: `details` is `[{"field", "message", "type"}]`."""
    details = [
        {
            "field": ".".join(str(part) for part in item["loc"]),
            "message": item["msg"].removeprefix("Value error, "),
            "type": item["type"],
        }
        for item in error.errors(include_url=False, include_input=False, include_context=False)
    ]
    return problem(422, "validation_failed", "Some fields are not as they should be.", details)


def register(app: Flask) -> None:
    """Answer every error of `app` as JSON."""
    log = logs.get("console")
    app.before_request(refuse_nul)

    @app.errorhandler(Unacceptable)
    def unacceptable(error: Unacceptable) -> ResponseReturnValue:
        return problem(error.status, error.code, error.message)

    @app.errorhandler(HTTPException)
    def http(error: HTTPException) -> ResponseReturnValue:
        if error.response is not None:  # flask-openapi3 aborts with the answer that `invalid` made
            return make_response(error.response)
        status = error.code or 500
        code, message = _PROBLEMS.get(status, (f"http_{status}", error.name))
        response = problem(status, code, message)
        for name, value in error.get_headers():
            if name == "Allow":
                response.headers[name] = value
        return response

    def unavailable(error: Exception) -> ResponseReturnValue:
        part = "queue" if isinstance(error, QueueUnavailable) else "database"
        log.warning("console.unavailable", part_down=part, error=type(error).__name__)
        response = problem(503, f"{part}_unavailable", f"The {part} cannot be reached right now; try again.")
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
        return response

    for kind in UNAVAILABLE:
        app.register_error_handler(kind, unavailable)

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> ResponseReturnValue:
        error_id = str(new_id())
        log.error("console.failed", error_id=error_id, exc_info=error)
        return problem(500, "internal", f"Something failed on our side; the log has it as {error_id}.")
