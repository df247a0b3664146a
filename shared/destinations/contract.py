"""What a destination is: a frozen record of pure functions that build a request from an event and judge the reply.

No sockets, no database, no clock: what goes out is sent by the delivery engine through `shared/egress.py`. A process
that dies in the middle leaves nothing here.
"""

from collections.abc import Callable, Mapping
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


@dataclass(frozen=True, slots=True)
class Parcel:
    """What one attempt has to go on: an event for a subscription."""

    event_id: str
    event_type: str
    body: bytes  # the envelope, fixed when the event was made
    delivery_id: str
    attempt_number: int  # from 1
    url: str
    secrets: tuple[str, ...]  # every secret whose signature is to be sent, newest first
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """The request to send."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: a reply (`status` set) or a failure to get one (`error_code` set)."""

    status: int | None
    headers: Mapping[str, str] = field(default_factory=dict)  # lower-case names
    excerpt: str = ""  # at most 2 KB of the reply
    error_code: str | None = None  # timeout, connection_failed, tls_failed, address_refused, reply_malformed, ...
    error: str | None = None
    duration_ms: int = 0


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, with what the receiver asked for."""

    verdict: Verdict
    code: str | None = None  # `http_500`, `timeout`, ...; None when delivered
    retry_after_seconds: float | None = None  # the receiver's Retry-After, capped; pauses the subscription


@dataclass(frozen=True, slots=True)
class Destination:
    """One destination. Adding one is a file with such a record, a line in the registry and its test."""

    name: str
    title: str
    build: Callable[[Parcel, datetime], Outgoing]  # the datetime is now: timestamps are fresh on every attempt
    judge: Callable[[Answer, datetime], Judgement]
    check_settings: Callable[[Mapping[str, Any]], list[str]] = lambda _: []
