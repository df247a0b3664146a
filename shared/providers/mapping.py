"""A user mapped from foreign JSON by dotted paths: the short way, where `records` would say more than is needed.

Comes in: a mapping and a parsed body. Comes out: one change. Pure; nothing is left behind.
"""

from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from shared.errors import PayloadUnexpected
from shared.providers import mapped_values, reading
from shared.providers.contract import JSON, Change
from shared.providers.options import Options
from shared.record_kinds import USER

TEXT_FIELDS = {
    "firstName": "first_name",
    "lastName": "last_name",
    "fullName": "full_name",
    "email": "email",
    "phone": "phone",
    "whatsappPhone": "whatsapp_phone",
    "gender": "gender",
    "locale": "locale",
    "timezone": "timezone",
    "profilePic": "profile_pic",
    "manychatId": "manychat_id",
    "instagramId": "instagram_id",
    "instagramUsername": "instagram_username",
}
OTHER_FIELDS = {"roles": "roles", "tags": "tags", "customFields": "custom_fields", "attributes": "attributes"}


class UserMapping(Options):
    """Which topics speak of a user, and where its parts stand; a path is `data.email` or `$.data.email`."""

    topics: tuple[str, ...] = ()
    delete_topics: tuple[str, ...] = ()
    id: str = Field(min_length=1)
    fields: dict[str, str] = Field(default_factory=dict)  # our name of a field -> its path
    version: str = ""

    @field_validator("fields")
    @classmethod
    def _are_ours(cls, fields: dict[str, str]) -> dict[str, str]:
        names = TEXT_FIELDS | OTHER_FIELDS
        if unknown := [name for name in fields if name not in names]:
            raise ValueError(f"no such field: {', '.join(unknown)}; there are {', '.join(names)}")
        return fields

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.topics and not self.delete_topics:
            raise ValueError("topics or deleteTopics: one topic at least is needed")
        if twice := set(self.topics) & set(self.delete_topics):
            raise ValueError(f"a topic either updates or deletes: {', '.join(sorted(twice))}")
        return self

    def wants(self, topic: str) -> bool:
        """Whether the topic speaks of a user."""
        return topic in self.topics or topic in self.delete_topics


def at(payload: JSON, path: str) -> tuple[bool, Any]:
    """Whether something stands at a dotted path, and what; numbers count the items of a list."""
    value = payload
    for step in path.removeprefix("$").removeprefix(".").split("."):
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isascii() and step.isdigit() and int(step[:9]) < len(value):
            value = value[int(step[:9])]
        else:
            return False, None
    return True, value


def text_at(payload: JSON, path: str) -> str | None:
    """The text or number at a path, as text; `None` when there is neither."""
    return as_text(at(payload, path)[1])


def as_text(value: Any) -> str | None:
    """A text or a number, as text; `None` when it is neither, or blank, or a number that has lost digits."""
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, int | float) and not isinstance(value, bool) and not reading.is_rounded(value):
        return str(value)
    return None


def change(mapping: UserMapping, topic: str, payload: JSON) -> Change:
    """The change that a body means.

    Raises:
        PayloadUnexpected: there is no JSON, no id, or a field of another kind than ours.
    """
    reading.as_object(payload, "the body")
    external_id = text_at(payload, mapping.id)
    if external_id is None:
        raise PayloadUnexpected(f"there is no id at {mapping.id}")
    version = mapped_values.instant(at(payload, mapping.version)[1], mapping.version) if mapping.version else None
    if topic in mapping.delete_topics:
        return Change("user", "delete", external_id, version)
    fields: dict[str, JSON] = {}
    for name, path in mapping.fields.items():
        there, value = at(payload, path)
        if there:  # what is absent says nothing
            column = (TEXT_FIELDS | OTHER_FIELDS)[name]
            fields[column] = mapped_values.value_of(USER.by_name[column], value)
    return Change("user", "upsert", external_id, version, fields)
