"""What a destination is: a frozen record of pure functions that build a request from an event and judge the reply.

No sockets, no database, no clock: what goes out is sent by the delivery engine through `shared/egress.py`. A process
that dies in the middle leaves nothing here.
"""

from collections.abc import Callable, Generator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """What one attempt came to."""

    DELIVERED = "delivered"
    AGAIN = "again"  # failed; try again while the schedule has tries left
    DEAD = "dead"  # failed; no try will help
    GONE = "gone"  # the receiver wants no more: disable the subscription at once
    LATER = "later"  # not now, says a rate limit: the subscription waits, and no try is used up


@dataclass(frozen=True, slots=True)
class Parcel:
    """What one attempt has to go on: an event for a subscription."""

    event_id: str
    event_type: str
    body: bytes  # the envelope, fixed when the event was made
    delivery_id: str
    attempt_number: int  # from 1
    url: str
    secrets: tuple[str, ...]  # every secret whose signature is to be sent, newest first; or the API's credential
    settings: Mapping[str, Any] = field(default_factory=dict)
    is_repeat: bool = False  # an earlier attempt, of which nobody may know, may have reached the receiver


@dataclass(frozen=True, slots=True)
class Outgoing:
    """The request to send."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    done_statuses: frozenset[int] = frozenset()  # beside 2xx: the receiver is as it should be all the same
    quota: str = ""  # the one of the destination's quotas that it counts against
    reply_bytes: int = 0  # how much of the reply is wanted as `Answer.body`


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: a reply (`status` set) or a failure to get one (`error_code` set)."""

    status: int | None
    headers: Mapping[str, str] = field(default_factory=dict)  # lower-case names
    excerpt: str = ""  # at most 2 KB of the reply
    error_code: str | None = None  # timeout, connection_failed, tls_failed, address_refused, reply_malformed, ...
    error: str | None = None
    duration_ms: int = 0
    body: bytes = b""  # as much as the request wanted; cut off where the reply was longer


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, with what the receiver asked for."""

    verdict: Verdict
    code: str | None = None  # `http_500`, `timeout`, ...; None when delivered
    retry_after_seconds: float | None = None  # the receiver's Retry-After, capped; pauses the subscription


@dataclass(frozen=True, slots=True)
class Landing:
    """What became of one parcel of a conversation; `answer` None: nothing was sent for it."""

    answer: Answer | None
    judgement: Judgement


@dataclass(frozen=True, slots=True)
class Quota:
    """How often an API may be asked with one credential: `requests` in any `seconds`."""

    requests: int
    seconds: float


# Requests go out, answers come in, and in the end there is a landing for each parcel, in their order. The memory is the
# subscription's in this process, such as a token that lives for an hour; it may be gone at any time.
Conversation = Generator[Outgoing, Answer, list[Landing]]

# Why a conversation got no answer: nothing was sent, and `later` is the judgement.
QUOTA_USED_UP = "quota_used_up"  # with `retry-after`
OUT_OF_TIME = "out_of_time"
UNSENT = frozenset({QUOTA_USED_UP, OUT_OF_TIME})


@dataclass(frozen=True, slots=True)
class Batching:
    """How several events are carried at once, each still a delivery with a state of its own."""

    limit: int  # parcels in one conversation
    converse: Callable[[Sequence[Parcel], MutableMapping[str, Any], Callable[[], datetime]], Conversation]


@dataclass(frozen=True, slots=True)
class Destination:
    """One destination. Adding one is a file with such a record, a line in the registry and its test.

    It has either `build` and `judge`, one request for each delivery, or `batching`.
    """

    name: str
    title: str
    # The datetime is now: timestamps are fresh on every attempt. A judgement instead: there is nothing to send.
    build: Callable[[Parcel, datetime], Outgoing | Judgement] | None = None
    judge: Callable[[Answer, datetime], Judgement] | None = None
    batching: Batching | None = None
    quotas: Callable[[Mapping[str, Any]], Mapping[str, Quota]] = lambda _: {}
    check_settings: Callable[[Mapping[str, Any]], list[str]] = lambda _: []
    check_credential: Callable[[str], list[str]] | None = None  # set: a person brings the secret, else one is made
    event_types: frozenset[str] | None = None  # what it can carry; None: everything
    url: str = ""  # of the API, for subscriptions that name none
    ordering: str = "none"  # of subscriptions that name none
    # What it keeps is a record as of its newest event. In an ordered lane an older one is not sent after a newer one.
    keeps_state: bool = False

    def takes(self, event_type: str) -> bool:
        """Whether it can carry this type of event."""
        return self.event_types is None or event_type in self.event_types
