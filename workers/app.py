"""The Celery app: `celery -A workers.app worker|beat|flower`. Tasks are shells; the work is in plain functions.

A worker that dies in the middle of a task leaves what its transactions left: whole or not at all.
"""

from celery import Celery

app = Celery("crossdock", include=["workers.tasks"])
app.config_from_object("celeryconfig")
