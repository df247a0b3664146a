"""A captured body under another topic: it means the same as under its own, or it is refused.

Only the body is signed, so this is all that can be told from a message alone; what two topics say in the very same
shape is told apart by asking the shop.
"""

from typing import Any

import pytest

from shared.errors import PayloadUnexpected
from shared.providers import samples
from tests.shared.providers.acting import Actor, actor
from tests.shared.providers.shopify.shop import ACT

# Topics whose bodies are the same resource, or the same bare id.
ALIKE = (
    {"customers/create", "customers/update"},
    {"orders/create", "orders/updated", "orders/cancelled", "orders/paid", "orders/fulfilled"},
    {"fulfillments/create", "fulfillments/update"},
    {"products/create", "products/update"},
)
# Bodies of the same shape with another meaning: ids of several kinds, which do not meet, and the shop, which is asked.
ID_ALONE = {"customers/delete", "orders/delete", "products/delete"}
SHOPS = {"app/uninstalled", "shop/update"}
PAYLOADS = [payload for payload in samples.stored("shopify") if payload.variant not in ("fields", "bare")]


def meaning(act: Actor, topic: str, body: bytes) -> Any:
    identity, outcome = act.understand(act.request(act.sample(topic=topic, body=body)))
    return None if outcome.ignored else (identity.tenant, outcome.changes)


@pytest.mark.parametrize("payload", PAYLOADS, ids=[f"{p.topic}-{p.variant}" for p in PAYLOADS])
def test_a_body_says_nothing_else_under_another_topic(payload):
    own = meaning(ACT, payload.topic, payload.body)
    for topic in ACT.provider.topics:
        try:
            found = meaning(ACT, topic, payload.body)
        except PayloadUnexpected:
            assert topic != payload.topic
            continue
        pair = {topic, payload.topic}
        if pair <= ID_ALONE or pair <= SHOPS:
            continue
        assert found == own, topic
        assert len(pair) == 1 or any(pair <= alike for alike in ALIKE), topic


def test_an_id_alone_takes_nothing_but_that_record_away():
    act = actor("shopify")
    for topic in ID_ALONE:
        [change] = meaning(act, topic, b'{"id":7}')[1]
        assert (change.op, change.external_id) == ("delete", "7")
