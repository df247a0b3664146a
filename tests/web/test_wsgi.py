"""A WSGI environ made into a request."""

import io
import subprocess
import sys
from typing import Any

import pytest

from shared.providers.contract import Refusal
from web import wsgi


class Unreadable:
    def read(self, *_: int) -> bytes:
        raise AssertionError("the body was read")


class Dripping(io.BytesIO):
    """Gives a byte at a time, as a slow client does."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(1, size or 0))


def environ(**more: Any) -> dict[str, Any]:
    return {"PATH_INFO": "/hook", "QUERY_STRING": "", "REQUEST_METHOD": "POST", "wsgi.input": io.BytesIO()} | more


def code(found: bytes | Refusal) -> tuple[str, int] | None:
    return (found.code, found.status) if isinstance(found, Refusal) else None


def test_a_body_that_says_it_is_too_large_is_not_read():
    found = wsgi.read_body(environ(CONTENT_LENGTH="11", **{"wsgi.input": Unreadable()}), 10)
    assert code(found) == ("body_too_large", 413)


@pytest.mark.parametrize("length", ["-1", "x", "1e3", "１", "0x1", " "])
def test_a_length_that_is_no_number_is_400(length):
    assert code(wsgi.read_body(environ(CONTENT_LENGTH=length), 10)) == ("length_malformed", 400)


def test_an_endless_length_is_413():
    assert code(wsgi.read_body(environ(CONTENT_LENGTH="9" * 5000), 10)) == ("body_too_large", 413)


def test_a_body_that_ends_early_is_400():
    found = wsgi.read_body(environ(CONTENT_LENGTH="5", **{"wsgi.input": io.BytesIO(b"abc")}), 10)
    assert code(found) == ("body_incomplete", 400)


def test_a_body_that_drips_is_read_whole():
    assert wsgi.read_body(environ(CONTENT_LENGTH="5", **{"wsgi.input": Dripping(b"abcde")}), 10) == b"abcde"


def test_a_body_of_unsaid_length_is_read_to_the_cap_and_no_further():
    for size, refused in ((10, None), (11, ("body_too_large", 413)), (5000, ("body_too_large", 413))):
        stream = io.BytesIO(b"x" * size)
        found = wsgi.read_body(environ(**{"wsgi.input": stream, "wsgi.input_terminated": True}), 10)
        assert code(found) == refused
        assert stream.tell() <= 11


def test_without_a_length_and_an_end_there_is_no_body():
    assert wsgi.read_body(environ(**{"wsgi.input": Unreadable()}), 10) == b""


def test_the_url_is_the_public_one_whatever_host_says():
    made = wsgi.as_request(
        environ(QUERY_STRING="a=1&b=%C3%A9&c", HTTP_HOST="evil.example"), "https://hooks.example.com/"
    )
    assert made.url == "https://hooks.example.com/hook?a=1&b=%C3%A9&c"
    assert made.path == "/hook?a=1&b=%C3%A9&c"
    assert dict(made.query) == {"a": "1", "b": "é", "c": ""}


def test_headers_have_dashes_and_the_content_type():
    headers = wsgi.as_request(environ(HTTP_X_DATE="now", CONTENT_TYPE="text/plain", SERVER_NAME="x"), "").headers
    assert headers.pairs() == [("x-date", "now"), ("content-type", "text/plain")]


def test_the_ingress_loads_no_database_and_no_console():
    claim = "import sys, web.ingress; print([m for m in ('sqlalchemy', 'psycopg2', 'web.console') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", claim]) == b"[]\n"
