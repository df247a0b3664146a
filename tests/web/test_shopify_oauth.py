"""A callback's query is read and signed as Shopify's own library and the public vectors have it."""

import hmac
import json
from pathlib import Path
from urllib.parse import urlencode

import pytest
import shopify as official
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Unacceptable
from web import shopify_oauth

VECTORS = Path(__file__).parents[3] / "shared" / "vectors.json"


@given(st.dictionaries(st.text("abc%&=+ é", min_size=1), st.text("xyz%&=+ é"), max_size=5))
def test_the_signature_is_the_one_of_shopifys_own_library(parameters: dict[str, str]) -> None:
    official.Session.setup(api_key="key", secret="hush")
    read = shopify_oauth.read_query(urlencode({**parameters, "timestamp": "1"}).encode())
    ours = hmac.new(b"hush", shopify_oauth.signed_text(read).encode(), "sha256").hexdigest()
    assert ours == official.Session.calculate_hmac({**parameters, "timestamp": "1"})


def test_a_parameter_sent_twice_is_refused() -> None:
    for query in (b"a=1&a=2", b"a=1&a[]=2", b"\xff=1", b"a=%ff"):
        with pytest.raises(Unacceptable, match=r"twice|read"):
            shopify_oauth.read_query(query)


@pytest.mark.samples
@pytest.mark.skipif(not VECTORS.exists(), reason="the public samples are not beside the checkout")
def test_the_public_vectors_verify() -> None:
    vectors = {one["name"]: one for one in json.loads(VECTORS.read_text())["shopify_oauth"]}
    assert len(vectors) == 4
    for vector in vectors.values():
        digest = hmac.new(vector["secret"].encode(), vector["message"].encode(), "sha256").hexdigest()
        assert digest == vector["hmac_hex"]
    # An app proxy's query is signed in another way and is no callback: one sent as one is refused.
    with pytest.raises(Unacceptable, match="twice"):
        shopify_oauth.read_query(vectors.pop("app-proxy")["query"].encode())
    for vector in vectors.values():
        query = vector["message"] if vector["query"].startswith("as the message") else vector["query"]
        read = shopify_oauth.read_query(query.encode())
        assert shopify_oauth.signed_text(read) == vector["message"]
