"""What HubSpot posts of contacts: an array of events, of one kind or of several.

Comes in: a kind of event, a contact's number and an instant. Comes out: the array; the same for the same arguments.
Pure. Source: developers.hubspot.com, webhooks guide, read 2026-11.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from shared.providers import people
from shared.providers.batches import MIXED
from shared.providers.contract import JSON
from shared.providers.turns import turn

_CREATED: Final = "contact.creation"
_CHANGED: Final = "contact.propertyChange"
_DELETED: Final = "contact.deletion"


def _property_rule(theirs: str, ours: str) -> JSON:
    return {
        "kind": "user",
        "topics": [_CHANGED],
        "when": f"propertyName == '{theirs}'",
        "id": "objectId",
        "part": "propertyName",
        "fields": {ours: "propertyValue"},
    }


MAPPING: Final[Mapping[str, JSON]] = {
    "records": [
        {"kind": "user", "topics": [_CREATED], "deleteTopics": [_DELETED], "id": "objectId"},
        _property_rule("email", "email"),
        _property_rule("phone", "phone"),
    ]
}
_SUBSCRIPTIONS: Final = {_CREATED: 2_700_001, _CHANGED: 2_700_002, _DELETED: 2_700_003}
_FIRST_CONTACT: Final = 51_000_000_000
_APART: Final = 1_000_000_000  # from a contact to the one that goes as it comes


def _event(topic: str, number: int, at: datetime, place: int, **more: JSON) -> dict[str, Any]:
    """The event at a place of its array; each happened a millisecond after the one before."""
    milliseconds = int(at.timestamp() * 1000) + place
    return {
        "eventId": milliseconds * 10 + place,
        "subscriptionId": _SUBSCRIPTIONS[topic],
        "portalId": 6_200_471,
        "appId": 1_160_001,
        "occurredAt": milliseconds,
        "subscriptionType": topic,
        "attemptNumber": 0,
        "objectId": _FIRST_CONTACT + number,
        "changeSource": "CRM_UI" if number % 2 else "IMPORT",
        **more,
    }


def _created(topic: str, number: int, at: datetime) -> JSON:
    return [_event(topic, number, at, 0, changeFlag="NEW")]


def _changed(topic: str, number: int, at: datetime) -> JSON:
    email = f"customer{number}.{turn(at, 1_000_000)}@shop.example"
    return [
        _event(topic, number, at, 0, propertyName="email", propertyValue=email),
        _event(topic, number, at, 1, propertyName="phone", propertyValue=people.new_phone(at)),
    ]


def _deleted(topic: str, number: int, at: datetime) -> JSON:
    return [_event(topic, number, at, 0, changeFlag="DELETED")]


def _mixed(_: str, number: int, at: datetime) -> JSON:
    """What became of two contacts, in no order: one came, and another went."""
    return [
        *_changed(_CHANGED, number, at + timedelta(milliseconds=10)),
        *_deleted(_DELETED, number + _APART, at),
        *_created(_CREATED, number, at),
    ]


MAKERS: Final[Mapping[str, Callable[[str, int, datetime], JSON]]] = {
    _CREATED: _created,
    _CHANGED: _changed,
    _DELETED: _deleted,
    MIXED: _mixed,
}
