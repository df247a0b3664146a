"""Dead subscribers: what they cost the healthy ones' latency, full way, open loop.

One in ten subscriptions is dead, half of them answering 500 and half never answering at all. The latencies compared are
those of the other nine tenths, in a run with the dead and in a run in which all are well. Left behind: only figures.
"""

from dataclasses import dataclass, field

from bench.counts import counts
from bench.fullway import SETTLE_SECONDS, latencies, settle
from bench.load import Load
from bench.rig import Receiver, receiving, send
from bench.seed import make_world
from bench.stack import Stack, free_port

EVERY = 10
PROCESSES = ("ingress", "worker-inbound", "worker-delivery", "worker-sync", "beat")


@dataclass
class Neighbours:
    """The healthy subscriptions' latencies in one run."""

    latency_ms: dict[str, dict[str, float]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    turned_away: int = 0  # attempts that the dead ones saw


def is_dead(number: int) -> bool:
    """Whether the subscription of this account is one of the dead, when there are any."""
    return number % EVERY == EVERY - 1


def measure(
    stack: Stack, *, subscriptions: int, dead: bool, rate: float, seconds: float, warm_up_seconds: float
) -> Neighbours:
    """One run at `rate` webhooks a second, shared evenly among `subscriptions` accounts with one subscription each."""
    result = Neighbours()
    with receiving(stack.folder, free_port()) as receiver:
        urls = [[_url(receiver, number, dead=dead)] for number in range(subscriptions)]
        world = make_world(stack, urls=urls)
        stack.start(*PROCESSES)
        try:
            load = Load(
                port=stack.ingress_port,
                record="",
                targets=world.targets,
                count=int(rate * (seconds + warm_up_seconds)) + 1,
                customers=subscriptions * 50,
                seconds=seconds + warm_up_seconds,
                rate=rate,
            )
            sent = send(stack.folder, load)
            owed_to_dead = sum(is_dead(one.number % subscriptions) for one in sent) if dead else 0
            settle(stack, receiver, SETTLE_SECONDS, leaving=owed_to_dead)
        finally:
            stack.stop()
    # No warm-up is cut beyond the first connections: the moments before the circuits open count too.
    result.latency_ms = latencies(
        sent, receiver, warm_up_seconds, wanted=lambda number: not is_dead(number % subscriptions)
    )
    result.counts = counts(stack, sent, receiver)
    result.turned_away = receiver.turned_away
    return result


def _url(receiver: Receiver, number: int, *, dead: bool) -> str:
    if dead and is_dead(number):
        return receiver.dead_url("500" if number // EVERY % 2 else "hang", number)
    return receiver.url(number)
