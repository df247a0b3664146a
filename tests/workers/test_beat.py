"""Beat over a worker that is away for an hour: it asks now and then, and not 3,600 times."""

from collections import Counter
from types import SimpleNamespace

import orjson
import pytest
from celery import Celery

from shared import orders, queues, valkey
from workers import beat
from workers.beat import Scheduler

MOST = orders.MOST_WAITING[queues.SYNC_QUEUE]


@pytest.fixture
def scheduler(settings, monkeypatch, tmp_path):
    monkeypatch.setattr(beat, "current", lambda: settings)
    monkeypatch.setattr(beat.logs, "configure", lambda _: None)
    with Celery("beat", broker=valkey.celery_url(settings.redis_url), set_as_current=False) as app:
        app.conf.task_default_queue = queues.SYNC_QUEUE
        made = Scheduler(app, schedule_filename=str(tmp_path / "schedule"))
        yield made
        made.close()


def entry(task):
    return SimpleNamespace(name=task, task=task, args=(), kwargs={}, options={})


def waiting(queue):
    return Counter(orjson.loads(raw)["headers"]["task"] for raw in queue.lrange(queues.SYNC_QUEUE, 0, -1))


def test_ticks_that_nobody_takes_do_not_pile_up(scheduler, queue):
    for _ in range(3_600 // 60):
        for _ in range(3):
            scheduler.apply_async(entry(queues.TICK), advance=False)
        scheduler.apply_async(entry(queues.RECOVER), advance=False)
    assert waiting(queue).total() == MOST * orders.BEAT_SHARE
    queue.rpop(queues.SYNC_QUEUE)  # the worker is back
    scheduler.apply_async(entry(queues.TICK), advance=False)
    assert waiting(queue).total() == MOST * orders.BEAT_SHARE


def test_a_queue_that_others_have_filled_has_room_for_a_tick(scheduler, settings, queue):
    while orders.send(settings, queues.REPLAY_RUN, "job"):
        pass
    scheduler.apply_async(entry(queues.TICK), advance=False)
    assert waiting(queue) == {queues.REPLAY_RUN: MOST, queues.TICK: 1}
    assert not orders.send(settings, queues.REPLAY_RUN, "job")


def test_with_the_broker_down_it_is_celery_that_says_so(scheduler, settings, monkeypatch):
    down = settings.model_copy(update={"redis_url": "unix:///nonexistent/valkey.sock?db=0"})
    monkeypatch.setattr(beat, "current", lambda: down)
    assert scheduler._has_room(queues.TICK)


def test_beat_runs_this_scheduler_and_its_orders_do_not_expire():
    from workers.app import app  # its configuration reads the environment when it is first asked for

    assert app.conf.beat_scheduler == f"{Scheduler.__module__}:{Scheduler.__name__}"
    assert not [name for name, entry in app.conf.beat_schedule.items() if "options" in entry]
