"""All providers at once: what a message of each topic costs, and the full way with a load of all of them.

Left behind: nothing but the figures; the rows go with the stage's database. A bench that dies in the middle leaves a
database that the next one drops.
"""

import gc
import itertools
import struct
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from sqlalchemy import text

from bench.channels import BIG_LINES, Channel, big_order, open_channels, wire
from bench.counts import counts
from bench.figures import discrepancies, rate_within
from bench.fullway import settle
from bench.load import Load
from bench.procs import Meter, fine_cpu_seconds
from bench.rig import receiving, send
from bench.stack import Stack, free_port
from shared import logs
from shared.clock import utc_now
from shared.ids import new_id
from shared.inbox import shard_of
from shared.providers.contract import Evidence, Request
from web.certificates import Certificates
from workers.context import Context, make_context
from workers.inbound.drain import drain

ON_THE_WAY = ("ingress", "worker-inbound", "worker-delivery", "beat")
APPENDERS = 8  # their fsyncs go together
BIG_TOPIC = "orders/create"
SETTLE_SECONDS = 90.0
_PER_SECOND = 1500  # more than the full way takes


@dataclass(frozen=True, slots=True)
class TopicCost:
    """What a message of one topic costs, in CPU microseconds of the processes that do it."""

    provider: str
    topic: str
    messages: int
    bytes: int  # of the body as it travels, on average
    verify_us: float  # in the ingress: the signature alone
    drain_us: float  # in the drain: out of the inbox, understood, applied, told, acknowledged
    postgres_us: float  # in PostgreSQL meanwhile, all its processes
    events: float  # a message

    @property
    def event_us(self) -> float | None:
        """What an event of this topic costs from the inbox to where it is owed; `None` where nothing is told."""
        return round((self.drain_us + self.postgres_us) / self.events, 1) if self.events else None

    def dump(self) -> dict[str, object]:
        """As JSON."""
        return asdict(self) | {"event_us": self.event_us}


@dataclass
class Mixed:
    """The load of all providers."""

    topics: list[TopicCost] = field(default_factory=list)
    big_order: TopicCost | None = None
    states: dict[str, int] = field(default_factory=dict)  # of the messages that were measured by topic
    appended: int = 0
    accepted_rate: float = 0.0  # a second, the full way
    delivered_rate: float = 0.0
    cpu: dict[str, float] = field(default_factory=dict)  # seconds per 1,000 webhooks, by process, the full way
    counts: dict[str, int] = field(default_factory=dict)  # of the full way

    @property
    def problems(self) -> list[str]:
        """What does not add up."""
        found = discrepancies(self.counts) if self.counts else []
        kept = sum(self.states.values())
        if kept != self.appended:
            found.append(f"appended ({self.appended}) is not messages ({kept})")
        if failed := self.states.get("failed", 0):
            found.append(f"{failed} genuine messages failed")
        return found

    def dump(self) -> dict[str, object]:
        """As JSON."""
        return {
            "topics": [cost.dump() for cost in self.topics],
            "big_order": {"lines": BIG_LINES, **self.big_order.dump()} if self.big_order else {},
            "states": self.states,
            "rates": {"accepted": round(self.accepted_rate, 1), "delivered": round(self.delivered_rate, 1)},
            "cpu_seconds_per_1000": self.cpu,
            "counts": self.counts,
        }


def measure(stack: Stack, *, per_topic: int, seconds: float) -> Mixed:
    """Both parts, each on a database of its own."""
    result = Mixed()
    _full_way(stack, result, seconds=seconds)
    stack.renew()
    _by_topic(stack, result, per_topic=per_topic)
    return result


def _full_way(stack: Stack, result: Mixed, *, seconds: float) -> None:
    """The processes on the way, the topics of all providers in turn, as fast as they are taken in."""
    with receiving(stack.folder, free_port()) as receiver:
        channels = open_channels(stack, url=receiver.url("mixed"))
        count = int(seconds * _PER_SECOND)
        requests = stack.folder / "mixed.requests"
        _write(requests, channels, count, origin=f"http://127.0.0.1:{stack.ingress_port}")
        stack.start(*ON_THE_WAY)
        load = Load(
            port=stack.ingress_port,
            record="",
            targets=[],
            count=count,
            requests=str(requests),
            seconds=seconds,  # and unbounded: some say nothing and some tell twice, so what is under way is not known
        )
        meter = Meter(stack.pids())
        try:
            sent = send(stack.folder, load, started=meter.__enter__)
            settle(stack, receiver, SETTLE_SECONDS)
            meter.__exit__()
            stack.check()
        finally:
            stack.stop()
    requests.unlink()
    window = min(one.sent for one in sent), max(one.answered for one in sent)
    result.accepted_rate = rate_within([one.answered for one in sent if one.status == 200], *window)
    result.delivered_rate = rate_within(receiver.instants, window[0], max(receiver.instants, default=0))
    result.cpu = meter.per_thousand(len(sent))
    result.counts = counts(stack, sent, receiver)


