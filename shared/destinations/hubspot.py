"""HubSpot: contacts kept as our users are, up to 100 in one request.

Comes in: parcels about users. Comes out: batch upserts by e-mail address, and a judgement for each parcel. An upsert
may be repeated. Pure; nothing is left behind.

Source: developers.hubspot.com, CRM API, "Contacts", "Error handling" and "API usage guidelines", read 2026-11.
"""

import re
from collections.abc import Callable, Generator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import orjson

from shared.destinations.contract import (
    Answer,
    Batching,
    Destination,
    Judgement,
    Landing,
    Outgoing,
    Parcel,
    Quota,
    Verdict,
)
from shared.destinations.replies import USER_AGENT, judge_api
from shared.destinations.values import is_path, pick, plain

BATCH = 100  # inputs in one request
PATH: Final = "/crm/v3/objects/contacts/batch/upsert"
REPLY_BYTES = 2_000_000
OK, MULTI_STATUS, BAD_REQUEST, TOO_LARGE, TOO_MANY_REQUESTS = 200, 207, 400, 413, 429
BUSY_SECONDS = 10.0  # the window of the limit on bursts
USED_UP_SECONDS = 3_600.0  # the limit on a day is reached: look again in an hour
REQUESTS_PER_TEN_SECONDS = 100  # of a free or Starter account; others may have 190
# What of a partial failure will be refused again; every other category is tried again.
_HOPELESS: Final = frozenset({"VALIDATION_ERROR", "INVALID_PARAMETER", "OBJECT_NOT_FOUND", "PROPERTY_DOESNT_EXIST"})
_PROPERTIES: Final[Mapping[str, str]] = {"firstname": "firstName", "lastname": "lastName", "phone": "phone"}
_PROPERTY = re.compile(r"[a-z][a-z0-9_]{0,99}")
_TOKEN = re.compile(r"[\x21-\x7e]{16,4096}")


@dataclass(slots=True)
class _Contact:
    """What one request says of one e-mail address, and the parcels that it settles, by their place."""

    email: str
    parcels: list[int]
    trace_id: str
    properties: Mapping[str, str]
    cleared: set[str] = field(default_factory=set)

    def input(self) -> dict[str, Any]:
        return {
            "id": self.email,
            "idProperty": "email",
            "properties": {**dict.fromkeys(sorted(self.cleared), ""), **self.properties, "email": self.email},
            "objectWriteTraceId": self.trace_id,
        }


def converse(
    parcels: Sequence[Parcel],
    memory: MutableMapping[str, Any],  # noqa: ARG001  # there is nothing to remember
    clock: Callable[[], datetime],
) -> Generator[Outgoing, Answer, list[Landing]]:
    """Upsert the contacts of `parcels`. A batch that is refused as a whole is halved until the bad ones stand alone."""
    landings: list[Landing | None] = [None] * len(parcels)
    contacts = _contacts(parcels, landings)
    chunks = [contacts] if contacts else []
    while chunks:
        chunk = chunks.pop()
        answer = yield _request(parcels[0], chunk)
        if answer.status in (BAD_REQUEST, TOO_LARGE) and len(chunk) > 1:
            middle = len(chunk) // 2
            chunks += [chunk[middle:], chunk[:middle]]
            continue
        judgements = _judge(answer, chunk, clock())
        for contact, judgement in zip(chunk, judgements, strict=True):
            for place in contact.parcels:
                landings[place] = Landing(answer, judgement)
        if any(judgement.verdict is Verdict.LATER for judgement in judgements):
            for rest in chunks:  # asked now they would get the same answer
                for contact in rest:
                    for place in contact.parcels:
                        landings[place] = Landing(None, judgements[0])
            break
    return [landing for landing in landings if landing is not None]


def check_settings(settings: Mapping[str, Any]) -> list[str]:
    """Problems with the settings: `properties`, `tagSeparator` and `requestsPerTenSeconds`."""
    known = ("properties", "tagSeparator", "requestsPerTenSeconds")
    problems = [f"{name}: HubSpot has no such setting." for name in settings if name not in known]
    properties = settings.get("properties", {})
    if not isinstance(properties, dict) or not all(
        _PROPERTY.fullmatch(name) and is_path(path) for name, path in properties.items()
    ):
        problems.append("properties maps a property's internal name to a path in the user, e.g. customFields.tea.")
    separator = settings.get("tagSeparator", ",")
    if not isinstance(separator, str) or not 0 < len(separator) <= 3:  # noqa: PLR2004  # `, ` and the like
        problems.append("tagSeparator is 1 to 3 characters.")
    requests = settings.get("requestsPerTenSeconds", REQUESTS_PER_TEN_SECONDS)
    if not isinstance(requests, int) or isinstance(requests, bool) or not 0 < requests <= 250:  # noqa: PLR2004
        problems.append("requestsPerTenSeconds is 1 to 250.")
    return problems


def check_credential(credential: str) -> list[str]:
    """Problems with the access token of the private app."""
    if _TOKEN.fullmatch(credential):
        return []
    return ["The credential is the access token of a private app with the scope crm.objects.contacts.write."]


