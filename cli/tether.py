"""The tether: what this process started ends when this process is gone, however it went.

Comes in: child processes, tied as they are started. Left behind: nothing. A small process of its own holds the other
end of a pipe that closes with this one, by whatever signal; then it asks what still runs to finish, and kills with
their sessions those that do not. If the tether is killed as well, what was tied runs on until the next start ends it.

The kernel could do it (PR_SET_PDEATHSIG), but on Linux only, and when the thread that started a child ends.
"""

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, AnyStr

import psutil

GRACE_SECONDS = 8.0  # from the signal to SIGKILL
POLL_SECONDS = 0.05
BIRTH_SECONDS = 1.0  # two births of one pid that are nearer than this are one

_lock = threading.Lock()
_other_end: subprocess.Popen[bytes] | None = None


@dataclass(frozen=True, slots=True)
class Tied:
    """A process by its pid and its birth, and the signal that asks it to finish."""

    pid: int
    created: float  # Unix seconds
    signum: int


def tied(child: subprocess.Popen[AnyStr], signum: int = signal.SIGTERM) -> subprocess.Popen[AnyStr]:
    """`child`, which from now on is sent `signum` when this process is gone."""
    global _other_end  # noqa: PLW0603  # one to a process, made when there is something to tie
    with _lock, contextlib.suppress(psutil.NoSuchProcess, BrokenPipeError):
        if _other_end is None:
            _other_end = _start()
        assert _other_end.stdin is not None  # noqa: S101  # for mypy: it was opened with a pipe
        created = psutil.Process(child.pid).create_time()
        _other_end.stdin.write(f"{child.pid} {created} {int(signum)}\n".encode())
    return child


def launch(
    command: str, *, folder: Path, environment: Mapping[str, str], stdin: int | None = None, out: IO[bytes] | int
) -> subprocess.Popen[bytes]:
    """A command line, running and tied, in a session of its own; both its outputs go to `out`.

    `exec` makes the program itself the leader of the session, rather than a shell that keeps signals from it.
    """
    return tied(
        subprocess.Popen(
            ["/bin/sh", "-c", f"exec {command}"],
            cwd=folder,
            env=dict(environment),
            stdin=stdin,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    )


def end(ties: Collection[Tied], *, seconds: float = GRACE_SECONDS) -> None:
    """Ask each that still runs to finish, and kill what is left of it and its session after `seconds`."""
    asked = []
    for tie in ties:
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(tie.pid)
            if _is_born(process, tie.created):
                process.send_signal(tie.signum)
                asked.append(process)
    deadline = time.monotonic() + seconds
    while any(map(_runs, asked)) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    for process in [*asked, *members({tie.pid: tie.created for tie in ties})]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def members(leaders: Mapping[int, float]) -> list[psutil.Process]:
    """The processes of the sessions that `leaders` (pid -> birth) began; a pid that is another's now began none."""
    sessions = set(leaders)
    for pid, created in leaders.items():
        with contextlib.suppress(psutil.NoSuchProcess):
            if not _is_born(psutil.Process(pid), created):
                sessions.discard(pid)
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getsid(process.pid) in sessions:
                found.append(process)
    return found


def _runs(process: psutil.Process) -> bool:
    """Whether it still does something: one that has ended stays a zombie for as long as its parent pleases."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _is_born(process: psutil.Process, created: float) -> bool:
    return abs(process.create_time() - created) <= BIRTH_SECONDS


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "cli.tether"],
        cwd=Path(__file__).resolve().parent.parent,
        stdin=subprocess.PIPE,
        # Else whoever reads this process's output to its end would wait for the tether's too.
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        bufsize=0,
        start_new_session=True,  # a Ctrl-C is not for it
    )


@atexit.register
def _untie() -> None:
    """Wait for the other end: who waited for this process finds nothing running."""
    if _other_end is not None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            _other_end.communicate(timeout=GRACE_SECONDS + 2)


if __name__ == "__main__":
    end([Tied(int(pid), float(created), int(signum)) for pid, created, signum in map(str.split, sys.stdin)])
