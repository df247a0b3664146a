"""Shopify: customers, orders, refunds, fulfillments, products, inventory, and what concerns the shop itself.

Comes in: a webhook signed with the app's client secret. Comes out: one change of one record, or one effect. Each noun
has a file; `resource` reads what all of them have, `delivery` the signature and the headers. Pure.
"""

from collections.abc import Callable, Mapping
from typing import Final

from shared.providers import reading
from shared.providers.contract import JSON, Identity, Outcome, Provider, Source
from shared.providers.shopify import customers, edits, fulfillments, orders, products, refunds, shop
from shared.providers.shopify.delivery import identify, route, sign, verify
from shared.providers.shopify.products import check_settings
from shared.providers.shopify.resource import Body
from shared.shopify_domain import domain_of

_READERS: Final[Mapping[str, Callable[[Body, Identity, Source], Outcome]]] = {
    "customers/create": customers.snapshot,
    "customers/update": customers.snapshot,
    "customers/delete": customers.deletion,
    "customers/merge": customers.merge,
    "customers_email_marketing_consent/update": customers.email_consent,
    "customers_marketing_consent/update": customers.sms_consent,
    "orders/create": orders.snapshot,
    "orders/updated": orders.snapshot,
    "orders/cancelled": orders.snapshot,
    "orders/paid": orders.snapshot,
    "orders/fulfilled": orders.snapshot,
    "orders/edited": edits.edit,
    "orders/delete": orders.deletion,
    "refunds/create": refunds.snapshot,
    "fulfillments/create": fulfillments.snapshot,
    "fulfillments/update": fulfillments.snapshot,
    "inventory_levels/update": products.level,
    "products/create": products.snapshot,
    "products/update": products.snapshot,
    "products/delete": products.deletion,
    "shop/update": shop.updated,
    "app/uninstalled": shop.uninstalled,
    "customers/data_request": shop.data_request,
    "customers/redact": shop.redact_customer,
    "shop/redact": shop.redact_shop,
}
# Topics that an app may well be subscribed to, and why they change nothing here.
_SAID_ELSEWHERE: Final[Mapping[str, str]] = {
    "customers/tags_added": "it tells a part of the tags only, and a user's are kept whole",
    "customers/tags_removed": "it tells a part of the tags only, and a user's are kept whole",
    "customers/purchasing_summary": "sums follow from the orders",
    "customers/enable": "customers/update tells the customer whole",
    "customers/disable": "customers/update tells the customer whole",
    "orders/partially_fulfilled": "orders/updated tells the order whole",
}

TOPICS: Final = tuple(_READERS)


def transform(identity: Identity, payload: JSON, source: Source) -> Outcome:
    """The record as it is now, its end, or an effect.

    Raises:
        PayloadUnexpected: the body does not have the topic's shape.
    """
    read = _READERS.get(identity.topic)
    if read is None:
        return Outcome(ignored=_SAID_ELSEWHERE.get(identity.topic, f"topic {identity.topic} is not handled"))
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
    identifies_by_body=False,
    check_settings=check_settings,
    has_tenants=True,
    tenant_of=lambda name: domain_of(name.strip()),
    tenant_example="acme.myshopify.com",
    obligatory=frozenset(("customers/data_request", "customers/redact", "shop/redact")),
)
