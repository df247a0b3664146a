"""Each stage alone, one after the other on the same messages: the ingress, the drain, the delivery engine.

What one leaves is what the next starts from, so the last counts must be the first ones. Left behind: nothing but the
figures.
"""

import itertools
import time
from dataclasses import dataclass, field

from bench.ceiling import CONNECTIONS
from bench.counts import counts
from bench.figures import rate_within, steady_rate
from bench.fullway import settle
from bench.load import Load
from bench.procs import Meter
from bench.rig import Receiver, receiving, send
from bench.seed import make_world
from bench.stack import Stack, free_port
from shared import orders, queues

QUIET_SECONDS = 30.0
ASK_SECONDS = 1.0


@dataclass
class Stages:
    """Rates a second and CPU seconds per 1,000 of each stage alone."""

    rates: dict[str, float] = field(default_factory=dict)  # `ingress`, `inbound`, `delivery`
    cpu: dict[str, dict[str, float]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)


def measure(stack: Stack, *, messages: int, warm_up: int, accounts: int) -> Stages:
    """`messages` webhooks through the three stages, after `warm_up` others: the bare view is measured warm too."""
    result = Stages()
    whole = warm_up + messages
    with receiving(stack.folder, free_port()) as receiver:
        world = make_world(stack, urls=[[receiver.url(number)] for number in range(accounts)])
        stack.start("ingress")
        load = Load(
            port=stack.ingress_port,
            record="",
            targets=world.targets,
            count=whole,
            customers=whole // 2,
            connections=CONNECTIONS,
        )
        meter = Meter(stack.pids())
        sent = send(stack.folder, load, started=meter.__enter__)
        meter.__exit__()
        result.cpu["ingress"] = meter.per_thousand(whole)
        done = sorted(one.answered for one in sent if one.status == 200)
        result.rates["ingress"] = rate_within(done, done[-messages], done[-1])
        stack.stop("ingress")
        result.rates["inbound"], result.cpu["inbound"] = _drain(stack, whole)
        result.cpu["delivery"] = _deliver(stack, receiver, whole)
        stack.stop()
    # By its own record, which is finer than what can be seen of its count meanwhile.
    result.rates["delivery"] = steady_rate(receiver.instants)
    result.counts = counts(stack, sent, receiver)
    return result


def _drain(stack: Stack, messages: int) -> tuple[float, dict[str, float]]:
    """Messages a second that the drain takes out of the inbox, and its cost; no delivery worker runs."""
    stack.start("worker-inbound")
    start = end = asked = time.monotonic()
    left = first_left = _inbox_length(stack)
    _ask_drain(stack)
    with Meter(stack.pids()) as meter:
        while left:
            time.sleep(0.02)
            stack.check()
            now, now_left = time.monotonic(), _inbox_length(stack)
            if now_left < left:
                left, end = now_left, now
            if now - end > QUIET_SECONDS:
                raise TimeoutError(f"the drain stopped with {left} messages in the inbox")
            if now - asked > ASK_SECONDS:
                asked = now
                _ask_drain(stack)
    stack.stop("worker-inbound")
    return first_left / (end - start), meter.per_thousand(messages)


def _ask_drain(stack: Stack) -> None:
    for shard in range(stack.settings.inbox_shards):
        orders.send(stack.settings, queues.DRAIN, shard)


def _inbox_length(stack: Stack) -> int:
    with stack.client as client:
        return sum(int(client.xlen(queues.inbox(shard))) for shard in range(stack.settings.inbox_shards))


def _deliver(stack: Stack, receiver: Receiver, count: int) -> dict[str, float]:
    """What a delivery costs per 1,000, the delivery engine alone over a backlog of `count`, worked off to its end."""
    goal = receiver.count + count
    with stack.client as client:
        # The drain's orders: the worker would begin before anybody measures.
        client.delete(queues.DELIVERY_QUEUE, queues.DISPATCH_WAKE)
    stack.start("worker-delivery")
    with Meter(stack.pids()) as meter:
        arrivals(stack, receiver, goal)
        settle(stack, receiver, QUIET_SECONDS)
    stack.stop("worker-delivery")
    return meter.per_thousand(count)


def arrivals(stack: Stack, receiver: Receiver, until: int) -> float:
    """The steady rate at which the receiver's count rises to `until`, its first and last tenth cut off.

    A dispatch order goes out at once and every second after, as beat would have it.
    """
    asked = 0.0
    seen = [(time.monotonic_ns(), receiver.count)]
    while seen[-1][1] < until:
        if time.monotonic() - asked > ASK_SECONDS:
            asked = time.monotonic()
            orders.send(stack.settings, queues.DISPATCH)
            stack.check()
        time.sleep(0.005)
        now, count = time.monotonic_ns(), receiver.count
        if count != seen[-1][1]:
            seen.append((now, count))
        elif now - seen[-1][0] > QUIET_SECONDS * 1e9:
            raise TimeoutError(f"deliveries stopped at {count} of {until}")
    # Each sample stands for all that came since the one before it.
    return steady_rate([at for (_, low), (at, high) in itertools.pairwise(seen) for _ in range(high - low)])
