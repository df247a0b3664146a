"""How often an API may be asked with one credential, counted across all processes.

Comes in: a request that is about to go out. Left behind: its time in a sorted set in Valkey, for as long as the quota's
window. A process that dies after counting has used up one place of the window. Without Valkey nothing is counted, and
the API's own 429 is what holds us back.
"""

import asyncio
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

_log = logs.get("delivery")


class Quotas:
    """The quotas in use, whoever uses them."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._take = client.register_script(_TAKE)

    async def take(self, destination: str, name: str, credential: str, quota: Quota, *, now: datetime) -> float:
        """Count one request; 0.0 when it may go, else the seconds until one may."""
        whose = hashlib.sha256(f"{destination}\0{name}\0{credential}".encode()).hexdigest()[:32]
        arguments: list[str | int] = [
            int(now.timestamp() * 1000),
            int(quota.seconds * 1000),
            quota.requests,
            str(new_id()),
        ]
        try:
            wait_ms = await asyncio.to_thread(self._take, [queues.quota(whose)], arguments)
        except redis.RedisError as error:
            _log.warning("quota.uncounted", destination=destination, error=type(error).__name__)
            return 0.0
        return max(0.0, float(wait_ms) / 1000)
