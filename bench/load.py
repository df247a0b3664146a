"""The load generator: one process, one thread, one selector; requests are built and signed before the start.

Comes in: a plan as JSON on the first line of standard input, and `go` on the second. Left behind: a file of
(number, due, sent, answered, status) with times in monotonic ns. A process that dies in the middle leaves no record,
and the run fails for want of it.

Closed loop: every connection sends its next request when the last is answered, as long as fewer than `outstanding`
webhooks are between their 200 and the receiver; so nothing piles up and the rate found is one that can be held.
Open loop: requests are due at a constant rate whatever the server does, and latency counts from when one was due.
"""

import json
import mmap
import re
import selectors
import socket
import struct
import sys
import time
from array import array
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.receiver import PROGRESS_BYTES
from bench.samples import Target, request

READ_BYTES = 65536
MOST_CONNECTIONS = 512  # what an open loop may open when answers are late
FIELDS = 5  # number, due, sent, answered, status
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Load:
    """What to send. `rate` 0 is a closed loop. The numbers sent are `first` to `first + count - 1`."""

    port: int
    record: str
    targets: list[Target]
    count: int
    first: int = 0
    customers: int = 1_000_000_000
    connections: int = 64
    rate: float = 0.0
    seconds: float = 3600.0
    outstanding: int = 0  # 0: unbounded
    progress: str = ""  # the receiver's shared count
    received_before: int = 0  # what the count stood at
    cycle: bool = False  # send the same `count` requests again and again until time is up
    extra: dict[str, str] = field(default_factory=dict)
    requests: str = ""  # a file of whole requests, each after its length, to be sent instead of customers

    def dump(self) -> str:
        """The plan as a line of JSON."""
        return json.dumps(asdict(self))


def parse(line: str) -> Load:
    """The plan in a line of JSON."""
    raw = json.loads(line)
    raw["targets"] = [Target(**target) for target in raw["targets"]]
    return Load(**raw)


def stored(path: Path) -> Iterator[bytes]:
    """The requests of a file, each after its length in four bytes."""
    content, at = path.read_bytes(), 0
    while at < len(content):
        (length,) = struct.unpack_from("<I", content, at)
        yield content[at + 4 : at + 4 + length]
        at += 4 + length


@dataclass(slots=True, eq=False)
class _Line:
    """One connection and the request on it."""

    sock: socket.socket
    number: int = -1
    due: int = 0
    sent: int = 0
    answer: bytes = b""


class Generator:
    """Sends one load and keeps what became of each request."""

    def __init__(self, load: Load) -> None:
        self.load = load
        targets = load.targets
        numbers = range(load.first, load.first + load.count)
        self._requests = (
            list(stored(Path(load.requests)))
            if load.requests
            else [request(n, targets[n % len(targets)], customers=load.customers) for n in numbers]
        )
        self._records = array("q")
        self._accepted = 0
        self._sent = 0
        self._selector = selectors.DefaultSelector()
        self._idle: list[_Line] = []
        self._busy = 0
        self._progress: mmap.mmap | None = None
        if load.progress:
            with Path(load.progress).open("r+b") as file:
                self._progress = mmap.mmap(file.fileno(), PROGRESS_BYTES)

    def run(self) -> "array[int]":
        """Send until the count or the time is up, and wait for the last answers; the records."""
        load = self.load
        self._idle = [self._connect() for _ in range(load.connections)]
        start = time.monotonic_ns()
        end = start + int(load.seconds * 1e9)
        step = 1e9 / load.rate if load.rate else 0.0
        while True:
            now = time.monotonic_ns()
            open_for_more = now < end and (load.cycle or self._sent < load.count)
            if not open_for_more and not self._busy:
                break
            if now > end + 30_000_000_000:  # a server that answers no more must not hold up the run for ever
                break
            wait = 0.001
            if open_for_more:
                wait = self._send_due(now, start, step) if step else self._send_free(now)
            for key, _ in self._selector.select(wait):
                self._read(key.data)
        self._selector.close()
        return self._records

    def _send_due(self, now: int, start: int, step: float) -> float:
        while self._sent < self.load.count or self.load.cycle:
            due = start + int(self._sent * step)
            if due > now:
                return min((due - now) / 1e9, 0.001)
            if not self._idle:
                if self._busy >= MOST_CONNECTIONS:
                    return 0.001
                self._idle.append(self._connect())
            self._send(self._idle.pop(), due)
        return 0.001

    def _send_free(self, now: int) -> float:
        if not self._idle:
            return 0.05
        free = len(self._idle)
        if self.load.outstanding:
            free = min(free, self.load.outstanding - self._under_way())
        for _ in range(free):
            if self._sent >= self.load.count and not self.load.cycle:
                break
            self._send(self._idle.pop(), now)
        return 0.001 if self._idle else 0.05

    def _under_way(self) -> int:
        received = struct.unpack_from("q", self._progress, 0)[0] if self._progress else 0
        return self._accepted + self._busy - (int(received) - self.load.received_before)

    def _send(self, line: _Line, due: int) -> None:
        offset = self._sent % self.load.count
        line.number, line.due, line.answer = self.load.first + offset, due, b""
        content = self._requests[offset]
        self._sent += 1
        self._busy += 1
        line.sent = time.monotonic_ns()
        try:
            line.sock.sendall(content)
        except OSError:
            self._finish(line, 0, broken=True)

    def _read(self, line: _Line) -> None:
        try:
            data = line.sock.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._finish(line, 0, broken=True)
            return
        line.answer += data
        end = line.answer.find(b"\r\n\r\n")
        if end < 0:
            return
        length = _LENGTH.search(line.answer, 0, end + 2)
        if len(line.answer) >= end + 4 + (int(length[1]) if length else 0):
            self._finish(line, int(line.answer[9:12]))

    def _finish(self, line: _Line, status: int, *, broken: bool = False) -> None:
        if line.number >= 0:
            self._records.extend((line.number, line.due, line.sent, time.monotonic_ns(), status))
            self._busy -= 1
            self._accepted += status == 200
            line.number = -1
        if broken:
            if line in self._idle:
                self._idle.remove(line)
            self._selector.unregister(line.sock)
            line.sock.close()
            line = self._connect()
        if line not in self._idle:
            self._idle.append(line)

    def _connect(self) -> _Line:
        sock = socket.create_connection(("127.0.0.1", self.load.port), timeout=10)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
        line = _Line(sock)
        self._selector.register(sock, selectors.EVENT_READ, line)
        return line


def main() -> None:
    """Run the generator; see the module."""
    generator = Generator(parse(sys.stdin.readline()))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    records = generator.run()
    with Path(generator.load.record).open("wb") as file:
        records.tofile(file)


if __name__ == "__main__":
    main()