def quotas(settings: Mapping[str, Any]) -> Mapping[str, Quota]:
    """How often the API may be asked with one token."""
    return {"requests": Quota(settings.get("requestsPerTenSeconds", REQUESTS_PER_TEN_SECONDS), 10.0)}


def _contacts(parcels: Sequence[Parcel], landings: list[Landing | None]) -> list[_Contact]:
    """One contact per address, as its newest event has it: HubSpot refuses a batch that names one twice."""
    contacts: dict[str, _Contact] = {}
    for place, parcel in sorted(enumerate(parcels), key=lambda one: one[1].event_id):
        if parcel.event_type not in _TYPES:
            landings[place] = Landing(None, Judgement(Verdict.DEAD, "event_unsupported"))
            continue
        data = orjson.loads(parcel.body)["data"]
        email = (data["user"].get("email") or "").strip().lower()
        if not email:
            landings[place] = Landing(None, Judgement(Verdict.DEAD, "email_missing"))
            continue
        properties, cleared = _properties(data, parcel.settings)
        contact = contacts.get(email)
        if contact is None:
            contacts[email] = _Contact(email, [place], parcel.delivery_id, properties, cleared)
        else:
            contact.parcels.append(place)
            contact.trace_id, contact.properties = parcel.delivery_id, properties
            contact.cleared |= cleared
    return list(contacts.values())


def _properties(data: Mapping[str, Any], settings: Mapping[str, Any]) -> tuple[dict[str, str], set[str]]:
    """The properties that the user has, and those that this change took from it.

    What we merely do not know is left as HubSpot has it: somebody may have filled it in there.
    """
    user, changes = data["user"], data.get("changes") or {}
    paths = {**_PROPERTIES, **settings.get("properties", {})}
    values = {
        name: plain(pick(user, path), separator=settings.get("tagSeparator", ",")) for name, path in paths.items()
    }
    cleared = {name for name, path in paths.items() if not values[name] and path.split(".")[0] in changes}
    return {name: value for name, value in values.items() if value}, cleared


def _request(parcel: Parcel, chunk: Sequence[_Contact]) -> Outgoing:
    return Outgoing(
        method="POST",
        url=parcel.url.rstrip("/") + PATH,
        headers=(
            ("Content-Type", "application/json"),
            ("User-Agent", USER_AGENT),
            ("Authorization", f"Bearer {parcel.secrets[0]}"),
        ),
        body=orjson.dumps({"inputs": [contact.input() for contact in chunk]}),
        quota="requests",
        reply_bytes=REPLY_BYTES,
    )


def _judge(answer: Answer, chunk: Sequence[_Contact], now: datetime) -> list[Judgement]:
    if answer.status == MULTI_STATUS:
        return _judge_each(answer.body, chunk)
    busy = BUSY_SECONDS
    if answer.status == TOO_MANY_REQUESTS and _document(answer.body).get("policyName") == "DAILY":
        busy = USED_UP_SECONDS
    return [judge_api(answer, now, busy_seconds=busy)] * len(chunk)


def _judge_each(body: bytes, chunk: Sequence[_Contact]) -> list[Judgement]:
    """A partial success: whom an error names has failed; whom nothing names is tried again, which does no harm."""
    document = _document(body)
    errors: dict[str, str] = {}
    is_whole = bool(_objects(document.get("errors")))  # every error says whose it is
    for error in _objects(document.get("errors")):
        named = _named(error)
        is_whole = is_whole and bool(named)
        errors |= dict.fromkeys(named, str(error.get("category")))
    written = {name for result in _objects(document.get("results")) for name in _named(result)}
    judgements = []
    for contact in chunk:
        category = errors.get(contact.trace_id) or errors.get(contact.email)
        if category:
            verdict = Verdict.DEAD if category in _HOPELESS else Verdict.AGAIN
            judgements.append(Judgement(verdict, f"hubspot_{category.lower()}"[:100]))
        elif is_whole or written & {contact.email, contact.trace_id}:
            judgements.append(Judgement(Verdict.DELIVERED))
        else:
            judgements.append(Judgement(Verdict.AGAIN, "hubspot_unnamed_error"))
    return judgements


def _named(item: Mapping[str, Any]) -> set[str]:
    """The addresses and trace ids that an error or a result names."""
    context, properties = item.get("context"), item.get("properties")
    names: list[Any] = [item.get("objectWriteTraceId")]
    for key in ("objectWriteTraceId", "ids"):
        some = context.get(key) if isinstance(context, dict) else None
        names += some if isinstance(some, list) else []
    names.append(properties.get("email") if isinstance(properties, dict) else None)
    return {name.lower() for name in names if isinstance(name, str)}


def _objects(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}


_TYPES: Final = frozenset({"user.created", "user.updated"})
HUBSPOT = Destination(
    name="hubspot",
    title="HubSpot",
    batching=Batching(BATCH, converse),
    quotas=quotas,
    check_settings=check_settings,
    check_credential=check_credential,
    event_types=_TYPES,
    url="https://api.hubapi.com",
    ordering="record",  # a late retry would put an older state over a newer one
    keeps_state=True,
)
