"""The supervisor: runs the lines of the Procfile, starts again what dies, and leaves nothing running.

Comes in: commands by name and their environment. Left behind while it runs: a record of the processes' pids. Each
process leads a session of its own, so that its children can be ended with it. If the supervisor itself is killed, its
tether ends them; were that to be killed as well, the next `end_leftovers` on the same record does.
"""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

import orjson
import psutil
from honcho.colour import get_colours
from honcho.printer import Message

from cli.tether import launch, members

POLL_SECONDS = 0.05
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 15.0
SOUND_AFTER_SECONDS = 30.0  # a process that lived this long starts again without a longer pause


class Printer(Protocol):
    """What lines are written to, honcho's Printer above all."""

    width: int

    def write(self, message: Message) -> None:
        """Print one line."""


@dataclass
class _Process:
    name: str
    command: str
    colour: str
    child: subprocess.Popen[bytes] | None = None
    reader: threading.Thread | None = None
    started: float = 0.0  # monotonic
    pause: float = FIRST_PAUSE_SECONDS
    start_at: float = 0.0  # monotonic; when to start it
    restarts: int = 0


@dataclass
class Supervisor:
    """Runs `commands` (name -> one shell command, as in a Procfile) until `stop`."""

    commands: Mapping[str, str]
    environment: Mapping[str, str]
    folder: Path  # the working directory of every process
    record: Path  # where the pids stand while it runs
    printer: Printer
    grace_seconds: float = 8.5  # from SIGTERM to SIGKILL
    hurry: threading.Event = field(default_factory=threading.Event)  # set: `stop` waits no longer
    _processes: list[_Process] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _watch: threading.Thread | None = None

    def start(self) -> None:
        """Start every process and keep starting what dies; leftovers of a killed supervisor are ended first."""
        end_leftovers(self.record)
        self._stopping.clear()
        self.printer.width = max(len(name) for name in [*self.commands, "system"])
        colours = get_colours()
        self._processes = [_Process(name, command, next(colours)) for name, command in self.commands.items()]
        for process in self._processes:
            self._start(process)
        self._watch = threading.Thread(target=self._keep_alive, name="supervisor", daemon=True)
        self._watch.start()

    def stop(self) -> None:
        """Ask every process to finish, and kill with its children what has not after `grace_seconds`. Idempotent."""
        self._stopping.set()
        if self._watch is not None:
            self._watch.join()
            self._watch = None
        running = [process for process in self._processes if process.child is not None]
        # Only the leader is asked: it knows how to end its own children, and when.
        for process in running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(_pid(process), signal.SIGTERM)
        deadline = time.monotonic() + self.grace_seconds
        for process in running:
            assert process.child is not None  # noqa: S101  # for mypy: `running` holds only such
            while process.child.poll() is None and time.monotonic() < deadline and not self.hurry.is_set():
                time.sleep(POLL_SECONDS)
            if process.child.poll() is None:
                self._say(f"{process.name} has not ended in time and is killed")
            self._sweep(process)
        self.record.unlink(missing_ok=True)

    def restarts(self) -> dict[str, int]:
        """How often each process was started again."""
        return {process.name: process.restarts for process in self._processes}

    def pid(self, name: str) -> int | None:
        """The pid of a process that runs; `None` while it waits to be started again."""
        process = next(process for process in self._processes if process.name == name)
        return process.child.pid if process.child is not None else None

    def _start(self, process: _Process) -> None:
        process.started = time.monotonic()
        process.child = launch(
            process.command,
            folder=self.folder,
            environment=self.environment,
            stdin=subprocess.DEVNULL,
            out=subprocess.PIPE,
        )
        self._write_record()
        process.reader = threading.Thread(target=self._relay, args=(process.name, process.colour, process.child))
        process.reader.daemon = True
        process.reader.start()

    def _keep_alive(self) -> None:
        while not self._stopping.wait(POLL_SECONDS):
            now = time.monotonic()
            for process in self._processes:
                if process.child is None:
                    if now >= process.start_at:
                        process.restarts += 1
                        self._start(process)
                elif process.child.poll() is not None:
                    code = process.child.returncode
                    self._sweep(process)
                    if now - process.started >= SOUND_AFTER_SECONDS:
                        process.pause = FIRST_PAUSE_SECONDS
                    process.start_at = now + process.pause
                    self._say(f"{process.name} ended with {code}; it is started again in {process.pause:g} s")
                    process.pause = min(process.pause * 2, LONGEST_PAUSE_SECONDS)

    def _sweep(self, process: _Process) -> None:
        """Kill what is left of the process's group, and forget it."""
        assert process.child is not None  # noqa: S101  # for mypy: callers have looked
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.child.pid, signal.SIGKILL)
        process.child.wait()
        if process.reader is not None:
            process.reader.join(timeout=1.0)
        process.child = None

    def _relay(self, name: str, colour: str, child: subprocess.Popen[bytes]) -> None:
        assert child.stdout is not None  # noqa: S101  # for mypy: it was opened with a pipe
        with child.stdout as lines:
            for line in lines:
                self._write(name, line, colour)

    def _say(self, text: str) -> None:
        self._write("system", text.encode(), None)

    def _write(self, name: str, line: bytes, colour: str | None) -> None:
        # Local time, since these lines are for the eyes of whoever sits there.
        with self._lock:
            self.printer.write(Message("line", line, datetime.now().astimezone(), name, colour))

    def _write_record(self) -> None:
        entries = [
            {"name": process.name, "pid": process.child.pid, "created": psutil.Process(process.child.pid).create_time()}
            for process in self._processes
            if process.child is not None and psutil.pid_exists(process.child.pid)
        ]
        draft = self.record.with_suffix(".draft")
        draft.write_bytes(orjson.dumps(entries))
        draft.replace(self.record)


def _pid(process: _Process) -> int:
    assert process.child is not None  # noqa: S101  # for mypy: callers have looked
    return process.child.pid


def end_leftovers(record: Path) -> list[str]:
    """Kill what a supervisor that was killed left running; the names. A pid that was given to another is let be."""
    try:
        entries = orjson.loads(record.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return []
    names = []
    for entry in entries:
        left = members({entry["pid"]: entry["created"]})
        if left:
            names.append(entry["name"])
        for member in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        psutil.wait_procs(left, timeout=5)
    record.unlink(missing_ok=True)
    return names
