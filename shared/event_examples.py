"""The examples of the catalogue: one record of each kind, as events show it.

Pure; nothing is left behind by importing this.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from shared.record_json import deleted_record_json, record_json
from shared.record_kinds import RECORDS
from shared.users import deleted_user_json, user_json

AT = datetime(2026, 3, 14, 9, 26, 53, 589000, tzinfo=UTC)
ID = UUID("0195c1a2-7f00-7a11-8b22-c33d44e55f66")
USER = user_json(
    {
        "id": ID,
        "external_id": "7064055069303700841",
        "provider": "shopify",
        "tenant": "lindenhof.myshopify.com",
        "manychat_id": None,
        "instagram_username": None,
        "instagram_id": None,
        "first_name": "Zoë",
        "last_name": "Lindqvist",
        "full_name": "Zoë Lindqvist",
        "email": "zoe@lindenhof.example",
        "phone": "+46701234567",
        "whatsapp_phone": None,
        "gender": None,
        "locale": "sv",
        "timezone": "Europe/Stockholm",
        "profile_pic": None,
        "roles": [],
        "address": {"line1": "Storgatan 1", "city": "Umeå", "postalCode": "903 26", "country": "Sweden"},
        "opt_ins": {},
        "export_consent_given": False,
        "export_consent_at": None,
        "tags": [
            {"id": "0195c1a2-7f00-7a11-8b22-000000000001", "name": "vip", "appliedAt": "2026-03-14T09:26:53.589Z"}
        ],
        "custom_fields": {"favourite_tea": "Sencha"},
        "interactions": {},
        "stats": {},
        "attributes": {},
        "subscribed_at": None,
        "created_at": AT,
        "updated_at": AT,
    }
)
GONE_USER = deleted_user_json(
    {
        "id": ID,
        "external_id": "7064055069303700841",
        "provider": "shopify",
        "tenant": "lindenhof.myshopify.com",
        "deleted_at": AT,
        "attributes": {},
    }
)

_SHOP = {"provider": "shopify", "tenant": "lindenhof.myshopify.com"}
_LINE = {
    "id": "7064055069303700901",
    "sku": "SEN-100",
    "title": "Sencha Fukujyu, 100 g",
    "quantity": 2,
    "priceMinor": 1450,
    "totalMinor": 2900,
    "productId": "7064055069303700801",
    "variantId": "7064055069303700802",
    "status": None,
}
_ADDRESS = {"line1": "Storgatan 1", "city": "Umeå", "postalCode": "903 26", "country": "Sweden"}
_GIVEN: Final[Mapping[str, Mapping[str, Any]]] = {
    "order": _SHOP
    | {
        "external_id": "7064055069303700900",
        "number": "#1001",
        "status": "open",
        "financial_status": "paid",
        "fulfillment_status": "unfulfilled",
        "currency": "EUR",
        "total_minor": 3390,
        "subtotal_minor": 2900,
        "tax_minor": 541,
        "discount_minor": 0,
        "shipping_minor": 490,
        "presentment": {"currency": "SEK", "totalMinor": 38120},
        "customer_external_id": "7064055069303700841",
        "email": "zoe@lindenhof.example",
        "phone": "+46701234567",
        "billing_address": _ADDRESS,
        "shipping_address": _ADDRESS,
        "line_items": [_LINE],
        "tags": ["gift"],
        "placed_at": AT,
    },
    "refund": _SHOP
    | {
        "external_id": "7064055069303700910",
        "order_external_id": "7064055069303700900",
        "amount_minor": 1450,
        "currency": "EUR",
        "presentment": {"currency": "SEK", "amountMinor": 16300},
        "note": "One tin arrived open",
        "line_items": [
            {"id": "7064055069303700911", "lineItemId": "7064055069303700901", "quantity": 1, "amountMinor": 1450}
        ],
        "refunded_at": AT,
    },
    "product": _SHOP
    | {
        "external_id": "7064055069303700801",
        "title": "Sencha Fukujyu",
        "handle": "sencha-fukujyu",
        "status": "active",
        "vendor": "Lindenhof",
        "product_type": "Tea",
        "tags": ["green"],
        "published_at": AT,
        "variants": [
            {
                "id": "7064055069303700802",
                "sku": "SEN-100",
                "title": "100 g",
                "barcode": "4006381333931",
                "price": "14.50",
                "currency": "EUR",
                "priceMinor": 1450,
                "compareAtPriceMinor": None,
                "inventoryItemId": "7064055069303700803",
                "inventoryQuantity": 12,
            }
        ],
        "options": [{"id": "7064055069303700804", "name": "Size", "position": 1, "values": ["100 g"]}],
    },
    "inventory": _SHOP
    | {
        "external_id": "7064055069303700803:31",
        "item_external_id": "7064055069303700803",
        "location_external_id": "31",
        "available": 12,
        "sku": "SEN-100",
    },
    "shipment": {
        "provider": "selloship",
        "tenant": "",
        "external_id": "AWB4711",
        "order_external_id": "1001",
        "status": "in_transit",
        "provider_status": "IN TRANSIT",
        "tracking_number": "AWB4711",
        "tracking_url": "https://track.example/AWB4711",
        "carrier": "Blue Parcel",
        "shipped_at": AT,
    },
    "payment": {
        "provider": "flipkart",
        "tenant": "",
        "external_id": "PAY-77",
        "order_external_id": "OD-1001",
        "status": "paid",
        "amount_minor": 129900,
        "currency": "INR",
        "method": "upi",
        "paid_at": AT,
    },
    "report": {
        "provider": "amazon",
        "tenant": "A1SELLER",
        "external_id": "53347",
        "report_kind": "feed",
        "report_type": "POST_PRODUCT_DATA",
        "status": "done",
        "document_id": "doc-53347",
        "finished_at": AT,
    },
    "article": {
        "provider": "robaws",
        "tenant": "",
        "external_id": "15",
        "number": "A-15",
        "name": "Oak board",
        "description": "Planed, 27 mm",
        "price_minor": 3995,
        "currency": "EUR",
        "stock": 2.5,
        "unit": "m2",
        "status": "active",
    },
}


def record(kind: str, **given: Any) -> dict[str, Any]:
    """The example of a kind, `given` on top, as `record_json` shows it."""
    return record_json(RECORDS[kind], {**RECORDS[kind].blank, **_row(kind), **given})


def gone(kind: str) -> dict[str, Any]:
    """The example of a kind after it was deleted."""
    return deleted_record_json(_row(kind))


def _row(kind: str) -> dict[str, Any]:
    return {"id": ID, "created_at": AT, "updated_at": AT, "deleted_at": AT, **_GIVEN[kind]}
