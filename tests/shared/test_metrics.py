"""The scrape is what Prometheus itself can read, and says what is so."""

from dataclasses import dataclass
from datetime import timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from shared import ids, metrics, queues
from shared.db.engine import transaction
from shared.inbox import Inbox
from shared.providers.contract import Headers, Request
from shared.valkey import connect
from tests.workers import rows
from tests.workers.rows import NOW


@dataclass
class Scrape:
    text: str

    def __getitem__(self, name):
        """The samples of one name: {label value: number}, or the number itself when it has no label."""
        found = {
            tuple(sample.labels.values()): sample.value
            for family in text_string_to_metric_families(self.text)
            for sample in family.samples
            if sample.name == name
        }
        return found[()] if () in found else {key[0]: value for key, value in found.items()}


@pytest.fixture
def scrape(engine, queue):
    def take(now=NOW, client=queue) -> Scrape:
        with engine.connect() as connection:
            return Scrape(metrics.render(connection, client, now=now))

    return take


def test_an_empty_stack_is_up_and_idle(scrape):
    taken = scrape()
    assert taken["crossdock_queue_up"] == taken["crossdock_database_up"] == 1
    assert taken["crossdock_deliveries_now"] == {"pending": 0, "leased": 0, "held": 0, "dead": 0}
    assert taken["crossdock_oldest_due_seconds"] == 0
    assert taken["crossdock_accepted_to_delivered_seconds"] == {}


def test_counters_carry_their_labels_and_what_is_not_known_is_left_out(scrape, queue):
    held = {"accepted": 7, "refused:signature_mismatch": 2, "messages:failed": 1, "attempts:delivered": 5, "odd": 1}
    queue.hset(queues.COUNTERS, mapping=held)
    taken = scrape()
    assert taken["crossdock_accepted_total"] == 7
    assert taken["crossdock_refused_total"] == {"signature_mismatch": 2}
    assert taken["crossdock_messages_total"] == {"failed": 1}
    assert taken["crossdock_attempts_total"] == {"delivered": 5}
    assert "odd" not in taken.text


def test_the_inbox_is_told_by_shard_with_the_age_of_its_oldest(scrape, queue):
    inbox = Inbox(queue, shards=1)
    for _ in range(3):
        inbox.append(
            message_id=ids.new_id(),
            source_id=str(ids.new_id()),
            tenant="",
            request=Request("POST", "/x", Headers(), b"{}"),
            received_at=NOW,
            max_length=100,
            rate_per_second=0,
        )
    first = queue.xrange(queues.inbox(0), count=1)[0][0]
    appended = NOW.fromtimestamp(int(first.partition(b"-")[0]) / 1000, NOW.tzinfo)
    taken = scrape(appended + timedelta(seconds=42))
    assert taken["crossdock_inbox_messages"] == {"0": 3}
    assert taken["crossdock_inbox_oldest_seconds"]["0"] == pytest.approx(42)


def test_deliveries_lanes_and_subscriptions_are_counted_and_lateness_is_of_what_may_be_sent(scrape, engine):
    account = rows.account(engine)
    crm = rows.subscription(engine, account)
    for state, amount in (("pending", 3), ("leased", 1), ("held", 2), ("dead", 4), ("delivered", 5)):
        for _ in range(amount):
            rows.delivery(engine, account, crm, state=state)
    paused = rows.subscription(engine, account, lane={"paused_until": NOW + timedelta(days=1)})
    rows.delivery(engine, account, paused, state="pending", next_attempt_at=NOW - timedelta(days=1))
    rows.subscription(engine, account, active=False)
    taken = scrape(NOW + timedelta(seconds=90))
    assert taken["crossdock_deliveries_now"] == {"pending": 4, "leased": 1, "held": 2, "dead": 4}
    assert taken["crossdock_oldest_due_seconds"] == 90
    assert taken["crossdock_lanes_due"] == taken["crossdock_lanes_paused"] == 1
    assert taken["crossdock_subscriptions_active"] == 2
    assert taken["crossdock_subscriptions_disabled"] == 1


def test_a_count_stops_at_its_limit(scrape, engine, monkeypatch):
    monkeypatch.setattr(metrics, "COUNT_LIMIT", 3)
    account = rows.account(engine)
    for _ in range(2):
        crm = rows.subscription(engine, account)
        for _ in range(4):
            rows.delivery(engine, account, crm)
    assert scrape()["crossdock_deliveries_now"]["dead"] == 3


def test_the_latency_is_of_recent_first_deliveries_and_no_replays(scrape, engine):
    account = rows.account(engine)
    crm = rows.subscription(engine, account)

    def delivered(seconds, *, at=NOW, **values):
        finished = at - timedelta(seconds=1)
        accepted = finished - timedelta(seconds=seconds)
        values = {"tries": 1, "attempts": 1, "finished_at": finished, "accepted_at": accepted, **values}
        key = rows.delivery(engine, account, crm, state="delivered", **values)
        with transaction(engine) as connection:
            connection.execute(
                text("""
                    INSERT INTO attempts (id, account_id, delivery_id, subscription_id, event_id, number, verdict,
                                          duration_ms, started_at)
                    VALUES (:id, :account, :delivery, :crm, :delivery, 1, 'delivered', 5, :at)
                """),
                {
                    "id": ids.UUID(int=ids.floor_id(finished).int + key.int % 2**32),
                    "account": account,
                    "delivery": key,
                    "crm": crm,
                    "at": finished,
                },
            )

    for seconds in range(1, 102):
        delivered(seconds)
    delivered(9_000, attempts=5)  # replayed
    delivered(9_000, at=NOW - timedelta(seconds=metrics.LATENCY_WINDOW_SECONDS))
    delivered(9_000, accepted_at=None)
    assert scrape()["crossdock_accepted_to_delivered_seconds"] == {"0.5": 51, "0.9": 91, "0.99": 100}


def test_the_age_of_the_last_tick_is_told_and_missing_before_the_first(scrape, queue):
    assert scrape()["crossdock_beat_age_seconds"] == {}
    queue.set(queues.BEAT, int(NOW.timestamp()) - 5)
    assert scrape()["crossdock_beat_age_seconds"] == 5


def test_a_server_that_is_down_is_a_value_and_the_other_is_still_told(scrape, engine, queue, tmp_path):
    taken = scrape(client=connect(f"unix://{tmp_path}/nothing.sock?db=0"))
    assert (taken["crossdock_queue_up"], taken["crossdock_database_up"]) == (0, 1)
    queue.hset(queues.COUNTERS, "accepted", 1)
    with engine.connect() as connection:
        number = connection.execute(text("SELECT pg_backend_pid()")).scalar()
        with transaction(engine) as other:
            other.execute(text("SELECT pg_terminate_backend(:number)"), {"number": number})
        taken = Scrape(metrics.render(connection, queue, now=NOW))
        connection.invalidate()
    assert (taken["crossdock_queue_up"], taken["crossdock_database_up"]) == (1, 0)
    assert taken["crossdock_accepted_total"] == 1
