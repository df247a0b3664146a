"""A shop that posts to us: what a body of it comes to."""

from dataclasses import replace
from typing import Any

import orjson

from shared.providers import samples
from shared.providers.contract import Change, Outcome
from tests.shared.providers.acting import Actor, actor

ACT = actor("shopify")
SHOP = ACT.sample().tenant
# One that knows its shops' currency.
PRICED = Actor(ACT.provider, replace(ACT.source, settings={"currency": "JPY", "currencies": {SHOP: "EUR"}}), ACT.topic)


def outcome(topic: str, body: dict[str, Any], act: Actor = ACT) -> Outcome:
    return act.understand(act.request(act.sample(topic=topic, body=orjson.dumps(body))))[1]


def change(topic: str, body: dict[str, Any], act: Actor = ACT) -> Change:
    [found] = outcome(topic, body, act).changes
    return found


def stored(name: str) -> dict[str, Any]:
    topic, _, variant = name.partition(samples.VARIANT)
    found: dict[str, Any] = next(
        orjson.loads(payload.body)
        for payload in samples.stored("shopify")
        if (payload.topic, payload.variant) == (topic, variant)
    )
    return found
