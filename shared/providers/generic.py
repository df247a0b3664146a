"""Any provider that signs with a shared secret: everything particular to it is in the source's settings.

Comes in: a request and settings such as
`{"preset": "svix", "records": [{"kind": "order", "topics": ["order.*"], "id": "data.id", "fields": {...}}]}`.
Comes out: what the message is, and, where the settings map it to records, what it means. A topic that nothing maps is
authentic and kept, and ignored. Pure; nothing is left behind.
"""

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal
from urllib.parse import parse_qs

import orjson
from pydantic import Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from shared import signatures
from shared.errors import PayloadUnexpected
from shared.payload import parse
from shared.providers import (
    batches,
    expressions,
    form_body,
    mapping,
    options,
    presets,
    reading,
    record_mapping,
    scheme_words,
    schemes,
)
from shared.providers.contract import (
    JSON,
    Evidence,
    Identity,
    Outcome,
    Provider,
    Refusal,
    Reply,
    Request,
    Sample,
    Source,
)
from shared.providers.places import Place

Preset = Literal[
    "hmac",
    "standard-webhooks",
    "svix",
    "github",
    "stripe",
    "slack",
    "hubspot",
    "hubspot-v2",
    "hubspot-v1",
    "twilio",
]
DELIVERY_ID_CHARACTERS = 255  # what is longer is made of many ids, and is for the key alone


