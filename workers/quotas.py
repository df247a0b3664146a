"""How often an API may be asked by one asker, counted across all processes.

Comes in: a request that is about to go out. Left behind: its time in a sorted set in Valkey, for as long as the quota's
window. A process that dies after counting has used up one place of the window. Without Valkey nothing is counted, and
the API's own 429 is what holds us back.
"""

import hashlib
from datetime import datetime

import redis

from shared import logs, queues
from shared.destinations.contract import Quota
from shared.ids import new_id

# A log of the window rather than a bucket that refills: at no time are there more requests in a window than allowed.
_TAKE = """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1] - ARGV[2])
if redis.call('ZCARD', KEYS[1]) < tonumber(ARGV[3]) then
    redis.call('ZADD', KEYS[1], ARGV[1], ARGV[4])
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    return 0
end
return redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2] + ARGV[2] - ARGV[1]
"""

_log = logs.get("quota")


class Quotas:
    """The quotas in use, whoever uses them."""

    def __init__(self, client: redis.Redis) -> None:
        self._take = client.register_script(_TAKE)

    def take(self, api: str, name: str, asker: str, quota: Quota, *, now: datetime) -> float:
        """Count one request of `asker` (a credential, a page) to `api`; 0.0 when it may go, else the seconds until."""
        whose = hashlib.sha256(f"{api}\0{name}\0{asker}".encode()).hexdigest()[:32]
        arguments: list[str | int] = [
            int(now.timestamp() * 1000),
            int(quota.seconds * 1000),
            quota.requests,
            str(new_id()),
        ]
        try:
            wait_ms = self._take([queues.quota(whose)], arguments)
        except redis.RedisError as error:
            _log.warning("quota.uncounted", api=api, error=type(error).__name__)
            return 0.0
        return max(0.0, float(wait_ms) / 1000)
