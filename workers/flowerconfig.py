"""Flower's options, read by `celery -A workers.app flower --conf=workers/flowerconfig.py`; all of it from Settings.

Left behind: what Flower has seen, in data_dir, saved each minute; if it dies in between, the last minute of its list is
missing and nothing else, since Flower only looks on.
"""

import logging as _logging  # tornado takes every public name here for an option

from shared.settings import current

_logging.getLogger("alembic").setLevel(_logging.WARNING)  # Flower shows everybody's INFO

_settings = current()
_password = _settings.flower_password.get_secret_value()

address = _settings.flower_host
port = _settings.flower_port
# Settings refuse an address beyond loopback without these. On loopback without them the pages are readable and
# Flower's own API, which could stop workers, answers 401.
basic_auth = [f"{_settings.flower_user}:{_password}"] if _settings.flower_user and _password else []
read_only = not basic_auth

persistent = True
db = str(_settings.data_dir / "flower")
state_save_interval = 60_000  # milliseconds
max_tasks = 5_000
max_workers = 100
purge_offline_workers = 3600  # seconds

# What an operator asks of an order: what it was about and what came of it.
tasks_columns = "name,state,args,result,received,runtime,worker"
natural_time = True
