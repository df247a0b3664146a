"""Facebook and Instagram: messages, postbacks and comments, counted as interactions of the people who wrote them.

Comes in: a request of Meta's with up to a thousand events of several pages, signed whole with the app's secret; or the
GET by which Meta asks whether the address is ours. Comes out: for each person one change of the user, and for each
event one interaction with Meta's own id of it, so that one told twice, alone or among others, counts once. Pure.
"""

import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qsl

from pydantic import Field

from shared.clock import parse_epoch
from shared.errors import PayloadUnexpected
from shared.providers import options, reading, schemes
from shared.providers.contract import (
    JSON,
    Change,
    Evidence,
    Identity,
    Outcome,
    Provider,
    Refusal,
    Reply,
    Request,
    Sample,
    Source,
    no_tenant,
)

Body = Mapping[str, Any]

_PAGE = re.compile(r"[0-9]{1,64}")
MIXED: Final = "mixed"
TOPICS: Final = (
    "page/messages",
    "page/messaging_postbacks",
    "page/feed",
    f"page/{MIXED}",
    "instagram/messages",
    "instagram/messaging_postbacks",
    "instagram/comments",
    f"instagram/{MIXED}",
)
# The key of a messaging event -> the field that the app subscribed to.
# Source: developers.facebook.com, messenger-platform/webhooks, read 2026-11.
_MESSAGING: Final[Mapping[str, str]] = {
    "message": "messages",
    "postback": "messaging_postbacks",
    "delivery": "message_deliveries",
    "read": "message_reads",
    "reaction": "message_reactions",
    "optin": "messaging_optins",
    "referral": "messaging_referrals",
}
# X-Hub-Signature-256 over the raw bytes. The older sha1 header is no fallback: whoever could forge it would.
# Source: developers.facebook.com, graph-api/webhooks/getting-started, read 2026-11.
_SCHEME: Final = schemes.Scheme.model_validate({"header": "X-Hub-Signature-256", "prefix": "sha256="})
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{1,200}")
_MS_FROM: Final = 100_000_000_000  # a number of seconds this large is past the year 5000: it is milliseconds


class FacebookOptions(options.SourceOptions):
    """The settings of a Facebook source."""

    verify_token: str = Field("", max_length=200)  # the word agreed on for the GET; none is answered when empty
    verify_token_sha256: str = Field("", pattern="^([0-9a-f]{64})?$")  # what is kept of it


@dataclass(slots=True)
class _Person:
    """What one request tells of a person."""

    person_id: str
    fields: dict[str, JSON]
    at: datetime | None = None
    interactions: list[Change] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Event:
    """One thing that a person did."""

    person_id: str
    counter: str
    key: str
    at: datetime | None
    told: Mapping[str, str | None]


def kept_settings(settings: Mapping[str, JSON]) -> Mapping[str, JSON]:
    """The settings with the digest of the verify token in its place: it need not be read again, only compared."""
    chosen = options.read(FacebookOptions, settings)
    if chosen is None or not chosen.verify_token:
        return settings
    kept = {name: value for name, value in settings.items() if name not in ("verifyToken", "verify_token")}
    return kept | {"verifyTokenSha256": _digest(chosen.verify_token)}


def _digest(word: str) -> str:
    """The word's digest; of no word, none."""
    return hashlib.sha256(word.encode("utf-8", "surrogatepass")).hexdigest() if word else ""


def challenge(request: Request, source: Source, evidence: Evidence) -> Reply | Refusal | None:
    """Meta asks by GET whether the address is ours: the challenge is the answer when the word is the one agreed on.

    Source: developers.facebook.com, graph-api/webhooks/getting-started, verification requests, read 2026-11.
    """
    del evidence
    if request.method != "GET":
        return None
    # Which of two would count is a matter of taste, and whoever stands between us may have another one.
    names = [name for name, _ in parse_qsl(request.path.partition("?")[2], keep_blank_values=True)]
    if any(names.count(name) > 1 for name in ("hub.mode", "hub.verify_token", "hub.challenge")):
        return Refusal("challenge_refused", "A parameter of the challenge is there more than once.", 403)
    chosen = options.read(FacebookOptions, source.settings)
    token, asked = request.query.get("hub.verify_token", ""), request.query.get("hub.challenge", "")
    agreed = "" if chosen is None else chosen.verify_token_sha256 or _digest(chosen.verify_token)
    if request.query.get("hub.mode") != "subscribe" or not agreed:
        return Refusal("challenge_refused", "This is no request to subscribe, or no verifyToken is set.", 403)
    # What is echoed could be anybody's markup, were it not checked.
    if not hmac.compare_digest(_digest(token).encode(), agreed.encode()) or not _CHALLENGE.fullmatch(asked):
        return Refusal("challenge_refused", "The verify token or the challenge is not right.", 403)
    return Reply(200, asked.encode(), "text/plain; charset=utf-8")


def verify(request: Request, source: Source, evidence: Evidence) -> Refusal | None:
    """Passes what is signed with the app's secret."""
    return schemes.verify(_SCHEME, request, source.secrets, now=evidence.now)


def identify(request: Request, source: Source, payload: JSON) -> Identity:
    """The object, and the one field that all events are of, or `mixed`. A repeat of the request is the same bytes.

    Raises:
        PayloadUnexpected: the body does not have the documented envelope.
    """
    del source
    body = reading.as_object(payload, "the body")
    entries = _entries(body)
    names = {name for entry in entries for name in _names(entry)}
    name = names.pop() if len(names) == 1 else MIXED if names else "none"
    times = [at for entry in entries if (at := _instant(entry, "time"))]
    return Identity(
        topic=f"{reading.text(body, 'object')}/{name}",
        key=reading.unique_key(None, request.body),
        delivery_id=None,
        tenant="",  # one request can be of several pages, and a person's id is of one page only
        occurred_at=max(times, default=None),
    )


