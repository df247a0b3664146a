"""Shopify: customers, orders, refunds, fulfillments, products, inventory, and what concerns the shop itself.

Comes in: a webhook signed with the app's client secret. Comes out: one change of one record, or one effect. Each noun
has a file; `resource` reads what all of them have, `delivery` the signature and the headers. Pure.
"""

from collections.abc import Callable, Mapping
from typing import Final

from shared.providers import options, reading
from shared.providers.contract import JSON, Identity, Outcome, Provider, Source
from shared.providers.shopify import customers
from shared.providers.shopify.delivery import identify, route, sign, verify
from shared.providers.shopify.products import ShopifyOptions
from shared.providers.shopify.resource import Body

_READERS: Final[Mapping[str, Callable[[Body, Identity, Source], Outcome]]] = {
    "customers/create": customers.snapshot,
    "customers/update": customers.snapshot,
    "customers/delete": customers.deletion,
}

TOPICS: Final = tuple(_READERS)


def transform(identity: Identity, payload: JSON, source: Source) -> Outcome:
    """The record as it is now, its end, or an effect.

    Raises:
        PayloadUnexpected: the body does not have the topic's shape.
    """
    read = _READERS.get(identity.topic)
    if read is None:
        return Outcome(ignored=f"topic {identity.topic} is not handled")
    return read(reading.as_object(payload, "the body"), identity, source)


SHOPIFY = Provider(
    name="shopify",
    title="Shopify",
    verify=verify,
    route=route,
    identify=identify,
    transform=transform,
    topics=TOPICS,
    sign=sign,
    check_settings=lambda settings: options.problems(ShopifyOptions, settings),
    has_tenants=True,
)
