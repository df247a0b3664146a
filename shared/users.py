"""What a user is: its columns, and the one JSON form that events, the API and exports show.

Comes in: a row of `users`. Comes out: its JSON. Pure; a process that dies in the middle leaves nothing.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from shared.clock import to_json

# Column -> its name in our JSON. What a provider may say of a user is exactly these.
TEXT_FIELDS: Final[Mapping[str, str]] = {
    "manychat_id": "manychatId",
    "instagram_username": "instagramUsername",
    "instagram_id": "instagramId",
    "first_name": "firstName",
    "last_name": "lastName",
    "full_name": "fullName",
    "email": "email",
    "phone": "phone",
    "whatsapp_phone": "whatsappPhone",
    "gender": "gender",
    "locale": "locale",
    "timezone": "timezone",
    "profile_pic": "profilePic",
}
# Objects whose keys are facts of their own: a key that is absent is unknown, `None` takes it away.
OBJECT_FIELDS: Final[Mapping[str, str]] = {
    "opt_ins": "optIns",
    "custom_fields": "customFields",
    "interactions": "interactions",
    "stats": "stats",
    "attributes": "attributes",
}
TIME_FIELDS: Final[Mapping[str, str]] = {
    "export_consent_at": "exportConsentAt",
    "subscribed_at": "subscribedAt",
    "created_at": "createdAt",
}
FIELD_NAMES: Final[Mapping[str, str]] = {
    **TEXT_FIELDS,
    **OBJECT_FIELDS,
    **TIME_FIELDS,
    "export_consent_given": "exportConsentGiven",
    "roles": "roles",
    "tags": "tags",
    "address": "address",
}
ADDRESS_NAMES: Final = (
    "name",
    "company",
    "line1",
    "line2",
    "city",
    "province",
    "postalCode",
    "country",
    "countryCode",
    "phone",
)
# Of a tombstone's attributes: the provider's id of the user that this one was merged into.
MERGED_INTO: Final = "merged_into"
CHANNELS: Final = ("messenger", "instagram", "whatsapp", "telegram")

_NO_ADDRESS: Final[Mapping[str, Any]] = {**dict.fromkeys(ADDRESS_NAMES), "attributes": {}}


def user_json(row: Mapping[str, Any]) -> dict[str, Any]:
    """The user of a `users` row (`row._mapping` of a result) as events and the API show it.

    The shape is always whole: what nobody has said is `null`, `false`, `0`, `{}` or `[]`.
    """
    opt_ins, interactions, stats = row["opt_ins"], row["interactions"], row["stats"]
    updated_at = to_json(row["updated_at"])
    return {
        "id": str(row["id"]),
        "externalId": row["external_id"],
        "provider": row["provider"],
        "tenant": row["tenant"],
        "manychatId": row["manychat_id"],
        "instagramUsername": row["instagram_username"],
        "instagramId": row["instagram_id"],
        "firstName": row["first_name"],
        "lastName": row["last_name"],
        "fullName": row["full_name"] or _joined(row["first_name"], row["last_name"]),
        "email": row["email"],
        "phone": row["phone"],
        "whatsappPhone": row["whatsapp_phone"],
        "gender": row["gender"],
        "locale": row["locale"],
        "timezone": row["timezone"],
        "profilePic": row["profile_pic"],
        "roles": row["roles"],
        "address": None if row["address"] is None else {**_NO_ADDRESS, **row["address"]},
        "optIns": {**dict.fromkeys(CHANNELS, False), **opt_ins},
        "exportConsent": {"given": row["export_consent_given"], "at": _time(row["export_consent_at"])},
        "tags": row["tags"],
        "customFields": row["custom_fields"],
        "interactions": {
            "messagesCount": 0,
            "commentsCount": 0,
            "storiesCount": 0,
            "totalCount": 0,
            "lastUpdated": None,
            **interactions,
        },
        "stats": {
            "bookingsCount": 0,
            "qrScansCount": 0,
            "conversationsCount": 0,
            "lastBooking": None,
            "lastSynced": updated_at,
            **stats,
        },
        "attributes": row["attributes"],
        "timestamps": {
            "subscribedAt": _time(row["subscribed_at"]),
            "createdAt": to_json(row["created_at"]),
            "updatedAt": updated_at,
        },
    }


def deleted_user_json(row: Mapping[str, Any]) -> dict[str, Any]:
    """What is told of a user that is gone: enough to find it by, who has its place, and nothing to be forgotten."""
    return {
        "id": str(row["id"]),
        "externalId": row["external_id"],
        "provider": row["provider"],
        "tenant": row["tenant"],
        "deletedAt": _time(row["deleted_at"]),
        "mergedInto": row["attributes"].get(MERGED_INTO),
    }


def _time(at: datetime | None) -> str | None:
    return None if at is None else to_json(at)


def _joined(first: str | None, last: str | None) -> str | None:
    return " ".join(part for part in (first, last) if part) or None