def _entries(body: Body) -> list[Body]:
    if "entry" not in body:
        raise PayloadUnexpected("entry is missing")
    return reading.objects(body, "entry")


def _names(entry: Body) -> Iterator[str]:
    for item in reading.objects(entry, "messaging"):
        yield next((name for key, name in _MESSAGING.items() if key in item), "messaging")
    for item in reading.objects(entry, "changes"):
        yield reading.text(item, "field")


def transform(identity: Identity, payload: JSON, source: Source) -> Outcome:
    """Whoever wrote, and what is counted of it.

    Raises:
        PayloadUnexpected: the body does not have the documented shape.
    """
    del source
    body = reading.as_object(payload, "the body")
    entries = _entries(body)
    if identity.topic not in TOPICS:
        return Outcome(ignored=f"topic {identity.topic} is not handled")
    is_instagram = reading.text(body, "object") == "instagram"
    people: dict[str, _Person] = {}
    for entry in entries:
        for event in _events(entry):
            _tell(people, event, reading.identifier(entry), is_instagram=is_instagram)
    if not people:
        return Outcome(ignored="nobody wrote anything in it")
    changes = [Change("user", "upsert", one.person_id, one.at, one.fields) for one in people.values()]
    return Outcome(changes=(*changes, *(change for one in people.values() for change in one.interactions)))


def _tell(people: dict[str, _Person], event: _Event, page_id: str, *, is_instagram: bool) -> None:
    attributes = {"page_id": page_id, "channel": "instagram" if is_instagram else "messenger"}
    known = people.setdefault(event.person_id, _Person(event.person_id, {"attributes": attributes}))
    known.fields |= event.told
    if is_instagram:
        known.fields["instagram_id"] = event.person_id
    if event.at is not None and (known.at is None or event.at > known.at):
        known.at = event.at
    fields = {"key": event.key, event.counter: 1}
    known.interactions.append(Change("interaction", "upsert", event.person_id, event.at, fields))


def _events(entry: Body) -> Iterator[_Event]:
    page_id = reading.identifier(entry)
    for item in reading.objects(entry, "messaging"):
        yield from _messaging(item)
    for item in reading.objects(entry, "changes"):
        name, value = reading.text(item, "field"), reading.optional_object(item, "value") or {}
        if name in ("feed", "comments"):
            yield from _comment(name, value, entry, page_id)


def _messaging(item: Body) -> Iterator[_Event]:
    """A message or a postback that a person sent; an echo is the page's own, and one taken back was counted."""
    message, postback = reading.optional_object(item, "message"), reading.optional_object(item, "postback")
    said = message if message is not None else postback
    if said is None or said.get("is_echo") is True or said.get("is_deleted") is True:
        return
    person_id = reading.identifier(reading.as_object(item.get("sender"), "sender"))
    at = _instant(item, "timestamp")
    # Old postbacks have no mid.
    key = reading.optional_text(said, "mid") or f"{person_id}:{item.get('timestamp')}:postback"
    yield _Event(person_id, "stories" if _is_of_story(said) else "messages", key, at, {})


def _is_of_story(message: Body) -> bool:
    """Whether it answers a story or mentions the page in one."""
    replied = reading.optional_object(message, "reply_to") or {}
    return "story" in replied or any(
        one.get("type") == "story_mention" for one in reading.objects(message, "attachments")
    )


def _comment(name: str, value: Body, entry: Body, page_id: str) -> Iterator[_Event]:
    """A comment that a person added; the page's own, and likes, edits and removals, are not counted."""
    if name == "feed" and (value.get("item") != "comment" or value.get("verb") != "add"):
        return
    author = reading.optional_object(value, "from")
    if author is None or "id" not in author:  # Meta withholds who it was from apps without the permission
        return
    person_id = reading.identifier(author)
    if person_id == page_id:
        return
    told = {}
    if "name" in author:
        told["full_name"] = reading.optional_text(author, "name")
    if "username" in author:
        told["instagram_username"] = reading.optional_text(author, "username")
    at = _instant(value, "created_time") or _instant(entry, "time")
    yield _Event(person_id, "comments", reading.identifier(value, "comment_id" if name == "feed" else "id"), at, told)


def _instant(parent: Body, name: str) -> datetime | None:
    """A Unix time in seconds or milliseconds: both are there, by product."""
    value = reading.optional_integer(parent, name)
    if value is None:
        return None
    at = parse_epoch(value, unit="ms" if value >= _MS_FROM else "s")
    if at is None:
        raise PayloadUnexpected(f"{name} is no Unix time")
    return at


def _page_of(name: str) -> str | None:
    """The page's id, which stands in the URLs that Facebook is asked at."""
    stripped = name.strip()
    return stripped if _PAGE.fullmatch(stripped) else None


def sign(sample: Sample) -> list[tuple[str, str]]:
    """The headers of a genuine request."""
    return [("Content-Type", "application/json"), *schemes.sign(_SCHEME, sample)]


FACEBOOK = Provider(
    name="facebook",
    title="Facebook and Instagram",
    verify=verify,
    route=no_tenant,  # the pages are named in the body alone
    identify=identify,
    transform=transform,
    topics=TOPICS,
    sign=sign,
    challenge=challenge,
    check_settings=lambda settings: options.problems(FacebookOptions, settings),
    kept_settings=kept_settings,
    methods=("GET", "POST"),
    tenant_of=_page_of,
    tenant_example="1234567890, the page's id",
)
