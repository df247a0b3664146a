"""The pulse: which workers answer, and when beat last ticked.

Only asks; nothing is left behind.
"""

from typing import Any

from celery import Celery

from shared import queues, valkey
from shared.settings import Settings

WORKERS = ("inbound", "delivery", "sync", "upstream")  # the part of a worker's name before the @


def workers(settings: Settings, *, seconds: float = 1.0) -> set[str]:
    """The names (`inbound`, ...) of the workers that answer a ping within `seconds`.

    Raises:
        Exception: Valkey does not take the question, in kombu's words.
    """
    app = Celery("crossdock-pulse", broker=valkey.celery_url(settings.redis_url), set_as_current=False)
    # A Valkey that is up and does not answer would hold the question for ever.
    app.conf.update(**valkey.broker_limits(settings.queue_timeout_seconds + seconds))
    try:
        answers = app.control.ping(timeout=seconds)
    finally:
        app.close()
    return {name.partition("@")[0] for answer in answers or [] for name in answer}


def beat_age_seconds(client: valkey.Client, *, now: float) -> float | None:
    """How long ago (`now` is Unix seconds) beat's tick last ran; `None` when it never did.

    Raises:
        redis.RedisError: Valkey does not answer.
    """
    last: Any = client.get(queues.BEAT)
    return None if last is None else max(0.0, now - int(last))
