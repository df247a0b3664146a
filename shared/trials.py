"""Tries a request out on a source: what it would be, with nothing stored.

Comes in: a source, a request as its sender would post it and, perhaps, settings to try before they are set. Comes out:
whether it is genuine, what it is, what it would change and which events that would be. Reads the source's row and
writes nothing; a process that dies in the middle leaves nothing.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

from sqlalchemy import Connection, select

from shared import directory
from shared.crypto import KeyRing
from shared.db.tables import sources
from shared.errors import NotFound, PayloadUnexpected, Unacceptable
from shared.items import read_items
from shared.payload import clean_text
from shared.providers import bodies, content_types
from shared.providers.contract import Change, Evidence, Headers, Identity, Outcome, Problem, Provider, Request
from shared.providers.registry import PROVIDERS
from shared.record_changes import INTERACTION, RecordChange, RecordKey, record_change
from shared.record_json import value_json
from shared.record_kinds import KINDS, RecordKind
from shared.states import MessageState
from shared.versions import believed


@dataclass(frozen=True, slots=True)
class Trial:
    """A request that was tried out. What stands in no message yet is `None`, and `reason` says why."""

    genuine: bool
    refusal: dict[str, str] | None  # {"code", "message"}: why the ingress would turn it away
    state: str  # what would become of the message: processed (or stale), ignored or failed
    reason: str | None = None
    topic: str | None = None
    tenant: str | None = None
    delivery_id: str | None = None
    occurred_at: datetime | None = None
    problems: tuple[str, ...] = ()  # the items that cannot be read, where it brings several
    changes: tuple[dict[str, Any], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The trial as the API and the CLI show it, in our words."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Given:
    """What is tried out, as its sender would post it."""

    headers: tuple[tuple[str, str], ...]
    body: bytes
    method: str = "POST"
    beneath: str = ""  # beneath the source's own URL: "", "/..." or "?..."

    def request(self, url: str) -> Request:
        """The request, posted to the source whose URL this is."""
        whole = url + self.beneath
        parts = urlsplit(whole)
        return Request(
            method=self.method,
            path=f"{parts.path}?{parts.query}" if parts.query else parts.path,
            headers=Headers(self.headers),
            body=self.body,
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
            url=whole,
            beneath=self.beneath.partition("?")[0],
        )


def try_out(
    connection: Connection,
    ring: KeyRing,
    source_id: UUID,
    given: Given,
    *,
    account_id: UUID | None,
    public_url: str,
    settings: Mapping[str, Any] | None = None,
    now: datetime,
) -> Trial:
    """What would come of a request to the source; `settings` in place of its own, when given.

    Raises:
        NotFound: there is no such source in the account.
        Unacceptable: the settings are malformed.
    """
    path, listing = _listing(connection, ring, source_id, account_id=account_id, now=now)
    provider = PROVIDERS.get(listing.source.provider)
    if provider is None:
        raise Unacceptable("provider_unknown", f"There is no provider {listing.source.provider!r}.")
    if settings is not None:
        if problems := provider.check_settings(settings):
            raise Unacceptable("settings_malformed", " ".join(problems))
        listing = replace(listing, source=replace(listing.source, settings=settings))
    return judge(provider, listing, given.request(f"{public_url.rstrip('/')}/api/webhooks/{path}"), now=now)


def judge(provider: Provider, listing: directory.Listing, request: Request, *, now: datetime) -> Trial:
    """What would come of a request to a listed source. Pure: of a certificate that must be fetched it knows none."""
    refusal = provider.verify(request, listing.source, Evidence(now))
    genuine = refusal is None
    refusal = refusal or content_types.check(provider, request, listing.source)
    refused = None if refusal is None else {"code": refusal.code, "message": refusal.message}
    trial = Trial(genuine, refused, state=MessageState.FAILED)
    payload, problem = bodies.read(provider, request, listing.source)
    try:
        identity = provider.identify(request, listing.source, payload)
    except PayloadUnexpected as error:
        return replace(trial, reason=clean_text(problem or str(error)))
    trial = replace(
        trial,
        topic=clean_text(identity.topic),
        tenant=clean_text(identity.tenant),
        delivery_id=None if identity.delivery_id is None else clean_text(identity.delivery_id),
        occurred_at=None if identity.occurred_at is None else believed(identity.occurred_at, came_at=now),
    )
    if not listing.takes(identity, provider):
        reason = clean_text(f"the source does not take {', '.join(identity.told)}")
        return replace(trial, state=MessageState.IGNORED, reason=reason)
    if problem is not None:
        return replace(trial, reason=clean_text(problem))
    try:
        outcome = provider.transform(identity, payload, listing.source)
        return _meaning(trial, outcome, _Checks(identity, listing, now))
    except PayloadUnexpected as error:
        return replace(trial, reason=clean_text(str(error)))


@dataclass(frozen=True, slots=True)
class _Checks:
    """What a change is checked against."""

    identity: Identity
    listing: directory.Listing
    now: datetime

    def checked(self, change: Change) -> tuple[Change, datetime, RecordChange | None]:
        """The change, its version, and what of a record it is; None: it is to be done, and no record.

        Raises:
            PayloadUnexpected: no record can hold it.
        """
        version = believed(change.version or self.identity.occurred_at or self.now, came_at=self.now)
        if change.kind not in KINDS and change.kind != INTERACTION:
            return change, version, None
        record = record_change(
            change,
            account_id=UUID(self.listing.account_id),
            provider=self.listing.source.provider,
            tenant=self.identity.tenant if change.item is None else change.item.tenant,
            version=version,
        )
        return change, version, record


def _meaning(trial: Trial, outcome: Outcome, checks: _Checks) -> Trial:
    if outcome.problems or any(change.item is not None for change in outcome.changes):
        wanted = checks.listing.allowed_topics
        read = read_items(outcome.changes, outcome.problems, wanted=wanted, check=checks.checked)
        trial = replace(trial, changes=tuple(_shown(read.changes)))
        if read.problems:
            problems = tuple(clean_text(str(problem)) for problem in read.problems)
            return replace(trial, reason=clean_text(Problem.told(read.problems)), problems=problems)
        if not read.changes:
            return replace(trial, state=MessageState.IGNORED, reason="the source does not take what is told in it")
        return replace(trial, state=MessageState.PROCESSED)
    changes = tuple(_shown([checks.checked(change) for change in outcome.changes]))
    state = MessageState.PROCESSED if outcome.ignored is None else MessageState.IGNORED
    return replace(trial, state=state, reason=outcome.ignored and clean_text(outcome.ignored), changes=changes)


def _shown(checked: Iterable[tuple[Change, datetime, RecordChange | None]]) -> Iterator[dict[str, Any]]:
    said: dict[tuple[str, RecordKey], dict[str, Any]] = {}  # what this message has said of a record so far
    for change, version, record in checked:
        shown = {
            "item": None if change.item is None else change.item.index,
            "kind": change.kind,
            "op": change.op,
            "external_id": clean_text(change.external_id),
            "version": version,
            "part": change.part,
        }
        if record is not None:
            yield {**shown, **_of_a_record(record, said)}
        else:  # an uninstall, an erasure: to be done, and no record
            yield {**shown, "fields": dict(change.fields), "events_if_new": [], "events_if_known": []}


def _of_a_record(change: RecordChange, said: dict[tuple[str, RecordKey], dict[str, Any]]) -> dict[str, Any]:
    names = {**change.kind.json_names, "created_at": "createdAt"}
    known = list(_told(change, change.kind.updated))
    place = (change.kind.name, change.key)
    before = said.get(place)
    if change.part is not None and before is not None:
        new = known = []  # joined to what the message says of the whole, and told with it
    elif change.op in ("delete", "adjust"):  # of a record that is not there, nothing is told
        new = [] if before is None else known
    elif before is None:
        new = list(_told(change, change.kind.created))
    elif change.op == "count":
        new = known
    else:  # of what it has said itself, it tells only what is news
        blank = change.kind.blank
        news = {
            name: value for name, value in change.fields.items() if _is_news(before.get(name, blank.get(name)), value)
        }
        new = list(_told(replace(change, fields=news), change.kind.updated)) if news else []
    if change.op != "adjust":
        said[place] = {**(before or {}), **change.fields}
    fields = {names.get(name, name): value_json(value) for name, value in change.fields.items()}
    return {"fields": fields, "events_if_new": new, "events_if_known": known}


def _told(change: RecordChange, by_effect: str | None) -> Iterator[str]:
    """The types of event that the change comes to, where it says something new."""
    kind: RecordKind = change.kind
    if change.op == "delete":
        if kind.deleted is not None:
            yield kind.deleted
        return
    if by_effect is not None:
        yield by_effect
    for transition in kind.transitions:
        if change.fields.get(transition.field) in transition.words and (
            transition.only is None or change.fields.get(transition.only[0]) == transition.only[1]
        ):
            yield transition.event_type


def _is_news(known: Any, said: Any) -> bool:
    """Whether it is; of attributes, when one of them is."""
    if isinstance(known, dict) and isinstance(said, dict):
        return {**known, **said} != known
    return bool(known != said)


def _listing(
    connection: Connection, ring: KeyRing, source_id: UUID, *, account_id: UUID | None, now: datetime
) -> tuple[str, directory.Listing]:
    query = select(sources).where(sources.c.id == source_id)
    if account_id is not None:
        query = query.where(sources.c.account_id == account_id)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFound("source")
    entry = {
        **row,
        "id": str(row["id"]),
        "account_id": str(row["account_id"]),
        "tenants": None,
        "rate_per_second": row["rate_per_second"] or 0,
    }
    return row["path"], directory.listing(entry, ring, now=now)
