"""Work orders: how either half asks a worker to look. An order says where to look, never what is there.

Left behind: one small Celery message. Losing it costs nothing: the stream and the table are the truth, and beat asks
again.
"""

from functools import lru_cache

import redis
from celery import Celery

from shared import queues, valkey
from shared.settings import Settings

ORDER_EXPIRES_SECONDS = 60
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
    app.conf.update(
        task_ignore_result=True,
        broker_connection_retry=False,
        broker_transport_options={
            "socket_timeout": timeout_seconds,
            "socket_connect_timeout": timeout_seconds,
            "retry_on_timeout": False,
        },
        task_publish_retry=False,
    )
    return app


def send(settings: Settings, task: str, *args: object) -> bool:
    """Send a work order; whether it was sent. A broker that is down is no error here, since beat asks again."""
    app = _sender(valkey.celery_url(settings.redis_url), settings.queue_timeout_seconds)
    try:
        app.send_task(task, args=args, queue=_QUEUES[task], expires=ORDER_EXPIRES_SECONDS, ignore_result=True)
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
