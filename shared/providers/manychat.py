"""ManyChat: a subscriber, posted by an External Request of a flow with the full contact data as its body.

Comes in: a contact, bare or as `{"event", "data": {...}}`, with a token in a header. Comes out: one change of one user.
ManyChat signs nothing and names no event: a flow that wants its event known writes it into the body. Pure.

A body is what the contact is when the flow runs, and holds no time of that: `last_interaction` is older, the same in
many bodies, and absent where a flow writes a few fields alone. So what comes later counts, by the time of its arrival.
The flow waits for our answer before it goes on, and ManyChat sends nothing twice.

Source: manychat/dynamic_block_docs, Full Contact Data, read 2026-11. Any field may be null or absent; ids are numbers
in old bodies and texts in new ones.
"""

from collections.abc import Mapping
from typing import Any, Final

from shared.clock import to_json
from shared.errors import PayloadUnexpected
from shared.providers import agreed, reading
from shared.providers.contract import (
    JSON,
    Change,
    Evidence,
    Identity,
    Outcome,
    Provider,
    Refusal,
    Request,
    Sample,
    Source,
    no_tenant,
)

UPDATED: Final = "subscriber.updated"
TOPICS: Final = (
    "subscriber.created",
    UPDATED,
    "subscriber.tag_added",
    "subscriber.tag_removed",
    "subscriber.custom_field_changed",
)
USUAL: Final = agreed.Usual(
    verification="token",
    hmac={"header": "X-Webhook-Signature"},
    token={"header": "Authorization", "prefix": "Bearer "},
)
_TEXTS: Final[Mapping[str, str]] = {
    "first_name": "first_name",
    "last_name": "last_name",
    "name": "full_name",
    "email": "email",
    "phone": "phone",
    "whatsapp_phone": "whatsapp_phone",
    "gender": "gender",
    "locale": "locale",
    "timezone": "timezone",
    "profile_pic": "profile_pic",
    "ig_username": "instagram_username",
}
_OPT_INS: Final[Mapping[str, str]] = {
    "optin_email": "email",
    "optin_phone": "sms",
    "optin_whatsapp": "whatsapp",
    "tt_optin": "tiktok",
}
_LAST: Final = ("last_interaction", "ig_last_interaction")  # on Messenger, on Instagram; kept as they are as well
_MAPPED: Final = frozenset((*_TEXTS, *_OPT_INS, "id", "ig_id", "subscribed", "tags", "custom_fields"))


def verify(request: Request, source: Source, evidence: Evidence) -> Refusal | None:
    """Passes what carries the token, or is proved as agreed."""
    return agreed.verify(USUAL, request, source, now=evidence.now)


def identify(request: Request, source: Source, payload: JSON) -> Identity:
    """What the body says; ManyChat sends no id of the delivery and never again, so a repeat is the same bytes.

    Raises:
        PayloadUnexpected: there is no contact.
    """
    del source
    body = reading.as_object(payload, "the body")
    topic = reading.optional_text(body, "event") or UPDATED
    return reading.identified(topic, TOPICS, request, lambda: _identity(topic, body, request))


def _identity(topic: str, body: Mapping[str, Any], request: Request) -> Identity:
    return Identity(
        topic=topic,
        key=reading.unique_key(None, request.body),
        delivery_id=None,
        tenant=reading.optional_identifier(_contact(body), "page_id") or "",
        occurred_at=None,
    )


def transform(identity: Identity, payload: JSON, source: Source) -> Outcome:
    """The subscriber as they are now.

    Raises:
        PayloadUnexpected: there is no contact with an id, or a field is of another kind.
    """
    del source
    body = reading.as_object(payload, "the body")
    if identity.topic not in TOPICS:
        return Outcome(ignored=f"topic {identity.topic} is not handled")
    contact = _contact(body)
    contact_id = reading.identifier(contact)
    return Outcome(changes=(Change("user", "upsert", contact_id, None, fields(contact)),))


def _contact(body: Mapping[str, Any]) -> Mapping[str, Any]:
    return reading.as_object(body["data"], "data") if "data" in body else body


def fields(contact: Mapping[str, Any]) -> dict[str, JSON]:
    """The user's fields that a contact tells, as External Requests and the API's getInfo have it.

    Raises:
        PayloadUnexpected: a field is of another kind.
    """
    found: dict[str, JSON] = {"manychat_id": reading.identifier(contact)}
    found |= {ours: reading.optional_text(contact, theirs) for theirs, ours in _TEXTS.items() if theirs in contact}
    if "ig_id" in contact:
        found["instagram_id"] = reading.optional_identifier(contact, "ig_id")
    opt_ins = {ours: contact[theirs] is True for theirs, ours in _OPT_INS.items() if theirs in contact}
    if "subscribed" in contact:
        found["subscribed_at"] = reading.optional_instant(contact, "subscribed")
        opt_ins["messenger"] = found["subscribed_at"] is not None and contact.get("status", "active") == "active"
    if opt_ins:
        found["opt_ins"] = opt_ins
    if known := [at for name in _LAST if (at := reading.optional_instant(contact, name)) is not None]:
        found["interactions"] = {"lastUpdated": to_json(max(known))}
    if "tags" in contact:
        found["tags"] = _tags(contact["tags"])
    if "custom_fields" in contact:
        found["custom_fields"] = _custom_fields(contact["custom_fields"])
    found["attributes"] = reading.rest(contact, _MAPPED)
    return found


def _tags(given: JSON) -> list[dict[str, str | None]]:
    """Tags from a list of names or of `{"id", "name"}`, or from one text with commas."""
    items = given.split(",") if isinstance(given, str) else [] if given is None else given
    if not isinstance(items, list):
        raise PayloadUnexpected("tags is no list")
    found: dict[str, dict[str, str | None]] = {}
    for item in items:
        if isinstance(item, str):
            if name := item.strip():
                found[name] = reading.tag(name)
        else:
            one = reading.as_object(item, "tags")
            name = reading.text(one, "name")
            found[name] = reading.tag(name) | {"id": reading.optional_identifier(one, "id") or name}
    return list(found.values())


def _custom_fields(given: JSON) -> dict[str, JSON]:
    """Custom fields from `{name: value}`, or from the API's list of `{"name", "value"}`; null empties one."""
    if given is None:
        return {}
    if isinstance(given, list):
        rows = [reading.as_object(item, "custom_fields") for item in given]
        pairs = {reading.text(row, "name"): row.get("value") for row in rows}
    else:
        pairs = dict(reading.as_object(given, "custom_fields"))
    for value in pairs.values():
        if isinstance(value, dict | list):
            raise PayloadUnexpected("custom_fields has a value that is neither a text, a number nor a boolean")
    return pairs


def sign(sample: Sample) -> list[tuple[str, str]]:
    """The headers of a genuine External Request."""
    return agreed.sign(USUAL, sample, [("Content-Type", "application/json")])


MANYCHAT = Provider(
    name="manychat",
    title="ManyChat",
    verify=verify,
    route=no_tenant,  # the page is named in the body alone
    identify=identify,
    transform=transform,
    topics=TOPICS,
    sign=sign,
    check_settings=lambda settings: agreed.problems(agreed.Agreement, USUAL, settings),
    in_words=lambda settings: agreed.in_words(USUAL, settings),
    secret_headers=lambda source: agreed.secret_headers(USUAL, source),
    path_token=lambda source: agreed.path_token(USUAL, source),
    call=lambda sample: ("POST", agreed.beneath(USUAL, sample)),
)
