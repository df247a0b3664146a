"""The stack under test: the embedded servers on a real disk with fsync on, and the processes of the Procfile.

Comes in: a folder. Left behind: nothing; the servers and processes are stopped and the folder is removed. A bench that
dies in the middle leaves its folder under var/bench; what it started ends with it.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psutil
from celery import Celery
from sqlalchemy import Engine, create_engine, text

from cli.embedded import Embedded
from cli.tether import launch
from shared import valkey
from shared.clock import utc_now
from shared.crypto import KeyRing, load_ring
from shared.db.engine import make_engine
from shared.db.migrate import migrate
from shared.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
STOP_SECONDS = 15.0
START_SECONDS = 30.0
GRACE_SECONDS = 4.0  # nobody waits for what hangs on purpose


def free_port() -> int:
    """A TCP port of the loopback that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def procfile() -> dict[str, str]:
    """The command of every process by name."""
    lines = (ROOT / "Procfile").read_text().splitlines()
    pairs = (line.partition(":") for line in lines if line.strip() and not line.startswith("#"))
    return {name.strip(): command.strip() for name, _, command in pairs}


@dataclass
class Stack:
    """Servers, a fresh database, and whichever processes are running."""

    folder: Path
    embedded: Embedded
    ingress_port: int = field(default_factory=free_port)
    console_port: int = field(default_factory=free_port)
    flower_port: int = field(default_factory=free_port)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    database_url: str = ""
    _databases: int = 0
    _engine: Engine | None = None

    @property
    def settings(self) -> Settings:
        """The settings that the processes run with."""
        return Settings(
            database_url=self.database_url,
            redis_url=self.embedded.redis_url,
            data_dir=self.folder,
            allow_http_destinations=True,
            allowed_destination_cidrs="127.0.0.0/8",
            ingress_port=self.ingress_port,
            console_port=self.console_port,
            flower_port=self.flower_port,
            log_level="WARNING",
            sns_stand_in=self.folder / "sns",
            shutdown_grace_seconds=GRACE_SECONDS,
        )

    @property
    def environment(self) -> dict[str, str]:
        """The same settings as an environment."""
        settings = self.settings
        names = (
            "ingress_port",
            "console_port",
            "flower_port",
            "allowed_destination_cidrs",
            "log_level",
            "sns_stand_in",
            "shutdown_grace_seconds",
        )
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CROSSDOCK_")}
        return (
            inherited
            | {f"CROSSDOCK_{name.upper()}": str(getattr(settings, name)) for name in names}
            | {
                "DATABASE_URL": settings.database_url,
                "REDIS_URL": settings.redis_url,
                "CROSSDOCK_DATA_DIR": str(self.folder),
                "CROSSDOCK_ALLOW_HTTP_DESTINATIONS": "true",
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
                "PYTHONPATH": str(ROOT),
            }
        )

    @property
    def client(self) -> valkey.Client:
        """A client of the stack's Valkey."""
        return valkey.connect(self.embedded.redis_url, timeout_seconds=30)

    @property
    def ring(self) -> KeyRing:
        """The keys that the processes seal and open with."""
        return load_ring(self.settings)

    def pids(self) -> dict[str, int]:
        """The root pid of everything that runs, servers included."""
        return {name: process.pid for name, process in self.processes.items()} | {
            name: self.embedded.pid(name) for name in ("postgres", "valkey")
        }

    @property
    def engine(self) -> Engine:
        """An engine on the present database; the same one until the next."""
        if self._engine is None:
            self._engine = make_engine(self.database_url)
        return self._engine

    def renew(self) -> None:
        """A new, migrated database and an empty Valkey: every stage starts from the same. Processes must be stopped."""
        assert not self.processes
        self.close()
        self._databases += 1
        parts = urlsplit(self.embedded.database_url)
        admin = create_engine(
            urlunsplit(parts._replace(scheme="postgresql+psycopg2", path="/postgres")), isolation_level="AUTOCOMMIT"
        )
        with admin.connect() as connection:
            if self._databases > 1:
                connection.execute(text(f"DROP DATABASE bench_{self._databases - 1} WITH (FORCE)"))
            connection.execute(text(f"CREATE DATABASE bench_{self._databases}"))
        admin.dispose()
        self.database_url = urlunsplit(parts._replace(path=f"/bench_{self._databases}"))
        migrate(self.engine, now=utc_now())
        with self.client as client:
            client.flushall()
            client.bgrewriteaof()

    def close(self) -> None:
        """Close the engine."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def start(self, *names: str) -> None:
        """Start processes of the Procfile; returns when the ingress answers and the workers have signed on."""
        commands = procfile()
        for name in names:
            self.run(name, commands[name])
        if "ingress" in names:
            wait_for_port(self.ingress_port)
        workers = sum(name.startswith("worker-") for name in self.processes)
        if any(name.startswith("worker-") for name in names):
            self.wait_for_workers(workers)

    def run(self, name: str, command: str, environment: Mapping[str, str] | None = None) -> None:
        """Start one command under `name`; its output goes to the folder."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = launch(
                command, folder=ROOT, environment=self.environment | dict(environment or {}), out=log
            )

    def stop(self, *names: str) -> None:
        """Stop the named processes, or all of them, cleanly if they can."""
        leaving = {name: self.processes.pop(name) for name in names or tuple(self.processes) if name in self.processes}
        for process in leaving.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        for name, process in leaving.items():
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                print(f"  {name} did not stop within {STOP_SECONDS:g} s and was killed")
                for member in psutil.Process(process.pid).children(recursive=True):
                    member.kill()
                process.kill()
                process.wait()

    def check(self) -> None:
        """Raise if a process has ended by itself; the text ends with its log."""
        for name, process in self.processes.items():
            if process.poll() is not None:
                log = (self.folder / f"{name}.log").read_text(errors="replace")
                raise RuntimeError(f"{name} ended with {process.returncode}\n{log[-3000:]}")

    def wait_for_workers(self, count: int) -> None:
        """Return when `count` Celery workers answer a ping."""
        deadline = time.monotonic() + START_SECONDS
        broker = Celery(broker=valkey.celery_url(self.embedded.redis_url), set_as_current=False)
        while len(broker.control.ping(timeout=0.3, limit=count)) < count:
            self.check()
            if time.monotonic() > deadline:
                raise TimeoutError(f"fewer than {count} workers started within {START_SECONDS:g} s")
        broker.close()


def wait_for_port(port: int) -> None:
    """Return when an HTTP server answers on the port, with whatever status."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            if time.monotonic() > deadline:
                raise TimeoutError(f"nothing answers on port {port}") from None
            time.sleep(0.05)
        else:
            return


@contextmanager
def running_stack(parent: Path) -> Iterator[Stack]:
    """A stack in a folder of its own below `parent`, which must be on a real disk for fsync to cost what it costs."""
    folder = parent / f"stack-{os.getpid()}"
    folder.mkdir(parents=True)
    embedded = Embedded(folder / "servers")
    stack = Stack(folder, embedded)
    try:
        embedded.start()
        yield stack
    finally:
        stack.stop()
        stack.close()
        embedded.stop()
        shutil.rmtree(folder, ignore_errors=True)
