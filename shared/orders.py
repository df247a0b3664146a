"""Work orders: how either half asks a worker to look. An order says where to look, never what is there.

Left behind: one small Celery message, or none when the queue holds enough of them. Losing it costs nothing: the stream
and the table are the truth, and beat asks again.

Orders do not expire, for Celery would do that by the clocks of two machines, and a worker that is ahead would throw
every one away. What piles up while a worker is away is bounded by number instead.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import redis
from celery import Celery

from shared import queues, valkey
from shared.settings import Settings

# With this many waiting, one more would find nothing left to do. A queue that others fill has room for beat's orders
# all the same: they are what wakes everything else.
MOST_WAITING: Final[Mapping[str, int]] = {
    queues.INBOUND_QUEUE: 300,  # one for each of the most shards there can be, and some
    queues.DELIVERY_QUEUE: 50,  # each wakes one worker
    queues.SYNC_QUEUE: 10,  # a slice of a replay takes a second, and beat's tick waits behind all of them
    queues.UPSTREAM_QUEUE: 10,
}
BEAT_SHARE: Final = 2

_QUEUES = {
    queues.DRAIN: queues.INBOUND_QUEUE,
    queues.DISPATCH: queues.DELIVERY_QUEUE,
    queues.REPLAY_RUN: queues.SYNC_QUEUE,
    queues.TICK: queues.SYNC_QUEUE,
    queues.RECOVER: queues.SYNC_QUEUE,
    queues.RETAIN: queues.SYNC_QUEUE,
    queues.PRIVACY: queues.SYNC_QUEUE,
    queues.UPSTREAM_WORK: queues.UPSTREAM_QUEUE,
    queues.UPSTREAM_CONFIRM: queues.UPSTREAM_QUEUE,
    queues.UPSTREAM_POLL: queues.UPSTREAM_QUEUE,
}


@lru_cache(maxsize=4)
def _sender(broker_url: str, timeout_seconds: float) -> Celery:
    app = Celery("crossdock-orders", broker=broker_url, set_as_current=False)
    app.conf.update(task_ignore_result=True, task_publish_retry=False, **valkey.broker_limits(timeout_seconds))
    return app


@lru_cache(maxsize=4)
def _client(redis_url: str, timeout_seconds: float) -> valkey.Client:
    return valkey.connect(redis_url, timeout_seconds=timeout_seconds)


def has_room(settings: Settings, task: str, *, share: int = 1) -> bool:
    """Whether the task's queue holds fewer than `share` times its bound.

    Raises:
        redis.RedisError: the broker cannot be reached.
    """
    waiting: Any = _client(settings.redis_url, settings.queue_timeout_seconds).llen(_QUEUES[task])
    return int(waiting) < MOST_WAITING[_QUEUES[task]] * share


def send(settings: Settings, task: str, *args: object) -> bool:
    """Send a work order; whether it was sent. A broker that is down or has enough is no error: beat asks again."""
    app = _sender(valkey.celery_url(settings.redis_url), settings.queue_timeout_seconds)
    try:
        if not has_room(settings, task):
            return False
        app.send_task(task, args=args, queue=_QUEUES[task], ignore_result=True)
    except Exception:  # noqa: BLE001  # kombu wraps the transport's own errors in several unrelated classes
        return False
    return True


def wake_dispatch(settings: Settings, client: valkey.Client) -> bool:
    """Order a dispatch unless one is on its way; whether one was sent. Call it after the commit.

    A Valkey that is down is no error here: the deliveries are in the table, and beat asks again.
    """
    try:
        raised = client.set(queues.DISPATCH_WAKE, "1", nx=True, ex=queues.WAKE_SECONDS)
    except redis.RedisError:
        return False
    return bool(raised) and send(settings, queues.DISPATCH)


def wake_drain(settings: Settings, client: valkey.Client, shard: int) -> bool:
    """Order a drain of the shard unless one is on its way; whether one was sent.

    A Valkey that is down is no error here: the messages are in the stream, and beat asks again.
    """
    try:
        raised = client.set(queues.drain_wake(shard), "1", nx=True, ex=queues.WAKE_SECONDS)
    except redis.RedisError:
        return False
    return bool(raised) and send(settings, queues.DRAIN, shard)
