"""How much of everything a run measures: the full run, and the quick one that gives the same keys in two minutes.

Pure; nothing is left behind.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """The sizes of one run."""

    name: str
    ceiling_seconds: float
    baseline_seconds: float
    stage_warm_up: int  # messages before those
    stage_messages: int  # through ingress alone, then the drain alone, then the delivery engine alone
    peak_seconds: float
    warm_up_seconds: float
    open_seconds: float
    backlogs: tuple[int, ...]  # the first and the last make cost_100k_over_1k
    backlog_sample: int  # deliveries measured at each backlog
    subscriptions: tuple[int, ...]
    subscription_deliveries: int  # shared among them
    dead_seconds: float
    mixed_per_topic: int  # messages of each topic of each provider, the drain alone
    mixed_seconds: float  # of a load of all of them, the full way
    open_share: float = 0.6  # of the peak: the rate of the open loops
    dead_share: float = 0.5
    accounts: int = 10
    dead_subscriptions: int = 100  # of which one in ten is dead
    outstanding: int = 1000  # webhooks between their 200 and the receiver, in the closed loop


FULL = Plan(
    name="full",
    ceiling_seconds=5,
    baseline_seconds=15,
    stage_warm_up=10_000,
    stage_messages=25_000,
    peak_seconds=20,
    warm_up_seconds=3,
    open_seconds=20,
    backlogs=(1_000, 10_000, 100_000),
    backlog_sample=20_000,
    subscriptions=(1, 10, 100, 1_000),
    subscription_deliveries=20_000,
    dead_seconds=20,
    mixed_per_topic=400,
    mixed_seconds=10,
)

QUICK = Plan(
    name="quick",
    ceiling_seconds=1.5,
    baseline_seconds=4,
    stage_warm_up=5_000,
    stage_messages=6_000,
    peak_seconds=4,
    warm_up_seconds=2,
    open_seconds=2.5,
    backlogs=(1_000, 100_000),
    backlog_sample=5_000,
    subscriptions=(1, 100),
    subscription_deliveries=2_000,
    dead_seconds=3.5,
    mixed_per_topic=30,
    mixed_seconds=2,
)
