"""What concerns the shop as a whole: its own data, the app's uninstall, and what the law lets its customers ask for.

Comes in: the body of one of these topics. Comes out: one effect on our side. The header that names the shop is
unsigned, so a privacy body's own shop must be the same: one shop's request must not erase another's customers. Pure.

Source: shopify.dev, privacy law compliance, read 2026-11.
"""

from shared.errors import PayloadUnexpected
from shared.providers import reading
from shared.providers.contract import Change, Identity, Outcome, Source
from shared.providers.shopify.resource import Body

WHOLE_SHOP = "*"
# A body with one of these is about one customer, or about a person's data, and never about the whole shop.
_CUSTOMER_ONLY = ("customer", "orders_requested", "orders_to_redact", "data_request")


def uninstalled(body: Body, identity: Identity, source: Source) -> Outcome:
    """The shop has thrown the app out: its access token is dead already.

    It may arrive after a new installation, and therefore has the version of when it was triggered.
    """
    del source
    _check_is_shop(body, identity)
    return Outcome(changes=(Change("integration", "delete", identity.tenant, identity.occurred_at),))


def updated(body: Body, identity: Identity, source: Source) -> Outcome:
    """The shop's own data changed: it is asked for them, in the words that its document is kept in."""
    del source
    _check_is_shop(body, identity)
    at = reading.optional_instant(body, "updated_at") or identity.occurred_at
    return Outcome(changes=(Change("inquiry", "upsert", identity.tenant, at, {"of": "shop"}),))


def data_request(body: Body, identity: Identity, source: Source) -> Outcome:
    """A customer wants to see what is kept: an export within 30 days."""
    del source
    _check_shop(body, identity)
    request = reading.as_object(body.get("data_request"), "data_request")
    customer_id, orders = _customer(body, "orders_requested")
    fields = {"orders": orders, "request_id": reading.identifier(request)}
    return Outcome(changes=(Change("data_request", "upsert", customer_id, identity.occurred_at, fields),))


def redact_customer(body: Body, identity: Identity, source: Source) -> Outcome:
    """A customer is to be forgotten, with the orders that are named, within 30 days."""
    del source
    _check_shop(body, identity)
    customer_id, orders = _customer(body, "orders_to_redact")
    return Outcome(changes=(Change("erasure", "delete", customer_id, identity.occurred_at, {"orders": orders}),))


def redact_shop(body: Body, identity: Identity, source: Source) -> Outcome:
    """Everything of the shop is to be forgotten: sent 48 hours after it threw the app out."""
    del source
    _check_shop(body, identity)
    # The topic is unsigned: a request about one customer, sent again as this, must not erase the shop.
    if found := [name for name in _CUSTOMER_ONLY if name in body]:
        raise PayloadUnexpected(f"a shop's erasure does not carry {found[0]}")
    return Outcome(changes=(Change("erasure", "delete", WHOLE_SHOP, identity.occurred_at, {"orders": []}),))


def _check_is_shop(body: Body, identity: Identity) -> None:
    reading.identifier(body)
    if "shop_owner" not in body and "myshopify_domain" not in body:
        raise PayloadUnexpected("the body is not a shop")
    # Often null: the header then stands alone.
    domain = reading.optional_text(body, "myshopify_domain")
    if domain is not None and domain.lower() != identity.tenant:
        raise PayloadUnexpected("myshopify_domain is not the shop of the header")


def _check_shop(body: Body, identity: Identity) -> None:
    reading.identifier(body, "shop_id")
    if reading.text(body, "shop_domain").lower() != identity.tenant:
        raise PayloadUnexpected("shop_domain is not the shop of the header")


def _customer(body: Body, orders_name: str) -> tuple[str, list[str]]:
    """The customer's id and the ids of the orders; the list tells the two requests apart, whatever the header says."""
    if orders_name not in body:
        raise PayloadUnexpected(f"{orders_name} is missing")
    customer = reading.as_object(body.get("customer"), "customer")
    orders = [reading.identifier({"order": item}, "order") for item in reading.optional_list(body, orders_name) or ()]
    return reading.identifier(customer), orders