class GenericOptions(options.SourceOptions):
    """The settings of a generic source."""

    preset: Preset = "hmac"
    scheme: dict[str, Any] = Field(default_factory=dict)
    dedupe: Place | None = None  # None: the body's digest
    topic: Place | None = None
    tenant: Place | None = None
    occurred_at: Place | None = None
    user: mapping.UserMapping | None = None
    items: expressions.Expr | None = None  # what of the body is a list of messages; None: it is one itself
    records: tuple[record_mapping.Rule, ...] = Field((), max_length=record_mapping.RULES_MAX)

    @model_validator(mode="before")
    @classmethod
    def _with_preset(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        known = presets.PLACES.get(str(given.get("preset", "hmac")), {})
        return {name: place for name, place in known.items() if {name, to_camel(name)}.isdisjoint(given)} | given


class Compiled(options.Options):
    """Settings and their scheme, checked once."""

    chosen: GenericOptions
    scheme: schemes.Scheme


@lru_cache(maxsize=256)
def _compile(settings: bytes) -> Compiled:
    chosen = GenericOptions.model_validate(orjson.loads(settings))
    scheme = schemes.Scheme.model_validate(schemes.layered(chosen.preset, chosen.scheme))
    return Compiled(chosen=chosen, scheme=scheme)


def _compiled(settings: Mapping[str, JSON]) -> Compiled:
    return _compile(orjson.dumps(settings))


def _options(source: Source) -> Compiled:
    try:
        return _compiled(source.settings)
    except (ValidationError, TypeError) as error:
        raise PayloadUnexpected("the source's settings do not hold together") from error


def check_settings(settings: Mapping[str, JSON]) -> list[str]:
    """What is wrong with a source's settings."""
    found = options.problems(GenericOptions, settings)
    if found:
        return found
    try:
        _compiled(settings)
    except ValidationError as error:
        return [f"scheme.{problem}" for problem in options.readable(error)]
    except TypeError:
        return ["settings: not JSON"]
    return []


def in_words(settings: Mapping[str, JSON]) -> str:
    """How a genuine request proves itself, for people."""
    try:
        return scheme_words.in_words(_compiled(settings).scheme)
    except (ValidationError, TypeError):
        return scheme_words.MISCONFIGURED


def verify(request: Request, source: Source, evidence: Evidence) -> Refusal | None:
    """Passes what the source's scheme proves genuine. Settings gone wrong refuse with 503, so that nothing is lost."""
    try:
        scheme = _compiled(source.settings).scheme
    except (ValidationError, TypeError):
        return Refusal("source_misconfigured", "The source's settings do not hold together.", status=503)
    return schemes.verify(scheme, request, source.secrets, now=evidence.now)


def route(request: Request, source: Source) -> str:
    """The tenant where a header tells it; a body is not parsed for it."""
    try:
        tenant = _compiled(source.settings).chosen.tenant
    except (ValidationError, TypeError):
        return ""
    return (tenant.find(request, None) or "") if tenant and not tenant.is_in_body else ""


def identify(request: Request, source: Source, payload: JSON) -> Identity:
    """What the settings say the message is. A body that is neither JSON nor a form has no paths.

    Raises:
        PayloadUnexpected: the topic is not where the settings say.
    """
    compiled = _options(source)
    chosen = compiled.chosen
    if chosen.items is not None:
        return _identify_items(chosen, chosen.items, compiled.scheme, request, payload)
    topic = chosen.topic.find(request, payload) if chosen.topic else "message"
    if topic is None and chosen.preset == "slack":
        topic = mapping.text_at(payload, "type") or _form_type(request)
    if topic is None:
        raise PayloadUnexpected("there is no topic where the settings say")
    delivery_id = chosen.dedupe.find(request, payload) if chosen.dedupe else None
    occurred = chosen.occurred_at.find(request, payload) if chosen.occurred_at else None
    return Identity(
        topic=topic,
        key=_key(chosen.dedupe, delivery_id, compiled.scheme, request),
        delivery_id=delivery_id if delivery_id and len(delivery_id) <= DELIVERY_ID_CHARACTERS else None,
        tenant=(chosen.tenant.find(request, payload) if chosen.tenant else None) or "",
        occurred_at=signatures.instant(occurred, chosen.occurred_at.unit) if occurred and chosen.occurred_at else None,
    )


def _identify_items(
    chosen: GenericOptions, items: str, scheme: schemes.Scheme, request: Request, payload: JSON
) -> Identity:
    """What a message is whose items are: their topic, tenant and time where these are one, the last of their times."""
    topic = "message"
    if chosen.topic is not None:
        topic = "" if chosen.topic.is_in_body else chosen.topic.find(request, payload) or ""
    tenant = "" if chosen.tenant is None or chosen.tenant.is_in_body else chosen.tenant.find(request, payload) or ""
    found = batches.entries(items, _places(chosen), payload, whole=(topic or None, tenant))
    topics = batches.topics_of(found)
    if not topics:
        raise PayloadUnexpected("there is no topic where the settings say")
    delivery_id = chosen.dedupe.find(request, payload) if chosen.dedupe else None
    return Identity(
        topic=topics[0] if len(topics) == 1 else batches.MIXED,
        key=_key(chosen.dedupe, delivery_id, scheme, request),
        delivery_id=delivery_id if delivery_id and len(delivery_id) <= DELIVERY_ID_CHARACTERS else None,
        tenant=batches.tenant_of(found),
        occurred_at=max((entry.occurred_at for entry in found if entry.occurred_at), default=None),
        topics=topics,
    )


def _places(chosen: GenericOptions) -> batches.Places:
    return batches.Places(chosen.topic, chosen.tenant, chosen.occurred_at)


def _key(place: Place | None, delivery_id: str | None, scheme: schemes.Scheme, request: Request) -> bytes:
    """The id alone where the signature covers it; or else with the body, since anyone could have put it there."""
    covered = place is not None and (place.is_in_body or place.header.lower() in scheme.signed_headers)
    if delivery_id and covered and scheme.mode == "hmac":
        return delivery_id.encode("utf-8", "surrogateescape")
    return reading.unique_key(delivery_id, request.body)


def _form_type(request: Request) -> str | None:
    """Slack's commands and buttons come as forms; the command is their topic."""
    try:
        form = parse_qs(request.body.decode(), max_num_fields=100)
    except ValueError:
        return None
    return "command" if "command" in form else "interaction" if "payload" in form else None


def transform(identity: Identity, payload: JSON, source: Source) -> Outcome:
    """The changes that the settings map this topic to.

    Raises:
        PayloadUnexpected: the body lacks what the mapping needs.
    """
    chosen = _options(source).chosen
    if chosen.items is None:
        return _meaning(chosen, identity.topic, payload)
    # A topic that stands in a header is that of every item.
    found = batches.entries(chosen.items, _places(chosen), payload, whole=(identity.topic, identity.tenant))
    return batches.outcome(found, identity.topic, lambda entry, topic: _meaning(chosen, topic, entry.value))


def _meaning(chosen: GenericOptions, topic: str, value: JSON) -> Outcome:
    """What the settings make of one thing that is told."""
    outcome = record_mapping.outcome(chosen.records, topic, value)
    if chosen.user is None or not chosen.user.wants(topic):
        return outcome
    return Outcome(changes=(mapping.change(chosen.user, topic, value), *outcome.changes))


def reply(request: Request, source: Source, message_id: str) -> Reply | None:
    """Slack's signed url_verification is answered with its challenge and is no message; all else as usual.

    Source: docs.slack.dev, reference/events/url_verification, read 2026-11.
    """
    del message_id
    if source.settings.get("preset") != "slack" or b"url_verification" not in request.body:
        return None
    body, _ = parse(request.body)
    if (
        not isinstance(body, dict)
        or body.get("type") != "url_verification"
        or not isinstance(body.get("challenge"), str)
    ):
        return None
    return Reply(200, body["challenge"].encode("utf-8", "replace"), "text/plain; charset=utf-8")


def secret_headers(source: Source) -> tuple[str, ...]:
    """The header of a static token, in both spellings: WSGI has one for `-` and `_`."""
    try:
        scheme = _compiled(source.settings).scheme
    except (ValidationError, TypeError):
        return ()
    if scheme.mode != "static_header":
        return ()
    return tuple(dict.fromkeys((scheme.header, scheme.header.replace("_", "-"))))


def path_token(source: Source) -> bool:
    """Whether a part of the path is the secret."""
    try:
        return _compiled(source.settings).scheme.mode == "path_token"
    except (ValidationError, TypeError):
        return True  # who knows: it is hidden


def sign(sample: Sample) -> list[tuple[str, str]]:
    """The headers of a genuine request under the sample's settings: the preset's, and those that the source reads."""
    compiled = _compiled(sample.settings)
    headers = [("Content-Type", sample.content_type)]
    taken = {compiled.scheme.id_header.lower()}
    for chosen in (compiled.chosen, _compiled({"preset": compiled.chosen.preset}).chosen):
        for place, value in (
            (chosen.topic, sample.topic),
            (chosen.tenant, sample.tenant),
            (chosen.dedupe, sample.delivery_id),
        ):
            if place is not None and place.header and place.header.lower() not in taken:
                taken.add(place.header.lower())
                headers.append((place.header, value))
    return headers + schemes.sign(compiled.scheme, sample, headers)


def call(sample: Sample) -> tuple[str, str]:
    """A POST; of a body that the signature has no other hold on, the digest stands in the URL."""
    scheme = _compiled(sample.settings).scheme
    if "{form}" not in scheme.template or form_body.is_form_type(sample.content_type):
        return "POST", schemes.beneath(scheme, sample)
    return "POST", f"?{form_body.DIGEST_FIELD}={hashlib.sha256(sample.body).hexdigest()}"


def decode(request: Request, source: Source) -> JSON:
    """A form as JSON, so that paths and expressions lead into it; `None` when it is none."""
    del source
    return form_body.as_json(request)


GENERIC = Provider(
    name="generic",
    title="Any signed webhook",
    verify=verify,
    route=route,
    identify=identify,
    transform=transform,
    topics=(),
    sign=sign,
    reply=reply,
    decode=decode,
    reads_forms=lambda source: source.settings.get("preset", "hmac") in presets.FORMS,
    call=call,
    check_settings=check_settings,
    in_words=in_words,
    secret_headers=secret_headers,
    path_token=path_token,
)
