"""The double refuses what Google refuses."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa

from shared.clock import utc_now
from shared.destinations.google_account import account_of, token_request
from tests.doubles.served import Fault
from tests.doubles.sheets import SPREADSHEET, Sheets

NOW = utc_now()


@pytest.fixture
def api() -> Iterator[Sheets]:
    with Sheets(clock=lambda: NOW) as double:
        yield double


def exchange(api: Sheets, *, late: float = 0.0, **changes: Any) -> requests.Response:
    account = replace(account_of(api.credential()), **changes)
    made = token_request(account, now=NOW - timedelta(seconds=late))
    return requests.post(api.url("/token"), made.body, headers=dict(made.headers), timeout=5)


def append(api: Sheets, values: Any, *, token: str, sheet: str = "Users", option: str = "RAW") -> requests.Response:
    path = f"/v4/spreadsheets/{SPREADSHEET}/values/%27{sheet}%27%21A%3AC:append?valueInputOption={option}"
    headers = {"Authorization": f"Bearer {token}"}
    return requests.post(api.url(path), json={"values": values}, headers=headers, timeout=5)


def test_a_token_is_given_for_what_the_accounts_key_signed_and_for_nothing_else(api: Sheets):
    assert exchange(api).json()["token_type"] == "Bearer"
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    for refused in (
        exchange(api, key=other),
        exchange(api, email="somebody@else.example"),
        exchange(api, late=4000),
    ):
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")


def test_rows_are_kept_raw_and_only_for_a_token_that_lives(api: Sheets):
    token = exchange(api).json()["access_token"]
    assert append(api, [["d1", "=1+1", 7]], token=token).json()["updates"]["updatedRows"] == 1
    assert api.sheets["Users"][-1] == ["d1", "=1+1", 7]
    assert append(api, [["d2"]], token="other").status_code == 401
    assert append(api, [["d2"]], token=token, sheet="Nowhere").status_code == 400
    assert append(api, [["d2"]], token=token, option="USER_ENTERED").status_code == 400
    assert append(api, [[{"a": 1}]], token=token).status_code == 400
    api.tokens[token] = NOW
    assert append(api, [["d2"]], token=token).status_code == 401
    assert len(api.sheets["Users"]) == 2


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"values": 7}', b'{"values": [7]}', b"{}"])
def test_what_are_no_rows_is_refused(api: Sheets, body: bytes):
    token = exchange(api).json()["access_token"]
    url = api.url(f"/v4/spreadsheets/{SPREADSHEET}/values/Users%21A%3AC:append?valueInputOption=RAW")
    assert requests.post(url, body, headers={"Authorization": f"Bearer {token}"}, timeout=5).status_code == 400
    assert len(api.sheets["Users"]) == 1


def test_an_append_that_was_not_answered_is_there_all_the_same(api: Sheets):
    token = exchange(api).json()["access_token"]
    api.faults += [Fault(503), Fault(silent=True, after=True)]
    assert append(api, [["d1"]], token=token).status_code == 503
    with pytest.raises(requests.ConnectionError):
        append(api, [["d1"]], token=token)
    assert api.sheets["Users"][1:] == [["d1"]]


def test_the_quota_of_a_minute_is_kept(api: Sheets):
    token = exchange(api).json()["access_token"]
    api.per_minute = 2
    assert [append(api, [["d"]], token=token).status_code for _ in range(3)] == [200, 200, 429]
