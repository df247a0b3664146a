"""The plan: which webhooks the demo sends, in which order, and what must come of them together.

Comes in: how many. Comes out: stories, each the webhooks of one customer, order or parcel in the order they are sent.
Pure: the same count and instant give the same plan, but for the ids of deliveries.
"""

import itertools
from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cli.demo.step import Fate, Record, Step, Story
from cli.demo.stories import STORIES


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

    @property
    def providers(self) -> list[str]:
        """Who sends, in the order of their first webhook."""
        return list(dict.fromkeys(step.provider for step in self.steps))

    def fates(self) -> Counter[tuple[str, Fate]]:
        """How many requests of each provider must meet each fate."""
        counted: Counter[tuple[str, Fate]] = Counter()
        for step in self.steps:
            counted[step.provider, step.fate] += 1
            if step.at_once > 1:
                counted[step.provider, Fate.DUPLICATE] += step.at_once - 1
        return counted

    def events(self) -> Counter[tuple[str, str]]:
        """How many events of each planned type each provider's webhooks must make."""
        return Counter((step.provider, event) for step in self.steps for event in step.events)

    def survivors(self) -> dict[Record, str | None]:
        """The mark that each record must end with; `None`: deleted."""
        ends: dict[Record, str | None] = {}
        for step in self.steps:
            ends |= step.leaves
        return ends


def make(count: int, *, now: datetime) -> Plan:
    """A plan of exactly `count` webhooks; the last story may be cut short."""
    stories: list[Story] = []
    left = count
    for number, tell in zip(itertools.count(1), itertools.cycle(STORIES), strict=False):
        story = []
        for step in tell(number, now - timedelta(days=1)):
            step_now = replace(step, at_once=min(step.at_once, left))
            if step_now.at_once:
                story.append(step_now)
                left -= step_now.at_once
        stories.append(tuple(story))
        if left == 0:
            break
    return Plan(tuple(stories))
