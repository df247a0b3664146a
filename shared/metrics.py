"""What Prometheus sees: counters that the processes keep in Valkey, and the present state of queue and tables.

Comes in: one connection and one client. Comes out: the text of a scrape. Nothing is left behind. Counters are a
history and not the truth: a process that dies between its commit and its count leaves them a little low.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Final

import redis
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Connection, text
from sqlalchemy import exc as database

from shared import queues, valkey
from shared.clock import utc_now
from shared.ids import floor_id

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
# Counting a backlog reads its index; past this many a scrape says "at least".
COUNT_LIMIT: Final = 100_000
LATENCY_WINDOW_SECONDS: Final = 300
LATENCY_SAMPLE: Final = 2_000
QUANTILES: Final = (0.5, 0.9, 0.99)

# Name in the COUNTERS hash, before its colon if it has one -> name, what it counts, label after the colon.
_COUNTERS: Final[dict[str, tuple[str, str, str | None]]] = {
    "accepted": ("crossdock_accepted", "Requests answered 200, repeats included.", None),
    "refused": ("crossdock_refused", "Requests turned away, by code.", "code"),
    "messages": ("crossdock_messages", "Messages drained, by what became of them.", "state"),
    "events": ("crossdock_events", "Events made.", None),
    "deliveries": ("crossdock_deliveries", "Deliveries created or replayed.", "how"),
    "attempts": ("crossdock_attempts", "Attempts made, by verdict.", "verdict"),
}

# Each count stops at the limit and reads a partial index, lane by lane; the state stands as a constant, for a bound
# one proves to the planner no index's condition.
_STATES = text(
    " UNION ALL ".join(
        f"""
        SELECT '{state}' AS state, count(*) AS amount FROM (
            SELECT FROM subscriptions s CROSS JOIN LATERAL (
                SELECT FROM deliveries d WHERE d.subscription_id = s.id AND d.state = '{state}' LIMIT :limit
            ) one LIMIT :limit
        ) counted"""
        for state in ("pending", "leased", "held", "dead")
    )
)

# The head of each lane that may be worked on; a paused lane's deliveries are not late, they wait.
_DUE = text("""
SELECT count(*) AS lanes, min(due.next_attempt_at) AS oldest
FROM subscriptions s
JOIN lanes l ON l.subscription_id = s.id
CROSS JOIN LATERAL (
    SELECT d.next_attempt_at FROM deliveries d
    WHERE d.subscription_id = s.id AND d.state = 'pending' AND d.next_attempt_at <= :now
    ORDER BY d.next_attempt_at, d.id LIMIT 1
) due
WHERE s.active AND s.deleted_at IS NULL AND (l.paused_until IS NULL OR l.paused_until <= :now)
""")

_SMALL = text("""
SELECT
    (SELECT count(*) FROM lanes l JOIN subscriptions s ON s.id = l.subscription_id
     WHERE s.active AND s.deleted_at IS NULL AND l.paused_until > :now) AS paused,
    (SELECT count(*) FROM subscriptions WHERE active AND deleted_at IS NULL) AS active,
    (SELECT count(*) FROM subscriptions WHERE NOT active AND deleted_at IS NULL) AS disabled,
    (SELECT count(*) FROM alerts WHERE resolved_at IS NULL) AS alerts,
    (SELECT count(*) FROM replay_jobs WHERE state = 'running') AS replays
""")

# Attempts have rising ids, so the last minutes are a range of one partition's primary key. What was replayed is left
# out (more attempts than tries): the time a person took to ask is nobody's latency.
_LATENCY = text("""
SELECT percentile_cont(CAST(:quantiles AS double precision[])) WITHIN GROUP (ORDER BY seconds) AS quantiles,
       count(*) AS sampled
