"""A request as WSGI hands it over, made into the one that providers judge.

Comes in: a WSGI environ. Comes out: a Request with its raw body, or a refusal. Nothing is left behind.
"""

import os
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from shared.providers.contract import Headers, Refusal, Request
from web.proxies import Proxies

READ_BYTES = 65_536
LENGTH_DIGITS = 15

# Granian hands out the process environment as if it were the request's; what is called HTTP_ there is no header.
_NOT_HEADERS = {name: value for name, value in os.environ.items() if name.startswith("HTTP_")}


@lru_cache(maxsize=4096)
def _header_name(key: str) -> str:
    """`HTTP_X_SHOPIFY_TOPIC` as `x-shopify-topic`. Kept, since a provider's are the same in every request."""
    return key[5:].replace("_", "-").lower()


def headers(environ: Mapping[str, Any]) -> Headers:
    """The request's headers as WSGI gives them.

    WSGI has one spelling for `-` and `_`, and granian folds a repeated header into one value with commas, keeps
    either one of two spellings sent at once, and empties a value that is not ASCII. So each name stands once here,
    with `-`; a folded value is told by its commas (`signatures.single`, a second `t=`), and of two spellings the one
    that is judged is also the only one that is kept.
    """
    found = {_header_name(key): value for key, value in environ.items() if key.startswith("HTTP_")}
    for key, value in _NOT_HEADERS.items():
        if environ.get(key) == value:
            found.pop(_header_name(key), None)
    if content_type := environ.get("CONTENT_TYPE"):
        found["content-type"] = content_type
    return Headers.each_once(found)


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
    path = environ["PATH_INFO"]
    whole = f"{path}?{query}" if query else path
    found = headers(environ)
    remote_addr = environ.get("REMOTE_ADDR") or ""
    if proxies is not None:
        remote_addr = proxies.client(remote_addr, found.get("x-forwarded-for") or "")
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


def read_body(environ: Mapping[str, Any], limit: int) -> bytes | Refusal:
    """The raw body; one that says it is too large is not read, and of one that does not say, `limit` and a byte."""
    too_large = Refusal("body_too_large", f"The body is larger than {limit} bytes.", 413)
    stream = environ["wsgi.input"]
    given = environ.get("CONTENT_LENGTH")
    if given:
        if not (given.isascii() and given.isdigit()):
            return Refusal("length_malformed", "Content-Length is no number.", 400)
        if len(given) > LENGTH_DIGITS or int(given) > limit:
            return too_large
        body = _read(stream, int(given))
        return body if len(body) == int(given) else Refusal("body_incomplete", "The body ended early.", 400)
    if not environ.get("wsgi.input_terminated"):
        return b""
    # Chunked: the length shows only in the reading.
    body = _read(stream, limit + 1)
    return body if len(body) <= limit else too_large


def _read(stream: Any, count: int) -> bytes:
    first: bytes = stream.read(count)
    if len(first) == count or not first:
        return first
    parts, left = [first], count - len(first)
    while left and (part := stream.read(min(left, READ_BYTES))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
