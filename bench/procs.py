"""What the processes cost: CPU seconds and resident memory of whole process trees, by name.

Comes in: names and their root pids. Left behind: nothing. A process that has ended counts in its parent's
reaped-children time, so a tree's CPU never falls.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import psutil

SAMPLE_SECONDS = 0.25


def cpu_seconds(pid: int) -> float:
    """User and system seconds of a process, all its living descendants and all that they have reaped."""
    return sum(sum(process.cpu_times()[:4]) for process in _tree(pid))


def fine_cpu_seconds(pid: int) -> float:
    """CPU seconds of a process and its living descendants, to the microsecond where the system tells it (Linux).

    For spans of milliseconds, of which `cpu_seconds` sees ticks of ten; what ended in between is missing.
    """
    return sum(_fine(process) for process in _tree(pid))


def _fine(process: psutil.Process) -> float:
    try:
        nanoseconds = Path(f"/proc/{process.pid}/schedstat").read_text().split()[0]
    except (OSError, IndexError):
        return float(sum(process.cpu_times()[:2]))
    return int(nanoseconds) / 1e9


def rss_mb(pid: int) -> float:
    """The resident memory of the largest single process of the tree, in MB of 10^6 bytes."""
    return max((process.memory_info().rss for process in _tree(pid)), default=0) / 1e6


def _tree(pid: int) -> list[psutil.Process]:
    try:
        root = psutil.Process(pid)
        found = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
    return [process for process in found if _alive(process)]


def _alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@dataclass
class Meter:
    """CPU used between start and stop, and the memory peak in between, of each named tree."""

    pids: Mapping[str, int]
    cpu: dict[str, float] = field(default_factory=dict)
    peak_rss_mb: dict[str, float] = field(default_factory=dict)
    _before: dict[str, float] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._before = self._read()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self._sample()
        after = self._read()
        self.cpu = {name: max(0.0, after[name] - self._before[name]) for name in self.pids}

    def per_thousand(self, events: int) -> dict[str, float]:
        """CPU seconds per 1,000 events of each tree, and `total`."""
        shares = {name: round(seconds * 1000 / max(events, 1), 4) for name, seconds in self.cpu.items()}
        return shares | {"total": round(sum(shares.values()), 4)}

    def _read(self) -> dict[str, float]:
        return {name: self._guarded(cpu_seconds, pid) for name, pid in self.pids.items()}

    def _watch(self) -> None:
        while not self._stop.wait(SAMPLE_SECONDS):
            self._sample()

    def _sample(self) -> None:
        for name, pid in self.pids.items():
            seen = self._guarded(rss_mb, pid)
            self.peak_rss_mb[name] = round(max(seen, self.peak_rss_mb.get(name, 0.0)), 1)

    @staticmethod
    def _guarded(measure: object, pid: int) -> float:
        try:
            return float(measure(pid))  # type: ignore[operator]
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return 0.0
