"""Bodies on a loop, from one that hands them out as the server does."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from shared.inbox import LARGE_BYTES
from shared.providers.contract import Headers, Refusal
from web.bodies import Bodies

MOST = 200_000


class Parts:
    """A body in parts, each at once; what the server gives at the end is one empty part."""

    def __init__(self, *parts: bytes) -> None:
        self.parts: Iterator[bytes] = iter([*parts, b""])

    async def __call__(self) -> bytes:
        return b"".join(self.parts)

    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> bytes:
        try:
            return next(self.parts)
        except StopIteration:
            raise StopAsyncIteration from None


def read(bodies: Bodies, incoming: Parts, **headers: str) -> bytes | Refusal:
    named = Headers((name.replace("_", "-"), value) for name, value in headers.items())
    return asyncio.run(bodies.read(incoming, named))


def sized(bodies: Bodies, size: int) -> bytes | Refusal:
    return read(bodies, Parts(b"x" * size), content_length=str(size))


def test_a_body_comes_whole_whether_it_says_its_length_or_not():
    bodies = Bodies(MOST, seconds=5)
    assert sized(bodies, 5) == b"xxxxx"
    assert read(bodies, Parts(b"ab", b"c"), transfer_encoding="chunked") == b"abc"
    assert sized(bodies, 150_000) == b"x" * 150_000


def test_without_a_length_or_an_encoding_there_is_no_body_to_wait_for():
    assert read(Bodies(MOST, seconds=5), Parts(b"not read")) == b""


@pytest.mark.parametrize("size", [MOST + 1, 10**9])
def test_one_that_says_it_is_too_large_is_not_read(size):
    incoming = Parts(b"left")
    found = read(Bodies(MOST, seconds=5), incoming, content_length=str(size))
    assert isinstance(found, Refusal)
    assert found.status == 413
    assert next(incoming.parts) == b"left"


def test_one_that_turns_out_too_large_is_read_no_further():
    incoming = Parts(b"x" * MOST, b"y", b"left")
    found = read(Bodies(MOST, seconds=5), incoming, transfer_encoding="chunked")
    assert isinstance(found, Refusal)
    assert found.code == "body_too_large"
    assert next(incoming.parts) == b"left"


@pytest.mark.parametrize("length", ["4", "90000"])
def test_one_that_ends_early_is_refused(length):
    found = read(Bodies(MOST, seconds=5), Parts(b"abc"), content_length=length)
    assert isinstance(found, Refusal)
    assert (found.code, found.status) == ("body_incomplete", 400)


def test_large_bodies_are_refused_past_what_a_process_may_hold_until_others_are_let_go():
    bodies = Bodies(MOST, seconds=5, held_bytes=0)  # two of the largest at least
    first, second = sized(bodies, MOST), sized(bodies, MOST)
    assert bodies.held == 2 * MOST
    refused = sized(bodies, LARGE_BYTES + 1)
    assert isinstance(refused, Refusal)
    assert (refused.code, refused.status) == ("ingress_busy", 503)
    assert sized(bodies, LARGE_BYTES) == b"x" * LARGE_BYTES  # small ones always go in
    bodies.let_go(first)
    assert not isinstance(sized(bodies, MOST), Refusal)
    for held in (second, second):
        bodies.let_go(held)
    assert bodies.held == 0


def test_what_is_refused_or_small_is_not_held():
    bodies = Bodies(MOST, seconds=5)
    for size in (1, LARGE_BYTES, MOST + 1):
        bodies.let_go(sized(bodies, size))
    bodies.let_go(read(bodies, Parts(b"x" * 70_000), content_length="80000"))
    bodies.let_go(read(bodies, Parts(b"x" * MOST, b"x"), transfer_encoding="chunked"))
    assert bodies.held == 0
