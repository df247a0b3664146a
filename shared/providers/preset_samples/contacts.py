"""What a sender of no particular kind tells of its contacts, in the form that Standard Webhooks recommends.

Comes in: a topic, a contact's number and an instant. Comes out: the body; the same for the same arguments. Pure.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from shared.clock import to_json
from shared.providers import people
from shared.providers.contract import JSON

MAPPING: Final[Mapping[str, JSON]] = {
    "user": {
        "topics": ["contact.created", "contact.updated"],
        "deleteTopics": ["contact.deleted"],
        "id": "data.id",
        "version": "data.updatedAt",
        "fields": {
            "firstName": "data.firstName",
            "lastName": "data.lastName",
            "email": "data.email",
            "phone": "data.phone",
            "tags": "data.labels",
            "customFields": "data.custom",
        },
    }
}


def _contact(topic: str, number: int, at: datetime) -> JSON:
    first, last, email, phone = people.person(number)
    contact: dict[str, Any] = {"id": f"ct_{number:08d}", "updatedAt": to_json(at)}
    if topic != "contact.deleted":
        contact |= {
            "firstName": first,
            "lastName": last,
            "email": email,
            "phone": people.new_phone(at) if topic == "contact.updated" else phone,
            "labels": ["beta", "vip"] if number % 2 else [],
            "custom": {"seats": number % 50, "trial": number % 2 == 0, "referrer": None},
        }
    return {"type": topic, "timestamp": to_json(at), "data": contact}


MAKERS: Final[Mapping[str, Callable[[str, int, datetime], JSON]]] = dict.fromkeys(
    ("contact.created", "contact.updated", "contact.deleted"), _contact
)
