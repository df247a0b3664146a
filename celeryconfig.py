"""Celery's configuration, read by `workers.app`; everything that can be set comes from Settings.

Orders are small, idempotent and may be lost: they are acknowledged late, prefetched one at a time, expire, and beat
asks again. No payload is ever in one.
"""

from shared import queues, valkey
from shared.settings import current

_settings = current()

broker_url = valkey.celery_url(_settings.redis_url)
result_backend = broker_url
result_expires = 3600
broker_connection_retry_on_startup = True
broker_transport_options = {
    "visibility_timeout": _settings.visibility_timeout_seconds,
    "socket_timeout": 30,
    "socket_connect_timeout": 5,
    "retry_on_timeout": True,
}
task_serializer = "json"
result_serializer = "json"
accept_content = ["json"]
task_acks_late = True
task_reject_on_worker_lost = True
worker_prefetch_multiplier = 1
task_soft_time_limit = _settings.soft_time_limit_seconds
task_time_limit = _settings.lease_seconds
task_track_started = True
worker_send_task_events = True
task_send_sent_event = False
worker_hijack_root_logger = False
worker_max_tasks_per_child = None
timezone = "UTC"
task_default_queue = queues.SYNC_QUEUE
task_routes = {
    queues.DRAIN: {"queue": queues.INBOUND_QUEUE},
    queues.DISPATCH: {"queue": queues.DELIVERY_QUEUE},
}
beat_schedule = {
    "every second: wake what is due": {"task": queues.TICK, "schedule": 1.0, "options": {"expires": 2}},
    "every minute: recover": {"task": queues.RECOVER, "schedule": 60.0, "options": {"expires": 60}},
    "every day: retain": {"task": queues.RETAIN, "schedule": 86_400.0, "options": {"expires": 3600}},
}