FROM (
    SELECT extract(epoch FROM d.finished_at - d.accepted_at) AS seconds
    FROM (
        SELECT delivery_id FROM attempts WHERE id >= :since AND verdict = 'delivered' ORDER BY id DESC LIMIT :sample
    ) a JOIN deliveries d ON d.id = a.delivery_id
    WHERE d.state = 'delivered' AND d.accepted_at IS NOT NULL AND d.attempts = d.tries
) recent
""")


class _Scrape(Collector):
    def __init__(self, connection: Connection, client: valkey.Client, now: datetime) -> None:
        self.connection = connection
        self.client = client
        self.now = now

    def collect(self) -> Iterator[Metric]:
        yield from _part("crossdock_queue_up", "Whether Valkey answers.", self._queue)
        yield from _part("crossdock_database_up", "Whether PostgreSQL answers.", self._database)

    def _queue(self) -> Iterator[Metric]:
        held: Any = self.client.hgetall(queues.COUNTERS)
        yield from _counters(held)
        beat: Any = self.client.get(queues.BEAT)
        if beat is not None:
            yield _gauge("crossdock_beat_age_seconds", "Since the last tick.", self.now.timestamp() - int(beat))
        yield from self._inbox()

    def _inbox(self) -> Iterator[Metric]:
        waiting = GaugeMetricFamily("crossdock_inbox_messages", "Accepted and not yet drained.", labels=["shard"])
        oldest = GaugeMetricFamily("crossdock_inbox_oldest_seconds", "Age of the oldest of them.", labels=["shard"])
        with self.client.pipeline(transaction=False) as pipe:
            for shard in range(queues.MOST_SHARDS):  # one without a stream is not shown
                pipe.exists(queues.inbox(shard))
            there = pipe.execute()
        for shard in (shard for shard, exists in enumerate(there) if exists):
            first: Any = self.client.xrange(queues.inbox(shard), count=1)
            since = int(first[0][0].partition(b"-")[0]) / 1000 if first else self.now.timestamp()
            waiting.add_metric([str(shard)], self.client.xlen(queues.inbox(shard)))
            oldest.add_metric([str(shard)], max(0.0, self.now.timestamp() - since))
        yield waiting
        yield oldest

    def _database(self) -> Iterator[Metric]:
        states = GaugeMetricFamily(
            "crossdock_deliveries_now", f"Deliveries by state; {COUNT_LIMIT} means at least that.", labels=["state"]
        )
        for row in self.connection.execute(_STATES, {"limit": COUNT_LIMIT}):
            states.add_metric([row.state], row.amount)
        yield states
        due = self.connection.execute(_DUE, {"now": self.now}).one()
        yield _gauge("crossdock_lanes_due", "Subscriptions with a delivery due.", due.lanes)
        late = (self.now - due.oldest).total_seconds() if due.oldest else 0.0
        yield _gauge("crossdock_oldest_due_seconds", "How late the most overdue delivery is.", late)
        small = self.connection.execute(_SMALL, {"now": self.now}).one()
        yield _gauge("crossdock_lanes_paused", "Subscriptions paused by circuit or Retry-After.", small.paused)
        yield _gauge("crossdock_subscriptions_active", "Subscriptions that are shipped to.", small.active)
        yield _gauge("crossdock_subscriptions_disabled", "Subscriptions that are disabled.", small.disabled)
        yield _gauge("crossdock_alerts_open", "Alerts that are not resolved.", small.alerts)
        yield _gauge("crossdock_replays_running", "Replay jobs running.", small.replays)
        yield self._latency()

    def _latency(self) -> Metric:
        family = GaugeMetricFamily(
            "crossdock_accepted_to_delivered_seconds",
            f"From the 200 to the CRM's 2xx, over the last {LATENCY_WINDOW_SECONDS} s.",
            labels=["quantile"],
        )
        since = floor_id(datetime.fromtimestamp(self.now.timestamp() - LATENCY_WINDOW_SECONDS, self.now.tzinfo))
        values = {"quantiles": list(QUANTILES), "since": since, "sample": LATENCY_SAMPLE}
        row = self.connection.execute(_LATENCY, values).one()
        for quantile, seconds in zip(QUANTILES, row.quantiles or (), strict=False):
            family.add_metric([str(quantile)], float(seconds))
        return family


def render(connection: Connection, client: valkey.Client, *, now: datetime | None = None) -> str:
    """The scrape, in the Prometheus text format (`CONTENT_TYPE`); `now` None is the present instant.

    A server that is down is a value, `crossdock_queue_up 0` or `crossdock_database_up 0`, and the rest is still told.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Scrape(connection, client, now or utc_now()))
    return generate_latest(registry).decode()


def _part(name: str, about: str, collect: Any) -> Iterator[Metric]:
    """What `collect` yields, and whether it could: half a part is not shown."""
    families: list[Metric] = []
    try:
        families.extend(collect())
        up = 1
    except (redis.RedisError, database.DBAPIError):
        families, up = [], 0
    yield _gauge(name, about, up)
    yield from families


def _counters(held: dict[bytes, bytes]) -> Iterable[Metric]:
    families = {
        key: CounterMetricFamily(name, about, labels=[label] if label else None)
        for key, (name, about, label) in _COUNTERS.items()
    }
    for field, value in sorted(held.items()):
        key, _, label = field.decode().partition(":")
        if key in families and bool(label) == bool(_COUNTERS[key][2]):
            families[key].add_metric([label] if label else [], int(value))
    return families.values()


def _gauge(name: str, about: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, about, value=value)
