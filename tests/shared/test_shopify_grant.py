"""What Shopify's token endpoint answers is read with nothing taken for granted."""

import json
from datetime import timedelta
from typing import Any

import pytest

from shared.clock import utc_now
from shared.settings import Settings
from shared.shopify_grant import Grant, code_form, grant_of, read_answer, read_grant, refresh_form

NOW = utc_now().replace(microsecond=0)
HOUR = NOW + timedelta(hours=1)


@pytest.mark.parametrize(
    ("answer", "grant"),
    [
        ({}, None),
        ({"access_token": ""}, None),
        ({"access_token": 7}, None),
        ({"access_token": "a", "scope": "b"}, Grant("a")),
        ({"access_token": "a", "expires_in": 3600}, Grant("a", HOUR)),
        (
            {"access_token": "a", "expires_in": 3600, "refresh_token": "r", "refresh_token_expires_in": 3600},
            Grant("a", HOUR, "r", HOUR),
        ),
        # Without a time, or with one that is none, it is used until the shop refuses it.
        ({"access_token": "a", "refresh_token": "r"}, Grant("a", None, "r", None)),
        *(({"access_token": "a", "expires_in": odd}, Grant("a")) for odd in ("3600", True, 0, -1, 1.5, 10**12, None)),
    ],
)
def test_an_answer_becomes_a_grant(answer: dict[str, Any], grant: Grant | None) -> None:
    assert read_grant(answer, now=NOW) == grant


def test_an_answer_without_a_refresh_token_leaves_the_one_there_was() -> None:
    before = Grant("a", NOW, "r", HOUR)
    assert read_grant({"access_token": "b", "expires_in": 3600}, now=NOW, before=before) == Grant("b", HOUR, "r", HOUR)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"\xff", b"1"])
def test_an_answer_that_is_no_object_says_nothing(body: bytes) -> None:
    assert read_answer(body) == {}


@pytest.mark.parametrize("credentials", [{}, {"access_token": None}, {"api_key": "k"}, {"access_token": ["a"]}])
def test_credentials_without_a_token_are_no_grant(credentials: dict[str, Any]) -> None:
    assert grant_of(credentials) is None


@pytest.mark.parametrize(("is_expiring", "more"), [(True, {"expiring": "1"}), (False, {})])
def test_a_token_that_ends_is_asked_for_as_set(is_expiring: bool, more: dict[str, str]) -> None:
    settings = Settings(shopify_client_id="id", shopify_expiring_tokens=is_expiring)
    form = {"client_id": "id", "client_secret": "s", "code": "c"}
    assert json.loads(code_form(settings, code="c", secret=b"s")) == form | more


def test_a_refresh_names_the_app_and_its_grant() -> None:
    form = json.loads(refresh_form(Settings(shopify_client_id="id"), refresh_token="r", secret=b"s"))
    assert form == {"client_id": "id", "client_secret": "s", "grant_type": "refresh_token", "refresh_token": "r"}
