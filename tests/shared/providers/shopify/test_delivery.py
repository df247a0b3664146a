"""The signature and the headers of a delivery."""

import base64
from dataclasses import replace

import pytest
import shopify as official
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import PayloadUnexpected
from shared.providers.contract import Headers, Request
from tests.shared.providers.acting import OTHER, SECRET
from tests.shared.providers.shopify.shop import ACT


def test_the_header_family_without_x_is_understood_too():
    sample = ACT.sample()
    pairs = [(name.replace("X-Shopify", "shopify"), value) for name, value in ACT.provider.sign(sample)]
    request = Request("POST", "/", Headers(pairs), sample.body)
    assert ACT.verify(request) is None
    assert ACT.understand(request)[0] == ACT.understand(ACT.request(sample))[0]


def test_the_key_binds_the_delivery_id_to_the_body():
    request = ACT.request(ACT.sample())
    renamed = ACT.request(replace(ACT.sample(), delivery_id="forged"))
    other_body = replace(request, body=ACT.sample(number=8).body)
    keys = {ACT.understand(one)[0].key for one in (request, renamed, other_body)}
    assert len(keys) == 3


def test_without_a_topic_it_is_unexpected():
    sample = ACT.sample()
    pairs = [pair for pair in ACT.provider.sign(sample) if pair[0] != "X-Shopify-Topic"]
    with pytest.raises(PayloadUnexpected, match="Topic"):
        ACT.understand(Request("POST", "/webhooks/customers/create", Headers(pairs), sample.body))


@given(params=st.dictionaries(st.text("abcxyz_", min_size=1), st.text("aZ09 ü€%&=", max_size=20), min_size=1))
def test_shopifys_own_library_makes_the_same_digest_of_the_same_bytes(params):
    # It checks queries only, with the same key, algorithm and comparison; so the body here is what it signs of a query.
    pairs = (
        (key.replace("%", "%25").replace("=", "%3D").replace("&", "%26"), value.replace("%", "%25").replace("&", "%26"))
        for key, value in params.items()
    )
    body = "&".join(sorted("=".join(pair) for pair in pairs)).encode()
    official.Session.secret = SECRET.decode()
    digest = bytes.fromhex(official.Session.calculate_hmac(params))
    headers = {**dict(ACT.provider.sign(ACT.sample())), "X-Shopify-Hmac-Sha256": base64.b64encode(digest).decode()}
    request = Request("POST", "/", Headers(headers.items()), body)
    assert ACT.verify(request) is None
    assert ACT.verify(request, secrets=(OTHER,)) is not None
