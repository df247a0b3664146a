"""The double refuses what a careful receiver refuses; else it would prove nothing."""

import threading
from datetime import UTC, datetime

import pytest
import requests

from shared.destinations.contract import Parcel
from shared.destinations.webhook import build
from shared.signing import new_secret
from tests.doubles.crm import Answer, Crm

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


def post(crm: Crm, path: str, secret: str) -> int:
    parcel = Parcel("e-1", "user.created", BODY, "d-1", 1, crm.url(path), (secret,))
    headers = dict(build(parcel, NOW).headers)
    return requests.post(crm.url(path), data=BODY, headers=headers, timeout=5).status_code


def test_a_path_that_trusts_one_secret_refuses_every_other():
    other = new_secret()
    with Crm(SECRET, clock=lambda: NOW) as crm:
        crm.trust("/own", other)
        assert [post(crm, "/own", SECRET), post(crm, "/own", other), post(crm, "/hook", SECRET)] == [400, 200, 200]
        assert crm.accepted_ids("/own") == ["e-1"]
        assert [received.path for received in crm.refused()] == ["/own"]


def test_what_is_held_is_answered_when_its_path_is_released():
    statuses: list[int] = []
    with Crm(SECRET, clock=lambda: NOW) as crm:
        asked = threading.Event()
        crm.on_request = lambda _path: asked.set()
        crm.answer(Answer(hold=True))
        thread = threading.Thread(target=lambda: statuses.append(post(crm, "/hook", SECRET)))
        thread.start()
        assert asked.wait(5)
        assert statuses == []
        crm.release("/hook")
        thread.join(5)
    assert statuses == [200]


@pytest.mark.parametrize("answer", [Answer(raw=b"220 smtp.example ready\r\n"), Answer(reset=True)])
def test_what_is_no_http_and_no_answer_is_neither(answer: Answer):
    with Crm(SECRET, clock=lambda: NOW) as crm:
        crm.answer(answer)
        with pytest.raises(requests.ConnectionError):
            post(crm, "/hook", SECRET)
