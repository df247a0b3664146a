"""The inbox: one stream a shard, in which a message is safe from the 200 until its rows are committed.

Comes in, from the ingress: a verified request. Left behind: a stream entry, fsynced before the 200. Out, to the drain:
entries in the order they came, first those that a dead drain had taken and not acknowledged. A process that dies
between taking and acknowledging leaves its entries pending, and the next drain of the shard gets them first.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
import redis

from shared import queues, valkey
from shared.errors import QueueUnavailable
from shared.providers.contract import Headers, Request

# One round trip, all or nothing: rate, length, append, wake flag, counter.
# KEYS: stream, wake flag, rate window, counters, large flag.
# ARGV: max length, rate per second (0: none), wake seconds, five fields, what is large.
# Returns {"ok", 1 if the flag was raised by this call}, {"rate"} or {"full"}.
_APPEND = """
if tonumber(ARGV[2]) > 0 then
  local n = redis.call('INCR', KEYS[3])
  if n == 1 then redis.call('PEXPIRE', KEYS[3], 1000) end
  if n > tonumber(ARGV[2]) then return {'rate', 0} end
end
if redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[1]) then return {'full', 0} end
redis.call('XADD', KEYS[1], '*', 'i', ARGV[4], 's', ARGV[5], 't', ARGV[6], 'r', ARGV[7], 'b', ARGV[8])
redis.call('HINCRBY', KEYS[4], 'accepted', 1)
if #ARGV[8] > tonumber(ARGV[9]) then redis.call('SET', KEYS[5], '1') end
if redis.call('SET', KEYS[2], '1', 'NX', 'EX', ARGV[3]) then return {'ok', 1} end
return {'ok', 0}
"""
# KEYS: stream, large flag.
_NO_LONGER_LARGE = "if redis.call('XLEN', KEYS[1]) == 0 then redis.call('DEL', KEYS[2]) end"

# Two hundred small messages are read at once, and of large ones as few as a process can hold: the reading itself has
# no limit in bytes.
LARGE_BYTES = 65_536
FEW = 12


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message that is to be appended, and what holds for its source."""

    message_id: UUID
    source_id: str
    tenant: str
    request: Request
    received_at: datetime
    max_length: int  # of its shard, past which nothing is taken
    rate_per_second: int  # 0: none


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of an append. `refused` is None, `rate` (over the source's rate) or `full` (shard too long)."""

    refused: str | None
    wake: bool  # True: the caller sends a drain order, for no other is on its way


@dataclass(frozen=True, slots=True)
class Entry:
    """One message in the inbox."""

    entry_id: bytes  # the stream's
    message_id: UUID  # ours, told to the provider
    source_id: UUID
    received_at: datetime
    request: Request
    is_again: bool = False  # another drain took it and did not acknowledge it


def shard_of(source_id: str, tenant: str, shards: int) -> int:
    """The shard that keeps the order of this source and tenant."""
    return zlib.crc32(f"{source_id}\n{tenant}".encode()) % shards


class Inbox:
    """The inbox over one client."""

    def __init__(self, client: valkey.Client, *, shards: int) -> None:
        self.client = client
        self.shards = shards
        self._append = valkey.Script(client, _APPEND)

    def append(
        self,
        *,
        message_id: UUID,
        source_id: str,
        tenant: str,
        request: Request,
        received_at: datetime,
        max_length: int,
        rate_per_second: int,
    ) -> Appended:
        """Append one message to its shard in one round trip; on return it is fsynced.

        Raises:
            QueueUnavailable: Valkey cannot take it; it may have been taken all the same (a late answer), and then the
                provider's retry is recognised as a repeat.
        """
        arrival = Arrival(message_id, source_id, tenant, request, received_at, max_length, rate_per_second)
        [appended] = self.append_all([arrival])
        if isinstance(appended, QueueUnavailable):
            raise appended
        return appended

    def append_all(self, arrivals: Sequence[Arrival]) -> list[Appended | QueueUnavailable]:
        """Append messages in their order in one round trip; on return each is fsynced, or is not known to be.

        What became of each, where `append` would raise its QueueUnavailable: one that is refused keeps no other out.
        """
        answers = self._append.run_all([self._call(arrival) for arrival in arrivals])
        return [
            answer
            if isinstance(answer, QueueUnavailable)
            else Appended(None if answer[0] == b"ok" else answer[0].decode(), bool(answer[1]))
            for answer in answers
        ]

    def _call(self, arrival: Arrival) -> valkey.Call:
        shard = shard_of(arrival.source_id, arrival.tenant, self.shards)
        request = arrival.request
        about = orjson.dumps([request.method, request.path, request.headers.pairs(), request.remote_addr])
        keys = [
            queues.inbox(shard),
            queues.drain_wake(shard),
            f"crossdock:rate:{arrival.source_id}",
            queues.COUNTERS,
            queues.large(shard),
        ]
        args = [
            arrival.max_length,
            arrival.rate_per_second,
            queues.WAKE_SECONDS,
            arrival.message_id.bytes,
            arrival.source_id,
            int(arrival.received_at.timestamp() * 1_000_000),
            about,
            request.body,
            LARGE_BYTES,
        ]
        return valkey.Call(keys, args)

    def take(self, shard: int, count: int, *, consumer: str = "drain") -> list[Entry]:
        """Up to `count` entries of a shard: those left pending by a dead drain, or else new ones, in order.

        No more than `FEW` while the shard holds large ones. Only the holder of the shard's lock calls this: all drains
        are one consumer, which is what makes a dead one's entries the next one's first.

        Raises:
            QueueUnavailable: Valkey cannot be read.
        """
        stream = queues.inbox(shard)
        try:
            while True:
                rows, is_large, is_again = self._next(shard, count, consumer)
                entries = [_entry(entry_id, fields, is_again=is_again) for entry_id, fields in rows if fields]
                gone = [entry_id for entry_id, fields in rows if not fields]
                if gone:  # taken, then deleted by hand: left pending it would come back for ever
                    self.client.xack(stream, queues.GROUP, *gone)
                if is_large and not rows:
                    self.client.eval(_NO_LONGER_LARGE, 2, stream, queues.large(shard))
                if entries or not rows:
                    return entries
        except redis.ResponseError as error:
            if "NOGROUP" not in str(error):
                raise QueueUnavailable(str(error)) from error
            self._make_group(stream)
            return self.take(shard, count, consumer=consumer)
        except redis.RedisError as error:
            raise QueueUnavailable(str(error)) from error

    def _next(self, shard: int, count: int, consumer: str) -> tuple[list[tuple[bytes, dict[bytes, bytes]]], bool, bool]:
        """What is to be taken next, whether the shard holds large entries, and whether these were taken before."""
        stream, few = queues.inbox(shard), min(FEW, count)
        with self.client.pipeline(transaction=False) as pipe:
            pipe.exists(queues.large(shard))
            pipe.xreadgroup(queues.GROUP, consumer, {stream: "0"}, count=few)
            is_large, answer = pipe.execute()
        rows, most = _rows(answer), few if is_large else count
        if len(rows) == few < most:
            rows = _rows(self.client.xreadgroup(queues.GROUP, consumer, {stream: "0"}, count=most))
        if rows:
            return rows, bool(is_large), True
        return _rows(self.client.xreadgroup(queues.GROUP, consumer, {stream: ">"}, count=most)), bool(is_large), False

    def acknowledge(self, shard: int, entry_ids: Sequence[bytes]) -> None:
        """Drop entries whose rows are committed. Losing this call only has them taken again and recognised.

        Raises:
            QueueUnavailable: Valkey cannot be reached.
        """
        if not entry_ids:
            return
        stream = queues.inbox(shard)
        try:
            with self.client.pipeline(transaction=True) as pipe:
                pipe.xack(stream, queues.GROUP, *entry_ids)
                pipe.xdel(stream, *entry_ids)
                pipe.execute()
        except redis.RedisError as error:
            raise QueueUnavailable(str(error)) from error

    def length(self, shard: int) -> int:
        """Messages of the shard that are not committed yet, pending ones included.

        Raises:
            QueueUnavailable: Valkey cannot be reached.
        """
        try:
            return int(self.client.xlen(queues.inbox(shard)))
        except redis.RedisError as error:
            raise QueueUnavailable(str(error)) from error

    def lower_wake(self, shard: int) -> None:
        """Lower the shard's flag before reading, so that a message that comes while reading raises it again.

        Raises:
            QueueUnavailable: Valkey cannot be reached.
        """
        try:
            self.client.delete(queues.drain_wake(shard))
        except redis.RedisError as error:
            raise QueueUnavailable(str(error)) from error

    def others_wait(self, shard: int) -> bool:
        """Whether a drain order for any other shard is on its way.

        Raises:
            QueueUnavailable: Valkey cannot be reached.
        """
        flags = [queues.drain_wake(other) for other in range(self.shards) if other != shard]
        try:
            return bool(flags) and bool(self.client.exists(*flags))
        except redis.RedisError as error:
            raise QueueUnavailable(str(error)) from error

    def _make_group(self, stream: str) -> None:
        try:
            self.client.xgroup_create(stream, queues.GROUP, id="0", mkstream=True)
        except redis.ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise QueueUnavailable(str(error)) from error


def _rows(answer: Any) -> list[tuple[bytes, dict[bytes, bytes]]]:
    """The entries in an answer to XREADGROUP of one stream, in either form that the client gives it."""
    if not answer:
        return []
    rows = answer[0][1] if isinstance(answer, list) else next(iter(answer.values()))
    return list(rows[0] if rows and isinstance(rows[0], list) else rows)


def _entry(entry_id: bytes, fields: dict[bytes, bytes], *, is_again: bool) -> Entry:
    method, path, pairs, remote_addr = orjson.loads(fields[b"r"])
    return Entry(
        entry_id=entry_id,
        message_id=UUID(bytes=fields[b"i"]),
        source_id=UUID(fields[b"s"].decode()),
        received_at=datetime.fromtimestamp(int(fields[b"t"]) / 1_000_000, UTC),
        request=Request(
            method=method,
            path=path,
            headers=Headers((name, value) for name, value in pairs),
            body=fields[b"b"],
            remote_addr=remote_addr,
        ),
        is_again=is_again,
    )
