"""The vocabulary: every event type a subscription can name, and which patterns match which type.

Pure; nothing is left behind by importing this.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from shared.users import deleted_user_json, user_json


@dataclass(frozen=True, slots=True)
class EventType:
    """One event type, for the catalogue, for validation and for test deliveries."""

    description: str
    data: Mapping[str, Any]  # an example of the envelope's `data`
    action: str  # the envelope's `metadata.action`
    reserved: bool = False  # True: may be subscribed to already, but nothing emits it yet


_AT = datetime(2026, 3, 14, 9, 26, 53, 589000, tzinfo=UTC)
_ID = UUID("0195c1a2-7f00-7a11-8b22-c33d44e55f66")
_USER = user_json(
    {
        "id": _ID,
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
        "created_at": _AT,
        "updated_at": _AT,
    }
)
_GONE = deleted_user_json(
    {
        "id": _ID,
        "external_id": "7064055069303700841",
        "provider": "shopify",
        "tenant": "lindenhof.myshopify.com",
        "deleted_at": _AT,
    }
)
_BOOKING = {"id": "0195c1a2-7f00-7a11-8b22-000000000002", "status": "pending", "startTime": "2026-03-20T18:00:00.000Z"}
_QR_CODE = {"id": "0195c1a2-7f00-7a11-8b22-000000000003", "code": "TABLE-7"}
_STATUS_CHANGE = {"status": {"old": "pending", "new": "confirmed"}}
_SUBSCRIPTION = {
    "id": "0195c1a2-7f00-7a11-8b22-000000000004",
    "name": "My CRM",
    "url": "https://crm.example/hooks",
    "reason": "failures",
    "disabledAt": "2026-03-14T09:26:53.589Z",
}

CATALOGUE: Final[Mapping[str, EventType]] = {
    "user.created": EventType("New user created", {"user": _USER}, "created"),
    "user.updated": EventType(
        "User data updated",
        {"user": _USER, "changes": {"phone": {"old": None, "new": "+46701234567"}}},
        "updated",
    ),
    "user.deleted": EventType("User deleted at the provider", {"user": _GONE}, "deleted"),
    "tag.added": EventType("Tag added to user", {"user": _USER, "tag": _USER["tags"][0]}, "added"),
    "tag.removed": EventType("Tag removed from user", {"user": _USER, "tag": _USER["tags"][0]}, "removed"),
    "customfield.updated": EventType(
        "Custom field value changed",
        {"user": _USER, "field": {"name": "favourite_tea", "old": None, "new": "Sencha"}},
        "updated",
    ),
    "booking.created": EventType("New booking created", {"booking": _BOOKING, "user": _USER}, "created", reserved=True),
    "booking.updated": EventType(
        "Booking updated", {"booking": _BOOKING, "changes": _STATUS_CHANGE}, "updated", reserved=True
    ),
    "booking.cancelled": EventType("Booking cancelled", {"booking": _BOOKING}, "cancelled", reserved=True),
    "booking.completed": EventType("Booking completed", {"booking": _BOOKING}, "completed", reserved=True),
    "qr.scanned": EventType(
        "QR code scanned", {"qrCode": _QR_CODE, "user": _USER, "scannedBy": "door-2"}, "scanned", reserved=True
    ),
    "qr.validated": EventType("QR code validated", {"qrCode": _QR_CODE, "user": _USER}, "validated", reserved=True),
    "subscription.disabled": EventType(
        "Another of the account's subscriptions was disabled", {"subscription": _SUBSCRIPTION}, "disabled"
    ),
    "webhook.test": EventType("A test that a person asked for", {"message": "This is a test from Crossdock."}, "test"),
}


def patterns_of(event_type: str) -> list[str]:
    """Every pattern that matches the type: `a.b.c` is matched by `*`, `a.*`, `a.b.*` and `a.b.c`."""
    parts = event_type.split(".")
    return ["*", *(".".join(parts[:count]) + ".*" for count in range(1, len(parts))), event_type]


def matches(patterns: Iterable[str], event_type: str) -> bool:
    """Whether a subscription with these patterns wants the type."""
    return not set(patterns).isdisjoint(patterns_of(event_type))
