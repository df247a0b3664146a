"""The door to Valkey: a client that never waits long, and Celery's spelling of the same address.

Nothing is left behind.
"""

import hashlib
import socket
import struct
import weakref
from collections import deque
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from shared.errors import QueueUnavailable

Client = redis.Redis  # bytes in, bytes out


def connect(redis_url: str, *, timeout_seconds: float = 2.0, max_connections: int = 64) -> Client:
    """A client whose every call ends within `timeout_seconds`, and that retries nothing by itself.

    A repeated append would be a second message.
    """
    return redis.Redis.from_url(
        redis_url,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
        max_connections=max_connections,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=0,
    )


def celery_url(redis_url: str) -> str:
    """The same address as Celery spells it: a unix socket is `redis+socket://` with `virtual_host`."""
    if not redis_url.startswith("unix://"):
        return redis_url
    path, _, query = redis_url.removeprefix("unix://").partition("?")
    database = next((part[3:] for part in query.split("&") if part.startswith("db=")), "0")
    return f"redis+socket://{path}?virtual_host={database}"


def broker_limits(seconds: float) -> dict[str, Any]:
    """Celery's settings by which it waits `seconds` for the broker at most, and does not try again by itself."""
    options = {"socket_timeout": seconds, "socket_connect_timeout": seconds, "retry_on_timeout": False}
    return {"broker_connection_retry": False, "broker_transport_options": options}


@lru_cache(maxsize=8)
def _kernel_timed(connection_class: type[Any]) -> type[Any]:
    """The same connection with its timeout kept by the kernel.

    Python's own costs a poll before each send and each receive, and each of them gives the interpreter's lock away:
    between many threads that is most of what a short call costs.
    """

    class KernelTimed(connection_class):  # type: ignore[misc]
        def _connect(self) -> socket.socket:
            sock: socket.socket = super()._connect()
            seconds = float(self.socket_timeout)
            limit = struct.pack("@ll", int(seconds), int(seconds % 1 * 1_000_000))  # a struct timeval
            sock.settimeout(None)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
            return sock

        @property
        def is_quiet(self) -> bool:
            """Whether it is open with nothing to read: what can be read before a call is the connection's end."""
            if self._sock is None:
                return False
            try:
                self._sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            except BlockingIOError:
                return True
            except ValueError:  # TLS cannot peek
                return not self.can_read(0)
            except OSError:
                pass
            return False

    return KernelTimed


class Call(NamedTuple):
    """What one call of a script is given."""

    keys: Sequence[str]
    args: Sequence[Any]


class Script:
    """A Lua script on connections of its own.

    It costs a third of the client's way, which counts for the one call that every webhook pays: one fixed command, no
    retry, no pool to lock and no poll.

    Safe to call from many threads: a connection serves one call at a time, and there are as many as calls at once.
    """

    def __init__(self, client: Client, text: str) -> None:
        self._pool = client.connection_pool
        self._text = text
        self._digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        self._idle: deque[Any] = deque()
        # The pool does not know of them, and would not close them. No `__del__`: of garbage that goes in a circle a
        # socket may be told of its end before the script is, and complains that nobody closed it.
        weakref.finalize(self, _close, self._idle)

    def run_all(self, calls: Sequence[Call]) -> list[Any]:
        """Call the script for each of `calls`, in their order and in one round trip, so with one fsync for all.

        Returns what each returned, or the QueueUnavailable that it met: what one call meets says nothing of another.
        """
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = _kernel_timed(self._pool.connection_class)(**self._pool.connection_kwargs)
        answers: list[Any] = []
        finished = False
        try:
            if not connection.is_quiet:  # never opened, or Valkey was restarted since
                connection.disconnect()
            self._call("EVALSHA", self._digest, connection, calls, answers)
            # A Valkey that never saw it has run nothing of these.
            unseen = [n for n, answer in enumerate(answers) if isinstance(answer, redis.exceptions.NoScriptError)]
            if unseen:
                again: list[Any] = []
                self._call("EVAL", self._text, connection, [calls[n] for n in unseen], again)
                for n, answer in zip(unseen, again, strict=True):
                    answers[n] = answer
            finished = True
        except (redis.RedisError, OSError) as error:
            answers += [error] * (len(calls) - len(answers))
        finally:
            # An answer that was not read would be taken for the next call's.
            if not finished:
                connection.disconnect()
            self._idle.append(connection)
        return [_unavailable(answer) if isinstance(answer, Exception) else answer for answer in answers]

    @staticmethod
    def _call(command: str, script: str, connection: Any, calls: Sequence[Call], answers: list[Any]) -> None:
        packed = connection.pack_commands((command, script, len(call.keys), *call.keys, *call.args) for call in calls)
        # The client makes pieces of 6 kB, and each would be a system call.
        connection.send_packed_command([b"".join(packed)] if len(calls) > 1 else packed, check_health=False)
        for _ in calls:
            try:
                answers.append(connection.read_response())
            except redis.ResponseError as error:  # of this call alone: the connection goes on
                answers.append(error)


def _close(idle: deque[Any]) -> None:
    for connection in idle:
        connection.disconnect()


def _unavailable(error: Exception) -> QueueUnavailable:
    unavailable = QueueUnavailable(str(error))
    unavailable.__cause__ = error
    return unavailable
