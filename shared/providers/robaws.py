"""Robaws: clients and articles. Each has an endpoint, and so a source and a secret, of its own.

Comes in: a webhook signed with its endpoint's secret and a timestamp. Comes out: one change of one user or article.
Nothing tells of a deletion, and there is no complete public payload: every field but the id may be absent, and an
absent one says nothing. All other events of theirs are kept, and ignored.

Roles: the client's `status`, and every extra field whose name is one of the setting `role_fields` (default: role,
roles, rol, rollen, in any case): its text, split at commas and semicolons. When the body has neither, roles are left
as they are.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from shared import macs, money, signatures
from shared.clock import parse_instant
from shared.errors import PayloadUnexpected
from shared.providers import articles, leftovers, options, reading
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

CLIENT_TOPICS = ("client.created", "client.updated")
ARTICLE_TOPICS = ("article.created", "article.updated", "article.stock-changed")
TOPICS = (*CLIENT_TOPICS, *ARTICLE_TOPICS)
HEADER = "Robaws-Signature"
TOLERANCE_SECONDS = 300  # Source: support.robaws.com, webhooks, read 2026-11.
TOLERANCE_MAX_SECONDS = 86_400 * 7  # whether a late retry is signed anew is not documented


class RobawsOptions(options.SourceOptions):
    """The settings of a Robaws source."""

    tolerance_seconds: float = Field(TOLERANCE_SECONDS, gt=0, le=TOLERANCE_MAX_SECONDS)
    role_fields: tuple[str, ...] = ("role", "roles", "rol", "rollen")
    currency: str = Field("EUR", pattern="^[A-Z]{3}$")  # of the prices of articles that name none


_MAPPED = frozenset(
    "id name firstName lastName email tel mobile language address extraFields createdAt updatedAt".split()  # noqa: SIM905  # shorter than a name a line
)

_ADDRESS = frozenset(("addressLine1", "addressLine2", "postalCode", "city", "country"))


def verify(request: Request, source: Source, evidence: Evidence) -> Refusal | None:
    """`t=<unix seconds>,v1=<hex>`: HMAC-SHA256 of `t.body` under the endpoint's secret; other elements are ignored.

    Source: support.robaws.com, webhooks, read 2026-11.
    """
    value = signatures.sole(request.headers, HEADER)
    if isinstance(value, Refusal):
        return value
    if value is None:
        return Refusal("signature_missing", f"{HEADER} is missing.")
    pairs = signatures.elements(value)
    times = [item for key, item in pairs if key == "t"]
    digests = [found for key, item in pairs if key == "v1" and (found := signatures.decode(item, "hex"))]
    if len(times) > 1:
        return Refusal("header_duplicated", f"{HEADER} is present more than once.")
    if not times or not digests:
        return Refusal("signature_malformed", f"{HEADER} is not of the form t=,v1=.")
    content = b"%s.%s" % (times[0].encode("utf-8", "surrogateescape"), request.body)
    # The signature first: "expired" then means an authentic request that came late, which is worth telling apart.
    if refusal := signatures.check_digests(digests, content, source.secrets, "sha256"):
        return refusal
    chosen = options.read(RobawsOptions, source.settings) or RobawsOptions()
    return signatures.check_time(
        times[0],
        "s",
        now=evidence.now,
        tolerance_seconds=chosen.tolerance_seconds,
        future_seconds=TOLERANCE_SECONDS,
    )


def identify(request: Request, source: Source, payload: JSON) -> Identity:
    """What the envelope says; its id is signed with it, and is the same on every retry.

    Raises:
        PayloadUnexpected: there is no envelope.
    """
    del source
    body = reading.as_object(payload, "the body")
    topic = reading.text(body, "event")
    return reading.identified(topic, TOPICS, request, lambda: _identity(topic, body, request))


def _identity(topic: str, body: Mapping[str, Any], request: Request) -> Identity:
    event_id = reading.identifier(body)
    times = [item for key, item in signatures.elements(request.headers.get(HEADER) or "") if key == "t"]
    return Identity(
        topic=topic,
        key=event_id.encode("utf-8", "surrogatepass"),
        delivery_id=event_id,
        tenant="",
        occurred_at=signatures.instant(times[0], "s") if times else None,
    )


def transform(identity: Identity, payload: JSON, source: Source) -> Outcome:
    """The client or article as it is now.

    Raises:
        PayloadUnexpected: the body does not have the documented envelope, or a field has another type.
    """
    body = reading.as_object(payload, "the body")
    if identity.topic not in TOPICS:
        return Outcome(ignored=f"topic {identity.topic} is not handled")
    if "data" not in body:
        raise PayloadUnexpected("data is missing")
    told = reading.as_object(body["data"], "data")
    version = reading.optional_instant(told, "updatedAt")
    chosen = options.read(RobawsOptions, source.settings) or RobawsOptions()
    if identity.topic in ARTICLE_TOPICS:
        kind, fields = "article", articles.fields(told, chosen.currency)
    else:
        kind, fields = "user", _fields(told, chosen.role_fields)
    return Outcome(changes=(Change(kind, "upsert", reading.identifier(told), version, fields),))


def _fields(client: Mapping[str, Any], role_fields: tuple[str, ...]) -> dict[str, JSON]:
    fields: dict[str, JSON] = {}
    # A client is a company or a person, and the name does not say which: it is never cut in two.
    for ours, theirs in (
        ("full_name", ("name",)),
        ("first_name", ("firstName",)),
        ("last_name", ("lastName",)),
        ("email", ("email", "invoiceEmail")),
        ("phone", ("tel", "mobile")),
        ("locale", ("language",)),
    ):
        present = [name for name in theirs if name in client]
        if present:
            fields[ours] = next((value for name in present if (value := reading.optional_text(client, name))), None)
    if "address" in client:
        fields["address"] = _address(reading.optional_object(client, "address"))
    extra = _extra_fields(client)
    if extra is not None:
        fields["custom_fields"] = extra
    if (at := parse_instant(client.get("createdAt"))) is not None:
        fields["created_at"] = at
    roles = _roles(client, extra or {}, role_fields)
    if roles is not None:
        fields["roles"] = roles
    fields["attributes"] = reading.rest(client, _MAPPED)
    if more := _beside_values(client):
        fields["attributes"]["extraFields"] = more
    if "mobile" in client and fields.get("phone") != (mobile := reading.optional_text(client, "mobile")):
        fields["attributes"]["mobile"] = mobile
    return fields


def _address(given: Mapping[str, Any] | None) -> dict[str, JSON] | None:
    if given is None:
        return None
    return reading.address(
        line1=reading.optional_text(given, "addressLine1"),
        line2=reading.optional_text(given, "addressLine2"),
        city=reading.optional_text(given, "city"),
        postalCode=reading.optional_text(given, "postalCode"),
        country=reading.optional_text(given, "country"),
    ) | {"attributes": leftovers.of(given, _ADDRESS)}


def _extra_fields(client: Mapping[str, Any]) -> dict[str, str] | None:
    """Extra fields as texts: `{"Segment": {"stringValue": "B2B"}}` is `{"Segment": "B2B"}`; empty ones are left out."""
    given = reading.optional_object(client, "extraFields")
    if given is None:
        return None
    found = {}
    for name, holder in given.items():
        values = reading.optional_object(given, name) or {}
        value = next((item for key, item in values.items() if key.endswith("Value") and item is not None), None)
        if isinstance(value, bool):
            found[name] = "true" if value else "false"
        elif isinstance(value, str | int | float):
            found[name] = str(value)
        elif value is not None:
            raise PayloadUnexpected(f"extraFields has a value of an unknown kind: {type(holder).__name__}")
    return found


def _beside_values(client: Mapping[str, Any]) -> dict[str, JSON]:
    """What extra fields have beside their values: a type, a group."""
    given = reading.optional_object(client, "extraFields") or {}
    holders = {name: reading.optional_object(given, name) or {} for name in given}
    found = {name: [key for key in holder if key.endswith("Value")] for name, holder in holders.items()}
    return {name: rest for name, values in found.items() if (rest := leftovers.of(holders[name], values))}


def _roles(client: Mapping[str, Any], extra: Mapping[str, str], role_fields: tuple[str, ...]) -> list[str] | None:
    wanted = {name.casefold() for name in role_fields}
    texts = [value for name, value in extra.items() if name.casefold() in wanted]
    status = reading.optional_text(client, "status")
    if "status" not in client and not texts:
        return None
    parts = [part.strip() for text in texts for part in text.replace(";", ",").split(",")]
    return list(dict.fromkeys(part for part in [status, *parts] if part))


def check_settings(settings: Mapping[str, JSON]) -> list[str]:
    """What is wrong with a source's settings."""
    found = options.problems(RobawsOptions, settings)
    if not found and not money.is_known(str(settings.get("currency", "EUR"))):
        found = ["currency: no ISO 4217 currency code"]
    return found


def sign(sample: Sample) -> list[tuple[str, str]]:
    """The headers of a genuine delivery."""
    seconds = str(int(sample.now.timestamp()))
    digest = macs.digest(sample.secret, b"%s.%s" % (seconds.encode(), sample.body))
    return [
        ("Content-Type", "application/json"),
        (HEADER, f"t={seconds},v1={signatures.encode(digest, 'hex')}"),
    ]


ROBAWS = Provider(
    name="robaws",
    title="Robaws",
    verify=verify,
    route=no_tenant,  # a Robaws endpoint belongs to one company: there is no tenant
    identify=identify,
    transform=transform,
    topics=TOPICS,
    sign=sign,
    check_settings=check_settings,
    is_of_one=True,  # each endpoint has a secret of its own, which becomes the source's newest
)
