"""Crossdock as it runs: servers of its own, durable, and the processes of the Procfile, each of which can be killed.

A story kills what it likes; `heal` brings back what a supervisor would. Logs stay in the folder, and their ends are
told when a process does not come up.
"""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import requests
from celery import Celery
from sqlalchemy import Engine, text

from cli import ports
from cli import stack as cli_stack
from cli.embedded import Embedded
from cli.tether import launch
from shared import directory, queues, valkey
from shared.clock import utc_now
from shared.crypto import KeyRing, load_ring
from shared.db.engine import make_engine
from shared.db.migrate import migrate
from shared.settings import Settings
from tests.pipeline import ahead
from tests.waiting import until

PROCESSES = ("ingress", "worker-inbound", "worker-delivery", "worker-sync", "beat")
START_SECONDS = 60.0
END_SECONDS = 8.0
# Two runs at once must not choose the same one: granian shares a port with whoever else listens there.
FIRST_PORT = 20_000 + os.getpid() % 10_000

# Everything is as in production but quicker: what lasts minutes there lasts seconds here.
SETTINGS: Mapping[str, Any] = {
    "ingress_workers": 1,
    "inbox_batch": 50,  # smaller, so that a kill meets a shard half drained
    "request_timeout_seconds": 2,
    "dispatch_run_seconds": 2,
    "soft_time_limit_seconds": 5,
    "lease_seconds": 6,
    "visibility_timeout_seconds": 10,
    "circuit_pause_seconds": 1,
    "circuit_pause_max_seconds": 2,
    "shutdown_grace_seconds": 3,
    "allow_http_destinations": True,
    "allowed_destination_cidrs": "127.0.0.0/8",
    "log_json": True,
}

WORKERS = tuple(name for name in PROCESSES if name.startswith("worker-"))
PING_SECONDS = 0.5


