"""Celery's configuration, read by `workers.app`; everything that can be set comes from Settings.

Orders are small, idempotent and may be lost: they are acknowledged late, prefetched one at a time, and beat asks again.
None expires, for whether one has is judged by the clocks of two machines: `shared.orders` bounds how many wait. No
payload is ever in one.
"""

from shared import queues, valkey
from shared.settings import current

_settings = current()

broker_url = valkey.celery_url(_settings.redis_url)
result_backend = broker_url
result_expires = 3600
# Valkey may be away for as long as it likes; whoever waits for it waits for ever and needs no hand afterwards.
broker_connection_retry_on_startup = True
broker_connection_max_retries = None
broker_transport_options = {
    "visibility_timeout": _settings.visibility_timeout_seconds,
    "socket_timeout": 30,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "retry_on_timeout": True,
}
# A result is for eyes only: a worker does not wait long to store one.
result_backend_transport_options = {
    "retry_policy": {"max_retries": 3, "interval_start": 0, "interval_step": 0.5, "interval_max": 1}
}
task_serializer = "json"
result_serializer = "json"
accept_content = ["json"]
task_acks_late = True
task_reject_on_worker_lost = True
# An order that runs on while the connection is lost does no harm: claims and locks are in PostgreSQL. Ended in the
# middle it would only give up requests that are in flight.
worker_cancel_long_running_tasks_on_connection_loss = False
worker_prefetch_multiplier = 1
task_soft_time_limit = _settings.soft_time_limit_seconds
task_time_limit = _settings.lease_seconds
task_track_started = True
worker_send_task_events = True
task_send_sent_event = False
worker_hijack_root_logger = False
# Else each of our lines comes wrapped in one of Celery's, and log_json's lines are no JSON.
worker_redirect_stdouts = False
timezone = "UTC"
task_default_queue = queues.SYNC_QUEUE
task_routes = {
    queues.DRAIN: {"queue": queues.INBOUND_QUEUE},
    queues.DISPATCH: {"queue": queues.DELIVERY_QUEUE},
    queues.UPSTREAM_WORK: {"queue": queues.UPSTREAM_QUEUE},
    queues.UPSTREAM_CONFIRM: {"queue": queues.UPSTREAM_QUEUE},
    queues.UPSTREAM_POLL: {"queue": queues.UPSTREAM_QUEUE},
}
beat_scheduler = "workers.beat:Scheduler"
beat_schedule = {
    "every second: wake what is due": {"task": queues.TICK, "schedule": 1.0},
    "every minute: privacy": {"task": queues.PRIVACY, "schedule": 60.0},
    "every minute: recover": {"task": queues.RECOVER, "schedule": 60.0},
    "every five seconds: upstream work": {"task": queues.UPSTREAM_WORK, "schedule": 5.0},
    "every half minute: confirm topics": {"task": queues.UPSTREAM_CONFIRM, "schedule": 30.0},
    "every five seconds: poll queues": {"task": queues.UPSTREAM_POLL, "schedule": 5.0},
    # Hourly, though days are what it counts: a beat that is restarted each night would never come to a daily one.
    "every hour: retain": {"task": queues.RETAIN, "schedule": 3600.0},
}
