"""The parent's handles on the load generator and the receiver, which run as processes of their own.

Left behind: nothing; records are read and their files removed with the stack's folder. When the bench dies the two end
with it.
"""

import json
import signal
import struct
import subprocess
import sys
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.load import FIELDS, Load
from bench.receiver import PROGRESS_BYTES
from bench.stack import ROOT, free_port
from cli.tether import tied


@dataclass(frozen=True, slots=True)
class Sent:
    """One request of a load; times in monotonic ns."""

    number: int
    due: int
    sent: int
    answered: int
    status: int


@dataclass
class Receiver:
    """A running receiver. Its counts and arrivals are there once it has ended."""

    folder: Path
    port: int = field(default_factory=free_port)
    arrivals: dict[int, int] = field(default_factory=dict)  # number -> first arrival in monotonic ns
    instants: list[int] = field(default_factory=list)  # of every different (event) delivery
    unique: int = 0
    duplicates: int = 0
    turned_away: int = 0
    pid: int = 0

    @property
    def progress(self) -> Path:
        """The file whose first bytes are the shared count."""
        return self.folder / "receiver.progress"

    @property
    def count(self) -> int:
        """Different events received so far."""
        return int(struct.unpack("q", self.progress.read_bytes()[:PROGRESS_BYTES])[0])

    def url(self, name: object) -> str:
        """A URL that answers 200."""
        return f"http://127.0.0.1:{self.port}/ok/{name}"

    def dead_url(self, manner: str, name: object) -> str:
        """A URL that does not: `manner` is `500` or `hang`."""
        return f"http://127.0.0.1:{self.port}/dead/{manner}/{name}"


@contextmanager
def receiving(folder: Path, port: int) -> Iterator[Receiver]:
    """A receiver for the length of the block."""
    receiver = Receiver(folder, port)
    receiver.progress.write_bytes(bytes(PROGRESS_BYTES))
    record = folder / "receiver.record"
    process = _spawn("bench.receiver", "--port", port, "--record", record, "--progress", receiver.progress)
    assert process.stdout is not None
    try:
        _expect_ready(process)
        receiver.pid = process.pid
        yield receiver
        process.send_signal(signal.SIGTERM)
        counts = json.loads(process.stdout.read())
        process.wait(10)
        receiver.unique, receiver.duplicates = counts["unique"], counts["duplicates"]
        receiver.turned_away = counts["turned_away"]
        values = _read(record)
        for number, at in zip(values[0::2], values[1::2], strict=True):
            receiver.arrivals.setdefault(number, at)
            receiver.instants.append(at)
    finally:
        _end(process)


def send(folder: Path, load: Load, *, started: Callable[[], object] | None = None) -> list[Sent]:
    """Send a load to its end; every request's record. `started` is called when the first is about to be sent."""
    load = replace(load, record=str(folder / "load.record"))
    process = _spawn("bench.load")
    assert process.stdin is not None
    try:
        process.stdin.write(load.dump() + "\n")
        process.stdin.flush()
        _expect_ready(process)
        if started is not None:
            started()
        process.stdin.write("go\n")
        process.stdin.flush()
        if process.wait(load.seconds + 60) != 0:
            raise RuntimeError("the load generator failed")
    finally:
        _end(process)
    values = _read(Path(load.record))
    return [Sent(*values[at : at + FIELDS]) for at in range(0, len(values), FIELDS)]


def _spawn(module: str, *arguments: object) -> subprocess.Popen[str]:
    return tied(
        subprocess.Popen(
            [sys.executable, "-m", module, *map(str, arguments)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
    )


def _expect_ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    if process.stdout.readline() != "ready\n":
        raise RuntimeError("a process of the rig did not start")


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def _read(path: Path) -> "array[int]":
    values = array("q")
    values.frombytes(path.read_bytes())
    path.unlink()
    return values
