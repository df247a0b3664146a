"""Measures the baseline in its steady state: a closed loop in which nothing piles up.

Left behind: nothing but the figures; its rows go with the stage's database.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bench import naive
from bench.ceiling import granian
from bench.counts import seen_outside
from bench.figures import rate_within, spread
from bench.load import Load
from bench.procs import Meter
from bench.rig import Receiver, Sent, receiving, send
from bench.samples import Target
from bench.stack import Stack, free_port, wait_for_port
from shared.db.engine import make_engine

OUTSTANDING = 200  # enough to keep its workers busy
WARM_UP_SECONDS = 2.0
TARGET = Target("naive", "naive.myshopify.com", naive.SOURCE_SECRET)


@dataclass(frozen=True, slots=True)
class Baseline:
    """What the usual way does."""

    rate: float  # delivered a second
    latency_ms: dict[str, float]  # accepted to delivered
    cpu: dict[str, float]  # seconds per 1,000
    delivered: int
    counts: dict[str, int] = field(default_factory=dict)


def measure(stack: Stack, *, seconds: float, count: int) -> Baseline:
    """Run the baseline alone on the stack's servers."""
    port = free_port()
    with receiving(stack.folder, free_port()) as receiver:
        engine = make_engine(stack.database_url)
        naive.Model.metadata.create_all(engine)
        with Session(engine) as session:
            session.add(naive.Subscriber(id=1, url=receiver.url("naive")))
            session.commit()
        engine.dispose()
        settings = stack.settings
        stack.run(
            "naive-web",
            granian("bench.naive:app", port, workers=settings.ingress_workers, threads=settings.ingress_threads),
        )
        stack.run("naive-worker", "celery -A bench.naive:queue worker -c 4 --without-gossip --without-mingle")
        try:
            wait_for_port(port)
            stack.wait_for_workers(1)
            with Meter(stack.pids()) as meter:
                load = Load(
                    port=port,
                    record="",
                    targets=[TARGET],
                    count=count,
                    seconds=seconds + WARM_UP_SECONDS,
                    connections=16,
                    outstanding=OUTSTANDING,
                    progress=str(receiver.progress),
                )
                sent = send(stack.folder, load)
                accepted = sum(one.status == 200 for one in sent)
                deadline = time.monotonic() + 30
                while receiver.count < accepted and time.monotonic() < deadline:
                    time.sleep(0.05)
        finally:
            stack.stop("naive-web", "naive-worker")
    start = min(receiver.instants) + int(WARM_UP_SECONDS * 1e9)
    end = max(one.answered for one in sent)
    latencies = [
        max(0, receiver.arrivals[one.number] - one.answered) / 1e6
        for one in sent
        if one.status == 200 and one.number in receiver.arrivals
    ]
    return Baseline(
        rate_within(receiver.instants, start, end),
        spread(latencies),
        meter.per_thousand(receiver.unique),
        receiver.unique,
        _counts(stack, sent, receiver),
    )


def _counts(stack: Stack, sent: Sequence[Sent], receiver: Receiver) -> dict[str, int]:
    """The same as `bench.counts` has them of Crossdock, from the baseline's own tables."""
    with Session(stack.engine) as session:
        webhooks = session.scalar(select(func.count()).select_from(naive.Webhook)) or 0
        shipments = session.scalar(select(func.count()).select_from(naive.Shipment)) or 0
        delivered = session.scalar(select(func.count()).where(naive.Shipment.state == "delivered")) or 0
    return seen_outside(sent, receiver) | {
        "messages": webhooks,
        "deliveries": shipments,
        "delivered": delivered,
        "failed": 0,
        "waiting": shipments - delivered,
    }
