"""A request as WSGI hands it over, made into the one that providers judge.

Comes in: a WSGI environ. Comes out: a Request with its raw body, or a refusal. Nothing is left behind.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from shared.providers.contract import Headers, Refusal, Request
from web.proxies import Proxies

READ_BYTES = 65_536
LENGTH_DIGITS = 15
INCOMPLETE = Refusal("body_incomplete", "The body ended early.", 400)

# What a front before the WSGI app has already made of a request, in its environ.
HEADERS = "crossdock.headers"
BODY = "crossdock.body"


@lru_cache(maxsize=4096)
def _header_name(key: str) -> str:
    """`HTTP_X_SHOPIFY_TOPIC` as `x-shopify-topic`. Kept, since a provider's are the same in every request."""
    return key[5:].replace("_", "-").lower()


def headers(environ: Mapping[str, Any]) -> Headers:
    """The request's headers: as a front saw them, or else as WSGI gives them.

    WSGI has one spelling for `-` and `_` and one value for a header sent twice. So without a front each name stands
    once, with `-`; a folded value is told by its commas (`signatures.single`, a second `t=`), and of two spellings the
    one that is judged is also the only one that is kept.
    """
    if HEADERS in environ:
        seen: Headers = environ[HEADERS]
        return seen
    found = {_header_name(key): value for key, value in environ.items() if key.startswith("HTTP_")}
    if content_type := environ.get("CONTENT_TYPE"):
        found["content-type"] = content_type
    return Headers.each_once(found)


def path_of(environ: Mapping[str, Any]) -> str:
    """The request's path. WSGI has its bytes as if they were Latin-1; what is not UTF-8 is U+FFFD here."""
    path: str = environ["PATH_INFO"]
    return path if path.isascii() else path.encode("latin-1").decode("utf-8", "replace")


def as_request(
    environ: Mapping[str, Any],
    public_url: str,
    *,
    body: bytes = b"",
    beneath: str = "",
    proxies: Proxies | None = None,
) -> Request:
    """The request; without `body` where that was not read. `beneath` is what of its path follows the source's own.

    Its URL is the one providers know us by: `public_url` and the path, whatever Host says. It is from the peer, or
    from whom `proxies` say it is.
    """
    query = environ.get("QUERY_STRING") or ""
    path = path_of(environ)
    whole = f"{path}?{query}" if query else path
    found = headers(environ)
    remote_addr = environ.get("REMOTE_ADDR") or ""
    if proxies is not None:
        remote_addr = proxies.client(remote_addr, ",".join(found.all("x-forwarded-for")))
    return Request(
        method=environ["REQUEST_METHOD"],
        path=whole,
        headers=found,
        body=body,
        query=dict(parse_qsl(query, keep_blank_values=True)) if query else {},
        url=public_url.rstrip("/") + whole,
        remote_addr=remote_addr,
        beneath=beneath,
    )


def too_large(limit: int) -> Refusal:
    """Why a body of more than `limit` bytes is not taken."""
    return Refusal("body_too_large", f"The body is larger than {limit} bytes.", 413)


def declared_length(given: str | None, limit: int) -> int | Refusal | None:
    """The length that a body says it has, or why it is not read; `None` when it says nothing."""
    if not given:
        return None
    if not (given.isascii() and given.isdigit()):
        return Refusal("length_malformed", "Content-Length is no number.", 400)
    return too_large(limit) if len(given) > LENGTH_DIGITS or int(given) > limit else int(given)


def read_body(environ: Mapping[str, Any], limit: int) -> bytes | Refusal:
    """The raw body; one that says it is too large is not read, and of one that does not say, `limit` and a byte."""
    if BODY in environ:
        read: bytes | Refusal = environ[BODY]
        return read
    stream = environ["wsgi.input"]
    length = declared_length(environ.get("CONTENT_LENGTH"), limit)
    if isinstance(length, Refusal):
        return length
    if length is not None:
        body = _read(stream, length)
        return body if len(body) == length else INCOMPLETE
    if not environ.get("wsgi.input_terminated"):
        return b""
    # Chunked: the length shows only in the reading.
    body = _read(stream, limit + 1)
    return body if len(body) <= limit else too_large(limit)


def _read(stream: Any, count: int) -> bytes:
    first: bytes = stream.read(count)
    if len(first) == count or not first:
        return first
    parts, left = [first], count - len(first)
    while left and (part := stream.read(min(left, READ_BYTES))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
