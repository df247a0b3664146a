"""Reading a message: what it is, and what it means, by its provider's pure functions.

Comes in: a message and its source. Comes out: a reading, which says either what it means or why it means nothing. No
input makes these functions raise: a message that cannot be read is `failed` with its reason, and holds up nothing.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from shared import logs
from shared.directory import Listing
from shared.errors import PayloadUnexpected
from shared.items import read_items
from shared.payload import clean_text
from shared.providers import bodies
from shared.providers.contract import Change, Identity, Outcome, Problem, Provider, Request
from shared.record_changes import RecordChange, record_change
from shared.states import MessageState
from shared.versions import believed
from workers.inbound.demands import KINDS as DEMANDS
from workers.inbound.demands import Demand, demand
from workers.inbound.subjects import subjects_of

NO_ACCOUNT = UUID(int=0)  # owns the messages whose source is gone: only a superuser sees them
REASON_CHARACTERS = 500

_log = logs.get("inbound")


@dataclass(frozen=True, slots=True)
class Inbound:
    """A message to process: fresh from the inbox, or kept and replayed."""

    message_id: UUID
    source_id: UUID
    received_at: datetime
    request: Request


@dataclass(slots=True)
class Reading:
    """What is known of a message so far. `state` is None until something settles it."""

    inbound: Inbound
    listing: Listing | None
    account_id: UUID
    provider: str
    body_digest: bytes
    key: bytes  # SHA-256: the same for every repeat of the delivery
    topic: str | None = None
    tenant: str = ""
    delivery_id: str | None = None
    occurred_at: datetime | None = None
    state: MessageState | None = None
    reason_code: str | None = None
    reason: str | None = None
    duplicate_of: UUID | None = None
    changes: tuple[RecordChange, ...] = ()
    demands: tuple[Demand, ...] = ()
    subjects: tuple[str, ...] = ()  # kind:external_id of everything it spoke of, also when it came to nothing
    is_doubted: bool = False  # it says that a shop is gone, and the shop is to be asked
    is_forgotten: bool = False  # about somebody who was erased: its body and headers are not kept
    events_count: int = 0
    payload: Any = None  # until it is understood, where its provider identifies by it
    unread: str | None = None  # why the body could not be read: no JSON, or none that says one thing only
    identity: Identity | None = None

    def settle(self, state: MessageState, code: str | None = None, reason: str | None = None) -> None:
        """Fix the state and why; for people, so cut to a readable length."""
        self.state = state
        self.reason_code = code
        self.reason = None if reason is None else clean_text(reason)[:REASON_CHARACTERS]

    def fail(self, code: str, reason: str) -> None:
        """The message cannot be read; it stands as failed and says nothing."""
        self.settle(MessageState.FAILED, code, reason)
        self.changes = ()
        self.demands = ()


def identify(inbound: Inbound, listing: Listing | None, providers: Mapping[str, Provider]) -> Reading:
    """The reading of a message as far as what it is; settled only if that already failed."""
    body_digest = hashlib.sha256(inbound.request.body).digest()
    reading = Reading(
        inbound=inbound,
        listing=listing,
        account_id=NO_ACCOUNT if listing is None else UUID(listing.account_id),
        provider="" if listing is None else listing.source.provider,
        body_digest=body_digest,
        key=b"",
    )
    if listing is None:
        reading.fail("source_unknown", "its source is not there any more")
    elif (provider := providers.get(listing.source.provider)) is None:
        reading.fail("provider_unknown", f"there is no provider {listing.source.provider!r}")
    else:
        _identify(reading, provider, listing)
    if not reading.key:
        reading.key = _digest_of_all(inbound.request)
    return reading


def _identify(reading: Reading, provider: Provider, listing: Listing) -> None:
    request = reading.inbound.request
    try:
        if provider.identifies_by_body:
            reading.payload, reading.unread = bodies.read(provider, request, listing.source)
        identity = provider.identify(request, listing.source, reading.payload)
    except PayloadUnexpected as error:
        _misread(reading, error)
        return
    except Exception as error:  # noqa: BLE001  # an edge: one provider's mistake must not stop the others' messages
        _raised(reading, error)
        return
    reading.identity = identity
    reading.key = hashlib.sha256(identity.key).digest()
    reading.topic = clean_text(identity.topic)
    reading.tenant = clean_text(identity.tenant)
    reading.delivery_id = None if identity.delivery_id is None else clean_text(identity.delivery_id)
    reading.occurred_at = _believed(identity.occurred_at, reading.inbound)


def transform(reading: Reading, providers: Mapping[str, Provider]) -> None:
    """Add to an identified reading what it means: its changes, or the state that settles it."""
    listing, identity = reading.listing, reading.identity
    if listing is None or identity is None:
        return
    provider = providers[listing.source.provider]
    if not listing.takes(identity, provider):
        reading.settle(MessageState.IGNORED, "topic_not_wanted", f"the source does not take {', '.join(identity.told)}")
        return
    # Let go of once it is understood: what a whole batch holds until it is committed is too much for any cache of the
    # processor. For the same reason it is read only now, where nothing needed it before.
    payload, reading.payload = reading.payload, None
    try:
        if not provider.identifies_by_body:
            payload, reading.unread = bodies.read(provider, reading.inbound.request, listing.source)
        if reading.unread is not None:  # whatever its headers say it is, and though nothing may be asked of it
            reading.fail("payload_not_json", reading.unread)
            return
        outcome = provider.transform(identity, payload, listing.source)
        if outcome.ignored is not None:
            reading.settle(MessageState.IGNORED, "nothing_to_us", outcome.ignored)
            return
        reading.subjects = subjects_of(outcome.changes, tenant=identity.tenant)
        _mean(reading, outcome, listing.allowed_topics)
    except PayloadUnexpected as error:
        _misread(reading, error)
    except Exception as error:  # noqa: BLE001  # as above
        _raised(reading, error)


def _misread(reading: Reading, error: PayloadUnexpected) -> None:
    """Fail the message for what is wrong with its body first: what is no JSON lacks every field as well."""
    if reading.unread is None:
        reading.fail("payload_unexpected", str(error))
    else:
        reading.fail("payload_not_json", reading.unread)


def _mean(reading: Reading, outcome: Outcome, wanted: frozenset[str] | None) -> None:
    """Sort what is said into changes of records and demands, each checked."""
    changes: Sequence[Change] = outcome.changes
    fallback = reading.occurred_at or reading.inbound.received_at
    if any(change.kind in DEMANDS for change in changes):
        reading.demands = tuple(
            demand(change, at=_believed(change.version, reading.inbound) or fallback)
            for change in changes
            if change.kind in DEMANDS
        )
        changes = [change for change in changes if change.kind not in DEMANDS]
    if outcome.problems or any(change.item is not None for change in changes):
        _mean_items(reading, changes, outcome, wanted)
        return
    reading.changes = tuple(_checked(reading, change) for change in changes)


def _mean_items(reading: Reading, changes: Sequence[Change], outcome: Outcome, wanted: frozenset[str] | None) -> None:
    """Take in every item that can be read, and fail the message for the others: mended, a replay takes these in too.

    What a replay finds taken in already it changes no more, for every record is guarded by its version.
    """
    read = read_items(changes, outcome.problems, wanted=wanted, check=lambda change: _checked(reading, change))
    reading.changes = tuple(read.changes)
    if read.problems:
        reading.settle(MessageState.FAILED, "items_unexpected", Problem.told(read.problems))
    elif not read.changes:
        reading.settle(MessageState.IGNORED, "topic_not_wanted", "the source does not take what is told in it")


def _checked(reading: Reading, change: Change) -> RecordChange:
    fallback = reading.occurred_at or reading.inbound.received_at
    return record_change(
        change,
        account_id=reading.account_id,
        provider=reading.provider,
        tenant=reading.tenant if change.item is None else clean_text(change.item.tenant),
        version=_believed(change.version, reading.inbound) or fallback,
    )


def _raised(reading: Reading, error: Exception) -> None:
    _log.exception(
        "message.reading_raised",
        message_id=str(reading.inbound.message_id),
        provider=reading.provider,
        topic=reading.topic,
    )
    reading.fail("provider_raised", f"{type(error).__name__}: {error}")


def _digest_of_all(request: Request) -> bytes:
    """The key of a message that cannot be identified: only a repeat to the last byte is one."""
    digest = hashlib.sha256(f"{request.method} {request.path}\n".encode(errors="replace"))
    for name, value in request.headers.pairs():
        digest.update(f"{name}: {value}\n".encode(errors="replace"))
    digest.update(b"\n" + request.body)
    return digest.digest()


def _believed(at: datetime | None, inbound: Inbound) -> datetime | None:
    return None if at is None else believed(at, came_at=inbound.received_at)
