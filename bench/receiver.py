"""The CRM at the far end: a lean server that answers 200, counts and writes down what came when.

Comes in: the deliveries. Left behind: on SIGTERM, a file of (number, arrival in ns) pairs and a JSON line of counts on
standard output; while running, the count of different deliveries in a few shared bytes, which the load generator reads
to bound what is under way. A process that dies in the middle leaves no record, and the run fails for want of it.

    /ok/<anything>    200          /dead/500/<anything>   500          /dead/hang/<anything>   never an answer
"""

import argparse
import asyncio
import json
import mmap
import re
import signal
import struct
import sys
import time
from array import array
from pathlib import Path

from bench.samples import NUMBER

PROGRESS_BYTES = 8
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_EVENT = re.compile(rb"\r\nwebhook-id: *([^\r]+)", re.IGNORECASE)
_OK = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n{"received":true}'
_SORRY = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"
_HEAD_END = b"\r\n\r\n"


class Ledger:
    """What arrived, and the shared count."""

    def __init__(self, progress: Path) -> None:
        self.arrivals = array("q")
        self.seen: set[bytes] = set()
        self.duplicates = 0
        self.turned_away = 0
        with progress.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), PROGRESS_BYTES)

    def enter(self, key: bytes, number: int) -> None:
        """Write down one delivery that is about to be answered 200; `key` is its subscription and its event."""
        if key in self.seen:
            self.duplicates += 1
            return
        self.seen.add(key)
        self.arrivals.extend((number, time.monotonic_ns()))
        struct.pack_into("q", self._shared, 0, len(self.seen))


class Connection(asyncio.Protocol):
    """One keep-alive connection; requests come whole or in pieces, one after the other."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._pending = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every whole request in hand."""
        self._pending += data
        while (end := self._pending.find(_HEAD_END)) >= 0:
            head = self._pending[:end]
            length = _LENGTH.search(head)
            stop = end + len(_HEAD_END) + (int(length[1]) if length else 0)
            if len(self._pending) < stop:
                return
            self._answer(head, self._pending[end:stop])
            self._pending = self._pending[stop:]

    def _answer(self, head: bytes, body: bytes) -> None:
        path = head[: head.find(b" HTTP/")]
        if b"/dead/" in path:
            self._ledger.turned_away += 1
            if b"/dead/500/" in path:
                self._transport.write(_SORRY)
            return
        found, event = NUMBER.search(body), _EVENT.search(head)
        number = found[1] if found else b"-1"
        self._ledger.enter(path + b" " + (event[1] if event else number), int(number))
        self._transport.write(_OK)


async def serve(port: int, ledger: Ledger) -> None:
    """Serve until SIGTERM."""
    loop = asyncio.get_running_loop()
    done = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, done.set)
    server = await loop.create_server(lambda: Connection(ledger), "127.0.0.1", port, backlog=1024)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await done.wait()
    server.close()


def main() -> None:
    """Run the receiver; see the module."""
    parser = argparse.ArgumentParser(description="The counting CRM of the benchmark.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--record", type=Path, required=True)
    parser.add_argument("--progress", type=Path, required=True)
    arguments = parser.parse_args()
    ledger = Ledger(arguments.progress)
    asyncio.run(serve(arguments.port, ledger))
    with arguments.record.open("wb") as file:
        ledger.arrivals.tofile(file)
    sys.stdout.write(
        json.dumps({"unique": len(ledger.seen), "duplicates": ledger.duplicates, "turned_away": ledger.turned_away})
    )


if __name__ == "__main__":
    main()