class Mortal(Embedded):
    """Embedded servers whose PostgreSQL, once killed, stays down for as long as a story wants."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.may_return = threading.Event()
        self.may_return.set()

    def start_postgres(self) -> None:
        """Start PostgreSQL, when it may."""
        self.may_return.wait()
        super().start_postgres()


@dataclass
class Stack:
    """The whole of Crossdock in one folder."""

    folder: Path
    servers: Mortal = field(init=False)
    settings: Settings = field(init=False)
    engine: Engine = field(init=False)
    client: valkey.Client = field(init=False)
    ring: KeyRing = field(init=False)
    environment: dict[str, str] = field(init=False)
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _marks: dict[str, int] = field(default_factory=dict)  # where each log began with the present process
    _started: dict[str, float] = field(default_factory=dict)
    _ends: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def start(self) -> None:
        """Start servers and processes; return when every one of them does its work."""
        self.servers = Mortal(self.folder / "data", durable=True)
        self._ends.callback(self.servers.stop)
        self.servers.start()
        self.servers.watch()
        chosen = {
            "ingress_port": ports.choose("127.0.0.1", FIRST_PORT, insist=False, taken=set(), name="ingress_port"),
            "database_url": self.servers.database_url,
            "redis_url": self.servers.redis_url,
            "data_dir": self.servers.data_dir,
            "sns_stand_in": self.folder / "sns",
        }
        self.settings = Settings(**{**SETTINGS, **chosen})
        self.environment = cli_stack.environment(self.settings)
        self.engine = make_engine(self.settings.database_url)
        self._ends.callback(self.engine.dispose)
        self.client = valkey.connect(self.settings.redis_url)
        self._ends.callback(self.client.close)
        self.ring = load_ring(self.settings)
        migrate(self.engine, now=utc_now())
        with self.engine.connect() as connection:
            directory.publish(connection, self.client)
        self._ends.callback(self._end_processes)
        self.heal()

    def stop(self) -> None:
        """End everything this stack started, in the other order."""
        self._ends.close()

    def _end_processes(self) -> None:
        for process in self._running.values():
            _signal_group(process, signal.SIGTERM)
        for process in self._running.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(END_SECONDS)
            _signal_group(process, signal.SIGKILL)
            process.wait()

    # Processes

    def heal(self, *, thoroughly: bool = False) -> None:
        """Start whatever does not run and return when all is ready: what a supervisor does after a crash.

        Thoroughly after a broker was killed: a worker whose acknowledgement it cut off ends of it, a while later.
        """
        self.servers.wait()
        missing = [name for name in PROCESSES if not self.is_running(name)]
        for name in missing:
            self.spawn(name)
        for name in PROCESSES if thoroughly else missing:
            self.wait_ready(name, revive=thoroughly)

    def is_running(self, name: str) -> bool:
        """Whether the process that the Procfile calls `name` lives."""
        return name in self._running and self._running[name].poll() is None

    def spawn(self, name: str, *, ahead_seconds: int = 0) -> None:
        """Start one process of the Procfile by its very line, with a clock that is so far ahead."""
        log = self.log(name)
        self._started[name] = time.time()
        self._marks[name] = log.stat().st_size if log.exists() else 0
        with log.open("ab") as out:
            self._running[name] = launch(
                cli_stack.commands()[name],
                folder=cli_stack.ROOT,
                environment=self.environment | (ahead.environment(ahead_seconds) if ahead_seconds else {}),
                out=out,
            )

    def wait_ready(self, name: str, *, revive: bool = False) -> None:
        """Return when the process does its work; `revive`: started anew should it end meanwhile."""
        claim = self._ingress_answers if name == "ingress" else self._beats if name == "beat" else None

        def works() -> bool:
            if revive and not self.is_running(name):
                self.spawn(name)
            return claim() if claim else self._pongs(name)

        try:
            until(works, START_SECONDS, what=f"{name} to be ready")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.written(name)[-3000:]}") from None

    def restart(self, name: str) -> None:
        """What a supervisor does after a crash of `name`."""
        self.spawn(name)
        self.wait_ready(name)

    @contextlib.contextmanager
    def skewed(self, name: str, seconds: int) -> Iterator[None]:
        """While open, the process `name` runs with a clock that is `seconds` ahead, and no other of its kind does."""
        self.kill(name)
        self.spawn(name, ahead_seconds=seconds)
        try:
            self.wait_ready(name)
            yield
        finally:
            self.kill(name)
            self.restart(name)

    def kill(self, name: str) -> None:
        """`kill -9` of the process and of all its children at once: nothing of it gets to tidy up."""
        _signal_group(self._running[name], signal.SIGKILL)
        self._running[name].wait()

    def kill_child(self, name: str) -> bool:
        """`kill -9` of the child that does a worker's work, as the kernel's OOM killer does; whether there was one."""
        children = self.children(name)
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        return bool(children)

    def children(self, name: str) -> list[psutil.Process]:
        """The processes that a process of the Procfile forked."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self._running[name].pid).children(recursive=True)
        return []

    def terminate(self, name: str, seconds: float) -> int:
        """SIGTERM to the whole group, as the supervisor sends it; the exit code, reached within `seconds`."""
        _signal_group(self._running[name], signal.SIGTERM)
        return self._running[name].wait(seconds)

    def orphans(self, name: str) -> list[str]:
        """What a process that ended left running of its own session."""
        session = self._running[name].pid
        left = []
        for process in psutil.process_iter():
            with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
                if os.getsid(process.pid) == session:
                    left.append(process.name())
        return left

    def log(self, name: str) -> Path:
        """Where a process writes."""
        return self.folder / f"{name}.log"

    def written(self, name: str) -> str:
        """What a process wrote since it was last started."""
        return self.log(name).read_bytes()[self._marks[name] :].decode(errors="replace")

    # Servers

    def kill_server(self, name: str) -> None:
        """`kill -9` of `postgres` (its postmaster) or `valkey`; the watch brings it back."""
        os.kill(self.servers.pid(name), signal.SIGKILL)

    @contextlib.contextmanager
    def frozen_valkey(self) -> Iterator[None]:
        """Valkey takes connections and commands while open, and answers none until it ends."""
        pid = self.servers.pid("valkey")
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    @contextlib.contextmanager
    def without_postgres(self) -> Iterator[None]:
        """Kill PostgreSQL and keep it down while open."""
        self.servers.may_return.clear()
        self.kill_server("postgres")
        try:
            yield
        finally:
            self.servers.may_return.set()

    def has_postgres(self) -> bool:
        """Whether PostgreSQL answers."""
        return self.servers._postgres_answers()

    @property
    def ingress_url(self) -> str:
        """Where providers post to."""
        return f"http://127.0.0.1:{self.settings.ingress_port}"

    def _ingress_answers(self) -> bool:
        return requests.get(f"{self.ingress_url}/healthz", timeout=2).ok

    def _pongs(self, name: str) -> bool:
        """Whether a worker answers Celery's ping, which it does once it takes orders."""
        with Celery(broker=valkey.celery_url(self.settings.redis_url), set_as_current=False) as app:
            answers = app.control.ping(timeout=PING_SECONDS)
        return f"{name.removeprefix('worker-')}@" in str(answers)

    def _beats(self) -> bool:
        """Whether a tick came since beat was started."""
        return float(self.client.get(queues.BEAT) or 0) >= int(self._started["beat"])

    def inbox_length(self) -> int:
        """How many accepted messages are not acknowledged yet."""
        return sum(int(self.client.xlen(queues.inbox(shard))) for shard in range(self.settings.inbox_shards))

    # The database

    def rows(self, statement: str, **values: object) -> list[Any]:
        """The rows of a query, in a transaction of its own."""
        with self.engine.begin() as connection:
            return list(connection.execute(text(statement), values))

    def one(self, statement: str, **values: object) -> Any:
        """The one value of a query."""
        return self.rows(statement, **values)[0][0]

    @contextlib.contextmanager
    def locked(self, table: str) -> Iterator[Callable[[], bool]]:
        """While open, whoever writes to `table` stands still in the middle of its transaction.

        Gives a claim that is true once somebody does.
        """
        with self.engine.connect() as connection:
            connection.execute(text(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE"))
            yield lambda: self._waiters(table) > 0
            connection.rollback()

    def is_draining(self) -> bool:
        """Whether a drain is in the middle of a transaction right now."""
        return bool(
            self.rows(
                "SELECT 1 FROM pg_locks JOIN pg_stat_activity USING (pid)"
                " WHERE locktype = 'advisory' AND granted AND backend_xid IS NOT NULL"
            )
        )

    def _waiters(self, table: str) -> int:
        return int(
            self.one(
                "SELECT count(*) FROM pg_locks JOIN pg_class ON pg_class.oid = relation"
                " WHERE NOT granted AND relname LIKE :table || '%'",
                table=table,
            )
        )


def _signal_group(process: subprocess.Popen[bytes], signum: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signum)
