"""The plan: which webhooks the demo sends, in which order, and what must become of each.

Comes in: how many. Comes out: stories, each the webhooks of one customer in the order they are sent. Pure: the same
count and instant give the same plan, but for the ids of deliveries.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import uuid4

import orjson

from shared.providers import samples

SHOPS = ("lumiere-paris.myshopify.com", "lumiere-koeln.myshopify.com")
BURST = 5  # how often the same webhook is posted at once


class Fate(StrEnum):
    """What must become of a webhook."""

    PROCESSED = "processed"
    IGNORED = "ignored"
    STALE = "stale"
    DUPLICATE = "duplicate"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Step:
    """One webhook and its fate."""

    provider: str
    topic: str
    customer: int  # by which the sample varies
    tenant: str
    delivery_id: str
    body: bytes
    at: datetime  # when the provider says it happened
    fate: Fate
    event: str | None = None  # the user event it must cause
    at_once: int = 1  # how many times it is posted at the same moment; all but one are repeats
    forged: bool = False


Story = Sequence[Step]


@dataclass(frozen=True, slots=True)
class Plan:
    """Every story, and what must come of them together."""

    stories: tuple[Story, ...]

    @property
    def steps(self) -> list[Step]:
        """Every step."""
        return list(itertools.chain.from_iterable(self.stories))

    @property
    def webhooks(self) -> int:
        """How many requests are sent."""
        return sum(step.at_once for step in self.steps)

    def fates(self) -> Counter[Fate]:
        """How many requests must meet each fate."""
        counted: Counter[Fate] = Counter()
        for step in self.steps:
            counted[step.fate] += 1
            counted[Fate.DUPLICATE] += step.at_once - 1
        return counted

    def events(self) -> Counter[str]:
        """How many user events of each type must be made."""
        return Counter(step.event for step in self.steps if step.event)

    def survivors(self) -> dict[tuple[str, str], str | None]:
        """The phone number each customer must end with, by provider and its id there; `None`: deleted."""
        ends: dict[tuple[str, str], str | None] = {}
        for step in self.steps:
            if step.fate is Fate.PROCESSED:
                record = record_in(step)
                phone = record.get("tel" if step.provider == "robaws" else "phone")
                ends[step.provider, str(record["id"])] = None if step.event == "user.deleted" else phone
        return ends


def make(count: int, *, now: datetime) -> Plan:
    """A plan of exactly `count` webhooks; the last story may be cut short."""
    stories: list[Story] = []
    left = count
    for customer, tell in zip(itertools.count(1), itertools.cycle(_STORIES), strict=False):
        story = []
        for step in tell(customer, now - timedelta(days=1)):
            step_now = replace(step, at_once=min(step.at_once, left))
            if step_now.at_once:
                story.append(step_now)
                left -= step_now.at_once
        stories.append(tuple(story))
        if left == 0:
            break
    return Plan(tuple(stories))


def _webhook(
    provider: str, topic: str, customer: int, at: datetime, fate: Fate, *, event: str | None = None, revision: int = 0
) -> Step:
    delivery_id = str(uuid4())
    body: dict[str, Any] = orjson.loads(samples.make(provider, _SAMPLE_OF.get(topic, topic), number=customer, at=at))
    if provider == "robaws":
        body["id"] = delivery_id
        body["data"] |= {"updatedAt": at.isoformat(), "tel": _phone(customer, revision)}
    elif topic != "customers/delete":
        body |= {"updated_at": at.isoformat(), "phone": _phone(customer, revision)}
    tenant = SHOPS[customer % len(SHOPS)] if provider == "shopify" else ""
    return Step(provider, topic, customer, tenant, delivery_id, orjson.dumps(body), at, fate, event)


def _update(customer: int, at: datetime, *, revision: int) -> Step:
    return _webhook(
        "shopify", "customers/update", customer, at, Fate.PROCESSED, event="user.updated", revision=revision
    )


# Shopify's source is told to want customers only: what else a shop sends is ignored, and costs a sample of any kind.
_SAMPLE_OF = {"carts/update": "customers/update"}


def _phone(customer: int, revision: int) -> str:
    return f"+46 70 {customer:05d} {revision:02d}"


def record_in(step: Step) -> dict[str, Any]:
    """The customer in a step's body."""
    body: dict[str, Any] = orjson.loads(step.body)
    return dict(body["data"]) if step.provider == "robaws" else body


def _whole_life(customer: int, start: datetime) -> Iterator[Step]:
    """Created, updated, the same update again, an older one, a forged one, deleted, and an update too late."""
    later = _minutes(start)
    yield _webhook("shopify", "customers/create", customer, later(0), Fate.PROCESSED, event="user.created")
    update = _webhook(
        "shopify", "customers/update", customer, later(9), Fate.PROCESSED, event="user.updated", revision=2
    )
    yield update
    yield replace(update, fate=Fate.DUPLICATE, event=None)
    yield _webhook("shopify", "customers/update", customer, later(5), Fate.STALE, revision=1)
    yield replace(_webhook("shopify", "customers/delete", customer, later(10), Fate.REFUSED), forged=True)
    yield _webhook("shopify", "customers/delete", customer, later(20), Fate.PROCESSED, event="user.deleted")
    yield _webhook("shopify", "customers/update", customer, later(15), Fate.STALE, revision=3)


def _out_of_order(customer: int, start: datetime) -> Iterator[Step]:
    """The update arrives before the creation; a topic that nobody wants; another update."""
    later = _minutes(start)
    yield _webhook("shopify", "customers/update", customer, later(3), Fate.PROCESSED, event="user.created", revision=1)
    yield _webhook("shopify", "customers/create", customer, later(0), Fate.STALE)
    yield _webhook("shopify", "carts/update", customer, later(4), Fate.IGNORED)
    yield _update(customer, later(6), revision=2)


def _burst(customer: int, start: datetime) -> Iterator[Step]:
    """The same creation, posted several times at the same moment; then updates."""
    later = _minutes(start)
    create = _webhook("shopify", "customers/create", customer, later(0), Fate.PROCESSED, event="user.created")
    yield replace(create, at_once=BURST)
    for revision in (1, 2):
        yield _webhook(
            "shopify",
            "customers/update",
            customer,
            later(revision),
            Fate.PROCESSED,
            event="user.updated",
            revision=revision,
        )


def _client(customer: int, start: datetime) -> Iterator[Step]:
    """A Robaws client: created, a forged update, updated, the same again, an older one."""
    later = _minutes(start)
    yield _webhook("robaws", "client.created", customer, later(0), Fate.PROCESSED, event="user.created")
    forged = _webhook("robaws", "client.updated", customer, later(30), Fate.REFUSED, revision=9)
    yield replace(forged, forged=True)
    update = _webhook("robaws", "client.updated", customer, later(7), Fate.PROCESSED, event="user.updated", revision=2)
    yield update
    yield replace(update, fate=Fate.DUPLICATE, event=None)
    yield _webhook("robaws", "client.updated", customer, later(4), Fate.STALE, revision=1)


_STORIES: tuple[Callable[[int, datetime], Iterator[Step]], ...] = (_whole_life, _client, _out_of_order, _burst, _client)


def _minutes(start: datetime) -> Callable[[int], datetime]:
    return lambda minutes: start + timedelta(minutes=minutes)
