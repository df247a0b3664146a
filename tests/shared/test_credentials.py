"""Credentials are fit to be sent in a header, or refused when they are set."""

from typing import Any

import pytest

from shared.credentials import fit
from shared.errors import Unacceptable


def test_a_copys_blanks_are_taken_off_and_all_else_stays():
    given = {
        "access_token": " 4711:abc\n",
        "more": {"key": "k\t"},
        "names": ["a "],
        "refused": True,
        "n": 7,
        "no": None,
    }
    kept = {"access_token": "4711:abc", "more": {"key": "k"}, "names": ["a"], "refused": True, "n": 7, "no": None}
    assert fit(given) == kept
    assert fit({"api_secret": "pässwörd with blanks"}) == {"api_secret": "pässwörd with blanks"}


@pytest.mark.parametrize("value", ["a\nb", "a\r\nX-Evil: 1", "a\x00", "a\x7f", "a\x85b", "tökén€", "\ud800"])
@pytest.mark.parametrize("nest", [lambda one: one, lambda one: {"k": one}, lambda one: [one]])
def test_what_no_header_may_carry_is_refused_by_name_and_not_shown(value: str, nest: Any):
    with pytest.raises(Unacceptable) as caught:
        fit({"access_token": nest(value)})
    assert caught.value.code == "credentials_malformed"
    assert "access_token" in caught.value.message
    assert value not in caught.value.message
