"""The HMAC, against the standard library's."""

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import macs


@given(st.binary(max_size=200), st.binary(max_size=3000), st.sampled_from(["sha256", "sha1", "sha512"]))
def test_it_is_the_standard_librarys(key, content, algorithm):
    assert macs.digest(key, content, algorithm) == hmac.digest(key, content, algorithm)


@pytest.mark.parametrize("size", [65_536, 65_537, 5_000_000])
def test_a_long_content_is_digested_alike(size):
    assert macs.digest(b"key", bytes(size)) == hmac.digest(b"key", bytes(size), "sha256")
