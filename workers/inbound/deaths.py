"""Counts how often the drains of a shard died over entries taken before, so that one message cannot kill for ever.

Comes in: that a drain begins with entries which another took and did not acknowledge, and how that ended. Left behind:
a number in Valkey, which is forgotten after an hour. A drain that dies leaves it raised, and that is the point.
"""

from typing import Any, Final

import redis

from shared import queues, valkey

# The first few times whoever killed the drain may have come from outside. Then entries are taken one by one, so that
# the one at fault is alone with it; and when it has been often enough, it is not tried again.
ALONE_AFTER: Final = 3
GIVE_UP_AFTER: Final = 6
_KEPT_SECONDS: Final = 3600


class Deaths:
    """Of the drains of one shard, since its pending entries were last worked off."""

    def __init__(self, client: valkey.Client, shard: int) -> None:
        self._client = client
        self._key = queues.deaths(shard)

    def begin(self) -> int:
        """A drain begins with entries that were taken before; how many have died over them, this one if it does.

        Raises:
            redis.RedisError: Valkey cannot be reached.
        """
        with self._client.pipeline(transaction=True) as pipe:
            pipe.incr(self._key)
            pipe.expire(self._key, _KEPT_SECONDS)
            answers: list[Any] = pipe.execute()
        return int(answers[0])

    def survived(self, deaths: int) -> None:
        """They are worked off; of entries that are taken one by one only this one is.

        Raises:
            redis.RedisError: as above.
        """
        if deaths > ALONE_AFTER:
            self._client.set(self._key, ALONE_AFTER, ex=_KEPT_SECONDS)
        else:
            self._client.delete(self._key)

    def excused(self) -> None:
        """It ended for a server that was away, and not for the entries. Best effort: one death more does no harm."""
        try:
            self._client.decr(self._key)
        except redis.RedisError:
            return
