"""The queue: whether it answers, and whether what it says it has taken is on the disk.

Only reads; nothing is left behind.
"""

from typing import Any

import redis
from sqlalchemy import exc, text

from cli.doctor.finding import Finding, failed, ok, warning
from cli.station import Station
from shared import directory
from shared.errors import QueueUnavailable

WANTED = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
LOSS = "A crash of the machine may lose webhooks that were acknowledged."


def findings(station: Station) -> list[Finding]:
    """What there is to say; only the first when it does not answer."""
    try:
        info: Any = station.client.info()
        return [_version(info), _durability(station, info), _memory(info), *_directory(station)]
    except (redis.RedisError, QueueUnavailable) as error:
        advice = "Start it, or correct REDIS_URL. The ingress answers 503 meanwhile, and providers retry."
        return [failed("valkey", str(error), advice)]


def _version(info: dict[str, Any]) -> Finding:
    return ok("valkey", str(info.get("valkey_version") or info.get("redis_version")))


def _durability(station: Station, info: dict[str, Any]) -> Finding:
    if info.get("aof_last_write_status", "ok") != "ok":
        return failed("durability", "the last write of the log failed", "Look at the disk and at Valkey's log.")
    try:
        found: Any = station.client.config_get(*WANTED)
    except redis.ResponseError:  # a hosted server may not tell
        return warning("durability", "the server does not tell", f"See that it runs with {_spelt(WANTED)}.")
    wrong = {name: value for name, value in found.items() if WANTED.get(name) not in (None, value)}
    if wrong:
        return failed("durability", _spelt(wrong), f"Set {_spelt({name: WANTED[name] for name in wrong})}. {LOSS}")
    return ok("durability", _spelt(WANTED))


def _memory(info: dict[str, Any]) -> Finding:
    used, most = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    seen = f"{used / 1e6:.0f} MB" + (f" of {most / 1e6:.0f} MB" if most else "")
    if most and used > most * 0.8:
        return warning("valkey memory", seen, "Raise maxmemory: when it is full the ingress answers 503.")
    return ok("valkey memory", seen)


def _directory(station: Station) -> list[Finding]:
    known = directory.load(station.client, station.ring, now=station.now())
    try:
        with station.engine.connect() as connection:
            paths = set(connection.execute(text("SELECT path FROM sources")).scalars())
    except exc.DBAPIError:
        return []
    if paths != set(known):
        advice = "The maintenance mends it within a minute; if not, see that beat and the sync worker run."
        return [warning("directory", f"{len(known)} sources published, {len(paths)} in the database", advice)]
    return [ok("directory", f"{len(known)} sources")]


def _spelt(settings: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items())
