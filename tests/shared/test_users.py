from datetime import UTC, datetime
from typing import Any

from shared.db.tables import users
from shared.event_types import CATALOGUE
from shared.users import CHANNELS, FIELD_NAMES, user_json

AT = datetime(2026, 3, 2, 12, 0, 0, 7000, tzinfo=UTC)


def row(**values: Any) -> dict[str, Any]:
    blank: dict[str, Any] = {column.name: None for column in users.columns}
    objects: dict[str, Any] = {name: {} for name in ("opt_ins", "custom_fields", "interactions", "stats", "attributes")}
    lists: dict[str, Any] = {"roles": [], "tags": []}
    return (
        blank
        | objects
        | lists
        | {"id": "u1", "external_id": "7", "provider": "shopify", "tenant": "", "export_consent_given": False}
        | {"created_at": AT, "updated_at": AT}
        | values
    )


# The documented structure of a user, with the type of each leaf.
DOCUMENTED = {
    "id": str,
    "manychatId": str,
    "instagramUsername": str,
    "instagramId": str,
    "firstName": str,
    "lastName": str,
    "fullName": str,
    "email": str,
    "phone": str,
    "whatsappPhone": str,
    "gender": str,
    "locale": str,
    "timezone": str,
    "profilePic": str,
    "optIns": {"messenger": bool, "instagram": bool, "whatsapp": bool, "telegram": bool},
    "exportConsent": {"given": bool, "at": str},
    "tags": [{"id": str, "name": str, "appliedAt": str}],
    "customFields": {"favourite_tea": str},
    "interactions": {
        "messagesCount": int,
        "commentsCount": int,
        "storiesCount": int,
        "totalCount": int,
        "lastUpdated": str,
    },
    "stats": {
        "bookingsCount": int,
        "qrScansCount": int,
        "conversationsCount": int,
        "lastBooking": str,
        "lastSynced": str,
    },
    "timestamps": {"subscribedAt": str, "createdAt": str, "updatedAt": str},
}


def shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: shape(item) for name, item in value.items()}
    return [shape(item) for item in value] if isinstance(value, list) else type(value)


def test_a_full_user_has_the_documented_structure() -> None:
    texts = {name: "x" for name in FIELD_NAMES if users.c[name].type.python_type is str}
    user = user_json(
        row(
            **texts,
            opt_ins={"messenger": True},
            export_consent_given=True,
            export_consent_at=AT,
            tags=[{"id": "t1", "name": "vip", "appliedAt": "2026-03-02T12:00:00.007Z"}],
            custom_fields={"favourite_tea": "Sencha"},
            interactions={"lastUpdated": "2026-03-02T12:00:00.007Z"},
            stats={"lastBooking": "2026-03-02T12:00:00.007Z"},
            subscribed_at=AT,
        )
    )
    assert shape({name: user[name] for name in DOCUMENTED}) == DOCUMENTED
    assert set(user) - set(DOCUMENTED) == {"externalId", "provider", "tenant", "roles", "address", "attributes"}


def test_an_empty_user_has_every_key_too() -> None:
    user = user_json(row())
    assert set(DOCUMENTED) <= set(user)
    assert user["optIns"] == dict.fromkeys(CHANNELS, False)
    assert user["exportConsent"] == {"given": False, "at": None}
    assert user["timestamps"] == {
        "subscribedAt": None,
        "createdAt": "2026-03-02T12:00:00.007Z",
        "updatedAt": "2026-03-02T12:00:00.007Z",
    }
    assert user["stats"]["lastSynced"] == "2026-03-02T12:00:00.007Z"


def test_a_user_without_a_full_name_is_called_by_its_parts() -> None:
    assert user_json(row(first_name="Zoë", last_name="Lindqvist"))["fullName"] == "Zoë Lindqvist"
    assert user_json(row(first_name="Zoë"))["fullName"] == "Zoë"
    assert user_json(row(full_name="Dr Zoë", first_name="Zoë"))["fullName"] == "Dr Zoë"
    assert user_json(row())["fullName"] is None


def test_the_catalogue_shows_a_whole_user() -> None:
    assert set(CATALOGUE["user.created"].data["user"]) == set(user_json(row()))
