"""The processes: whether workers, beat, ingress, console and Flower answer.

Only asks; nothing is left behind.
"""

from http import HTTPStatus

import redis
import requests
from kombu.exceptions import OperationalError

from cli import pulse, stack
from cli.doctor.finding import Finding, failed, ok
from cli.station import Station
from shared.settings import current

BEAT_SECONDS = 15
_RUN = "Start it: `crossdock up`, or the Procfile's line of this name."


def findings(station: Station) -> list[Finding]:
    """What there is to say of each."""
    running = stack.addresses(station.settings.data_dir) or stack.addresses_of(current())
    return [
        *_workers(station),
        *_beat(station),
        _page("ingress", f"{running.ingress}/healthz"),
        _page("console", f"{running.console}/healthz"),
        _page("flower", f"{running.flower}/healthcheck"),
    ]


def _workers(station: Station) -> list[Finding]:
    try:
        alive = pulse.workers(station.settings)
    except (OperationalError, redis.RedisError, OSError):
        return []  # the queue is down, which is said elsewhere
    return [
        ok(f"worker-{name}", "answers")
        if name in alive
        else failed(f"worker-{name}", "does not answer", f"{_RUN} Nothing is lost meanwhile; it waits.")
        for name in pulse.WORKERS
    ]


def _beat(station: Station) -> list[Finding]:
    try:
        age = pulse.beat_age_seconds(station.client, now=station.now().timestamp())
    except redis.RedisError:
        return []  # as above
    if age is None or age > BEAT_SECONDS:
        seen = "never ticked" if age is None else f"ticked {age:.0f} s ago"
        return [failed("beat", seen, f"{_RUN} Without it retries and lost orders are not asked for again.")]
    return [ok("beat", f"ticked {age:.0f} s ago")]


def _page(name: str, url: str) -> Finding:
    try:
        status = requests.get(url, timeout=3).status_code
    except requests.RequestException as error:
        return failed(name, f"{url}: {type(error).__name__}", _RUN)
    if status != HTTPStatus.OK:
        return failed(name, f"{url}: {status}", "It runs, and cannot reach what it needs; see the findings above.")
    return ok(name, url)
