"""A call's deadline, and sockets that keep it: whatever the other side drips, the call ends in time.

Comes in: seconds, and a connected socket. Comes out: the same socket, on which nothing is waited for past the deadline.
A socket's own timeout starts anew with every byte, so that a reply of one byte a second would never end. Nothing is
left behind.
"""

import io
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

Value = TypeVar("Value")


class Deadline:
    """The moment at which a call is over."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def is_over(self) -> bool:
        """Whether it is reached."""
        return time.monotonic() >= self._end

    def left(self) -> float:
        """The seconds until then; more than 0.

        Raises:
            TimeoutError: it is reached.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"it took longer than {self.seconds:g} s")
        return left

    def wait_for(self, function: Callable[[], Value]) -> Value:
        """What `function` returns or raises, waited for until the deadline; past it the thread is left to itself.

        For what cannot be interrupted: a name server that does not answer holds its caller as long as it likes.

        Raises:
            TimeoutError: it was not done in time.
        """
        came: list[Value] = []
        failed: list[Exception] = []

        def run() -> None:
            try:
                came.append(function())
            except Exception as error:  # noqa: BLE001  # handed on to whoever waits
                failed.append(error)

        thread = threading.Thread(target=run, name="in-time", daemon=True)
        thread.start()
        thread.join(self.left())
        if failed:
            raise failed[0]
        if not came:
            raise TimeoutError(f"it took longer than {self.seconds:g} s")
        return came[0]


class TimedSocket:
    """A connected socket, plain or TLS, whose every send and read has until the deadline and no longer."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock = sock
        self._deadline = deadline

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def sendall(self, data: Any, *flags: int) -> None:
        """Send all of it; the socket's timeout is one for the whole, since Python 3.5."""
        self._sock.settimeout(self._deadline.left())
        self._sock.sendall(data, *flags)

    def makefile(self, *_: Any, **__: Any) -> io.BufferedReader:
        """What http.client reads the reply from."""
        return io.BufferedReader(_TimedReader(self._sock, self._deadline))


class _TimedReader(io.RawIOBase):
    """The bytes that a socket receives, each waited for until the deadline."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock = sock
        self._deadline = deadline
        # Python's own file keeps the socket open until it is closed, whoever else closes it.
        self._file = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._deadline.left())
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()