def _write(path: Path, channels: list[Channel], count: int, *, origin: str) -> None:
    lanes = [(channel, topic) for channel in channels for topic in channel.load_topics]
    # One topic of each provider after the other, so that none comes in a lump.
    lanes.sort(key=lambda lane: lane[0].topics.index(lane[1]))
    with path.open("wb") as file:
        for turn, (channel, topic) in zip(range(count), itertools.cycle(lanes), strict=False):
            content = wire(channel.call(topic, turn // len(lanes), origin=origin))
            file.write(struct.pack("<I", len(content)) + content)


def _by_topic(stack: Stack, result: Mixed, *, per_topic: int) -> None:
    """Each topic alone, in this process: nothing else runs, so its CPU is the drain's, and PostgreSQL's is for it."""
    channels = open_channels(stack, url="http://127.0.0.1:9999/mixed")
    logs.configure(stack.settings)
    context, thresholds = make_context(stack.settings), gc.get_threshold()
    bench = _Bench(context, Certificates(stack.settings), partial(fine_cpu_seconds, stack.pids()["postgres"]))
    try:
        shop = channels[0]
        bench.cost(shop, shop.topics[0], 20, lambda turn: shop.request(shop.topics[0], 1_000_000 + turn))  # warms up
        for channel in channels:
            for topic in channel.topics:
                result.topics.append(bench.cost(channel, topic, per_topic, partial(channel.request, topic)))
        result.big_order = bench.cost(
            shop,
            BIG_TOPIC,
            max(per_topic // 10, 5),
            lambda turn: shop.request(BIG_TOPIC, 2_000_000 + turn, body=big_order(turn)),
        )
        result.appended = bench.appended
    finally:
        gc.set_threshold(*thresholds)
        context.client.close()
        context.engine.dispose()
    with stack.engine.connect() as connection:
        rows = connection.execute(text("SELECT state, count(*) AS n FROM messages GROUP BY state ORDER BY state"))
        result.states = {row.state: int(row.n) for row in rows}


class _Bench:
    """Measures one topic after the other."""

    def __init__(self, context: Context, certificates: Certificates, postgres_seconds: Callable[[], float]) -> None:
        self.context = context
        self.postgres_seconds = postgres_seconds
        self.certificates = certificates
        self.appended = 0

    def cost(self, channel: Channel, topic: str, messages: int, make: Callable[[int], Request]) -> TopicCost:
        """What `messages` requests of a topic cost."""
        requests = [make(turn) for turn in range(messages)]
        verify_seconds = self._verify(channel, requests)
        tenant = channel.provider.route(requests[0], channel.source)
        self._append(channel, tenant, requests)
        shard = shard_of(channel.source.id, tenant, self.context.settings.inbox_shards)
        taken = events = 0
        started, postgres_started = time.process_time(), self.postgres_seconds()
        while taken < messages:
            done = drain(self.context, shard)
            if not done["taken"]:
                raise RuntimeError(f"the drain left {messages - taken} messages of {topic}")
            taken, events = taken + done["taken"], events + done["events"]
        spent, postgres_spent = time.process_time() - started, self.postgres_seconds() - postgres_started
        return TopicCost(
            provider=channel.provider.name,
            topic=topic,
            messages=messages,
            bytes=round(sum(len(request.body) for request in requests) / messages),
            verify_us=round(verify_seconds / messages * 1e6, 1),
            drain_us=round(spent / messages * 1e6, 1),
            postgres_us=round(postgres_spent / messages * 1e6, 1),
            events=round(events / messages, 2),
        )

    def _verify(self, channel: Channel, requests: list[Request]) -> float:
        now = utc_now()
        evidence = Evidence(now, partial(self.certificates.get, now=now))
        channel.provider.verify(requests[0], channel.source, evidence)  # fetches the certificate, if there is one
        started = time.process_time()
        refused = [channel.provider.verify(request, channel.source, evidence) for request in requests]
        spent = time.process_time() - started
        if found := next((refusal for refusal in refused if refusal is not None), None):
            raise RuntimeError(f"a genuine {channel.provider.name} request was refused: {found.code}")
        return spent

    def _append(self, channel: Channel, tenant: str, requests: list[Request]) -> None:
        now = utc_now()

        def append(request: Request) -> None:
            appended = self.context.inbox.append(
                message_id=new_id(),
                source_id=channel.source.id,
                tenant=tenant,
                request=request,
                received_at=now,
                max_length=1_000_000,
                rate_per_second=0,
            )
            if appended.refused is not None:
                raise RuntimeError(f"the inbox refused a message: {appended.refused}")

        with ThreadPoolExecutor(APPENDERS) as pool:
            list(pool.map(append, requests))
        self.appended += len(requests)
