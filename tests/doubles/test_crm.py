"""The double refuses what a careful receiver refuses; else it would prove nothing."""

from datetime import UTC, datetime

import pytest

from shared.destinations.contract import Parcel
from shared.destinations.webhook import build
from shared.signing import new_secret
from tests.doubles.crm import Crm

NOW = datetime(2026, 11, 6, 10, 30, tzinfo=UTC)
SECRET = new_secret()
BODY = '{"event": "user.created", "name": "Zoë"}'.encode()


def genuine() -> dict[str, str]:
    parcel = Parcel("e-1", "user.created", BODY, "d-1", 1, "https://crm.example/", (SECRET,))
    return {name.lower(): value for name, value in build(parcel, NOW).headers}


def test_a_genuine_request_is_accepted():
    assert Crm(SECRET, clock=lambda: NOW).problem_with(genuine(), BODY) is None


@pytest.mark.parametrize(
    ("change", "body", "problem"),
    [
        ({"webhook-signature": ""}, BODY, "signature"),
        ({"webhook-signature": "v1,AAAA"}, BODY, "signature"),
        ({"x-webhook-signature": "00" * 32}, BODY, "signature"),
        ({"webhook-id": "e-2"}, BODY, "signature"),
        ({}, BODY + b" ", "signature"),
        ({"webhook-timestamp": str(int(NOW.timestamp()) - 301)}, BODY, "stale"),
        ({"webhook-timestamp": str(int(NOW.timestamp()) + 301)}, BODY, "stale"),
        ({"webhook-timestamp": "soon"}, BODY, "no timestamp"),
        ({"content-type": "text/plain"}, BODY, "content type"),
    ],
)
def test_anything_else_is_refused(change: dict[str, str], body: bytes, problem: str):
    assert Crm(SECRET, clock=lambda: NOW).problem_with({**genuine(), **change}, body) == problem


def test_another_secret_is_refused():
    assert Crm(new_secret(), clock=lambda: NOW).problem_with(genuine(), BODY) == "signature"
