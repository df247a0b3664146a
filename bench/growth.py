"""How the cost of an event grows: with the backlog, and with the number of subscriptions. The delivery engine alone.

Left behind: nothing but the figures.
"""

from collections import Counter
from dataclasses import asdict, dataclass, field, replace

from bench.counts import counts
from bench.fullway import settle
from bench.procs import Meter
from bench.rig import Receiver, receiving
from bench.seed import World, make_backlog, make_world
from bench.stack import Stack, free_port, procfile
from bench.stages import arrivals

ENGINE = "worker-delivery"
WARM_UP = 500  # deliveries before anything counts: imports, connections, plans
WARM_UP_FIRST = 900_000_000
QUIET_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Cost:
    """What deliveries cost under one condition."""

    size: int  # the backlog, or the number of subscriptions
    deliveries: int  # measured
    rate: float  # a second
    cpu: dict[str, float]  # seconds per 1,000, by process
    rss_mb: dict[str, float]
    counts: dict[str, int] = field(default_factory=dict)  # of the whole part

    def dump(self) -> dict[str, object]:
        """As JSON."""
        return asdict(self) | {"rate": round(self.rate, 1)}

    @property
    def engine_cpu(self) -> float:
        """CPU seconds per 1,000 of what does the work: the delivery worker and PostgreSQL."""
        return self.cpu["worker-delivery"] + self.cpu["postgres"]


def backlog(stack: Stack, size: int, *, sample: int, accounts: int) -> Cost:
    """The cost per delivery while `size` are due, over about `sample` deliveries."""
    with receiving(stack.folder, free_port()) as receiver:
        world = make_world(stack, urls=[[receiver.url(number)] for number in range(accounts)])
        measured = _deep if size > sample else _shallow
        cost = measured(stack, receiver, world, size, sample)
        stack.stop()
    return replace(cost, counts=counts(stack, [], receiver))


def _shallow(stack: Stack, receiver: Receiver, world: World, size: int, sample: int) -> Cost:
    """Backlogs of `size`, one after the other, each to its end; only the working spells count."""
    stack.start(ENGINE)
    make_backlog(stack, world, WARM_UP, first=WARM_UP_FIRST)
    arrivals(stack, receiver, WARM_UP)
    settle(stack, receiver, QUIET_SECONDS)
    spells, rates = sample // size, []
    seconds, peaks = Counter[str](), dict[str, float]()
    for spell in range(spells):
        goal = receiver.count + size
        make_backlog(stack, world, size, first=spell * size)
        with Meter(stack.pids()) as meter:
            rates.append(arrivals(stack, receiver, goal))
            settle(stack, receiver, QUIET_SECONDS)
        seconds.update(meter.cpu)
        peaks = {name: max(peaks.get(name, 0.0), peak) for name, peak in meter.peak_rss_mb.items()}
    done = spells * size
    shares = {name: round(spent * 1000 / done, 4) for name, spent in seconds.items()}
    return Cost(size, done, sum(rates) / spells, shares, peaks)


def _deep(stack: Stack, receiver: Receiver, world: World, size: int, sample: int) -> Cost:
    """One backlog of `size`, of which the first `sample` are measured; every process of the Procfile runs."""
    make_backlog(stack, world, size)
    stack.start(*procfile())
    arrivals(stack, receiver, WARM_UP)
    before = receiver.count
    with Meter(stack.pids()) as meter:
        rate = arrivals(stack, receiver, before + sample)
        done = receiver.count - before
    return Cost(size, done, rate, meter.per_thousand(done), meter.peak_rss_mb)


def subscriptions(stack: Stack, number: int, *, deliveries: int) -> Cost:
    """The cost of `deliveries` deliveries shared among `number` subscriptions of one account."""
    with receiving(stack.folder, free_port()) as receiver:
        world = make_world(stack, urls=[[receiver.url(n) for n in range(number)]])
        make_backlog(stack, world, deliveries)
        stack.start(ENGINE)
        with Meter(stack.pids()) as meter:
            rate = arrivals(stack, receiver, deliveries)
            settle(stack, receiver, QUIET_SECONDS)
        stack.stop()
    cpu = meter.per_thousand(deliveries)
    return Cost(number, deliveries, rate, cpu, meter.peak_rss_mb, counts(stack, [], receiver))
