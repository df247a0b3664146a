"""Shopify's fulfillments: what we call a shipment.

Comes in: the body of a fulfillments topic. Comes out: one change of one shipment. Pure.
"""

from collections.abc import Mapping
from typing import Final

from shared.providers import reading
from shared.providers.contract import JSON, Change, Identity, Outcome, Source
from shared.providers.shopify import resource
from shared.providers.shopify.resource import Body

# Where the parcel is, when a carrier says so.
# Source: shopify.dev, admin-graphql, enums/FulfillmentDisplayStatus, read 2026-11.
_PARCEL: Final[Mapping[str, str]] = {
    "label_purchased": "ready",
    "label_printed": "ready",
    "ready_for_pickup": "ready",
    "confirmed": "shipped",
    "carrier_picked_up": "shipped",
    "in_transit": "in_transit",
    "delayed": "in_transit",
    "attempted_delivery": "in_transit",  # they try again
    "out_for_delivery": "out_for_delivery",
    "delivered": "delivered",
    "picked_up": "delivered",
    "failure": "failed",
    "not_delivered": "failed",
    "label_voided": "cancelled",
}
# What became of the fulfillment itself.
# Source: shopify.dev, admin-rest, resources/fulfillment, status, read 2026-11.
_FULFILLMENT: Final[Mapping[str, str]] = {
    "pending": "pending",
    "open": "pending",
    "success": "shipped",
    "cancelled": "cancelled",
    "error": "failed",
    "failure": "failed",
}
_OVER: Final = frozenset(("cancelled", "error", "failure"))  # whatever a carrier said before
_MAPPED: Final = frozenset(
    """id admin_graphql_api_id order_id status shipment_status line_items created_at updated_at
    tracking_number tracking_url tracking_company estimated_delivery_at""".split()  # noqa: SIM905  # shorter than a name a line
)
_LINE: Final = frozenset(("id", "admin_graphql_api_id", "sku", "title", "name", "quantity", "product_id", "variant_id"))
# Whom it goes to stands with the order, where it is found when it must be forgotten; a receipt is the service's own.
_WITHHELD: Final = frozenset(("destination", "email", "origin_address", "receipt"))


def snapshot(body: Body, identity: Identity, source: Source) -> Outcome:
    """The shipment as it is now."""
    del identity, source
    shipment_id = resource.identifier(body, "Fulfillment")
    order_id = reading.identifier(body, "order_id")
    version = reading.instant(body, "updated_at")
    status = _status(body)
    fields = resource.said(body, _PLAIN) | {"order_external_id": order_id}
    fields["attributes"] = reading.rest(body, _MAPPED | _WITHHELD)
    if "status" in body:
        fields["status"] = status
        fields["provider_status"] = reading.optional_text(body, "shipment_status") or reading.optional_text(
            body, "status"
        )
    if reading.optional_text(body, "status") == "success" and "created_at" in body:
        fields["shipped_at"] = reading.optional_instant(body, "created_at")
    # They do not say when it was delivered: by the time they first wrote to a fulfillment that is. They may well write
    # to it again, a week later.
    if status is not None:
        fields["delivered_at"] = version if status == "delivered" else None
    guesses = frozenset({"delivered_at"}) if status == "delivered" else frozenset[str]()
    return Outcome(changes=(Change("shipment", "upsert", shipment_id, version, fields, guesses=guesses),))


def _status(body: Body) -> str | None:
    own, parcel = reading.optional_text(body, "status"), reading.optional_text(body, "shipment_status")
    if own not in _OVER and parcel is not None and parcel in _PARCEL:
        return _PARCEL[parcel]
    return None if own is None else _FULFILLMENT.get(own)


def _line(item: Body) -> dict[str, JSON]:
    return {
        "id": reading.identifier(item),
        "sku": reading.optional_text(item, "sku"),
        "title": reading.optional_text(item, "title"),
        "quantity": reading.optional_integer(item, "quantity"),
        "productId": resource.optional_identifier(item, "product_id"),
        "variantId": resource.optional_identifier(item, "variant_id"),
    }


_PLAIN: Final[resource.Table] = {
    "created_at": ("created_at", reading.optional_instant),
    "tracking_number": ("tracking_number", reading.optional_text),
    "tracking_url": ("tracking_url", reading.optional_text),
    "carrier": ("tracking_company", reading.optional_text),
    "expected_at": ("estimated_delivery_at", reading.optional_instant),
    "line_items": ("line_items", lambda body, name: resource.items(body, name, _line, _LINE)),
}
