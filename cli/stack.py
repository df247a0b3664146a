"""The stack of one data folder: who runs it, where it listens, and what environment its processes get.

Comes in: Settings. Left behind while `crossdock up` runs: a lock and `up.json`, by which the other commands find the
ports and the embedded servers. If `up` is killed the lock goes with it, and `up.json` is not believed any more.
"""

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson
from honcho.environ import parse_procfile

from cli import ports
from cli.embedded import Embedded
from shared.errors import CrossdockError, SettingsInvalid
from shared.settings import PREFIX, Settings, load

ROOT = Path(__file__).resolve().parent.parent
LOCK = "up.lock"
RECORD = "processes.json"
PORTS = "up.json"
# What servers of one's own are named by, and how such a name begins.
_CONNECTED = {
    "database_url": ("postgresql://", "postgres://", "postgresql+psycopg2://"),
    "redis_url": ("redis://", "rediss://", "unix://"),
}
# Celery warns root of pickle, which is refused here; ours is JSON.
_UNFOUNDED = "ignore:You're running the worker with superuser privileges"


class NotRunning(CrossdockError):
    """Raised when neither DATABASE_URL and REDIS_URL nor a running `crossdock up` say where the servers are."""


class AlreadyRunning(CrossdockError):
    """Raised when a second `crossdock up` is asked for on a data folder that one runs on."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a running stack listens."""

    pid: int
    ingress: str
    console: str
    flower: str


def is_embedded(settings: Settings) -> bool:
    """Whether the servers are our own: neither URL is set.

    Raises:
        CrossdockError: one is set and the other is not.
        SettingsInvalid: one is no URL of such a server.
    """
    given = [bool(getattr(settings, name)) for name in _CONNECTED]
    if any(given) and not all(given):
        raise CrossdockError("Set both DATABASE_URL and REDIS_URL, or neither to use the embedded servers.")
    strange = [
        f"{name.upper()} must begin with {' or '.join(schemes)}"
        for name, schemes in _CONNECTED.items()
        if any(given) and not getattr(settings, name).startswith(schemes)
    ]
    if strange:
        raise SettingsInvalid("\n".join(strange))
    return not any(given)


def locate(settings: Settings) -> Settings:
    """`settings` with both URLs filled in: as set, or those of the embedded servers that `crossdock up` runs.

    Raises:
        NotRunning: nothing is set and nothing runs.
    """
    if not is_embedded(settings):
        return settings
    if not (settings.data_dir / "postgres.password").exists() or not is_held(settings.data_dir):
        raise NotRunning(
            f"Nothing runs on {settings.data_dir}. Start it with `make up`, or set DATABASE_URL and REDIS_URL."
        )
    return connected(settings, Embedded(settings.data_dir))


def connected(settings: Settings, embedded: Embedded) -> Settings:
    """`settings` pointed to these embedded servers."""
    return load(
        **{
            **settings.model_dump(),
            "database_url": embedded.database_url,
            "redis_url": embedded.redis_url,
            "data_dir": settings.data_dir.resolve(),
        }
    )


def with_free_ports(settings: Settings) -> Settings:
    """`settings` with ports that are free; a port that was set, rather than left at its default, is kept or refused.

    Raises:
        SettingsInvalid: a port that was set is taken.
    """
    taken: set[int] = set()
    chosen: dict[str, Any] = {}
    for part in ("ingress", "console", "flower"):
        name = f"{part}_port"
        chosen[name] = ports.choose(
            getattr(settings, f"{part}_host"),
            getattr(settings, name),
            insist=name in settings.model_fields_set,
            taken=taken,
            name=name,
        )
    return load(**{**settings.model_dump(), **chosen})


def environment(settings: Settings) -> dict[str, str]:
    """The environment in which a process reads exactly `settings`, and finds this Python's commands first."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    spelt: dict[str, str] = {}
    for name in Settings.model_fields:
        value = getattr(settings, name)
        if hasattr(value, "get_secret_value"):
            value = value.get_secret_value()
        if value is None:
            continue  # there is no way to spell it: what is not set is None
        spelt[name.upper() if name in _CONNECTED else f"{PREFIX}{name.upper()}"] = str(value)
    here = str(Path(sys.executable).parent)
    return {
        **kept,
        **spelt,
        "PATH": f"{here}{os.pathsep}{kept.get('PATH', '')}",
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": kept.get("PYTHONWARNINGS", _UNFOUNDED),
    }


def commands() -> dict[str, str]:
    """The Procfile: name -> command."""
    return dict(parse_procfile((ROOT / "Procfile").read_text()).processes)


@contextmanager
def held(data_dir: Path) -> Iterator[None]:
    """Hold the data folder for one `crossdock up`.

    Raises:
        AlreadyRunning: another one holds it.
        SettingsInvalid: there can be no such folder, or it may not be written to.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        opened = (data_dir / LOCK).open("a")
    except OSError as error:
        raise SettingsInvalid(f"data_dir: {error.strerror}: {error.filename}") from error
    with opened as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            running = addresses(data_dir)
            where = f" (pid {running.pid}, ingress {running.ingress})" if running else ""
            raise AlreadyRunning(f"`crossdock up` already runs on {data_dir}{where}.") from error
        try:
            yield
        finally:
            (data_dir / PORTS).unlink(missing_ok=True)


def is_held(data_dir: Path) -> bool:
    """Whether a `crossdock up` or `demo` runs on the data folder now."""
    try:
        with (data_dir / LOCK).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def addresses_of(settings: Settings) -> Addresses:
    """Where a stack with these settings listens, this process being its `up`."""
    return Addresses(
        pid=os.getpid(),
        ingress=_url(settings.ingress_host, settings.ingress_port),
        console=_url(settings.console_host, settings.console_port),
        flower=_url(settings.flower_host, settings.flower_port),
    )


def tell(data_dir: Path, running: Addresses) -> None:
    """Write where the stack listens, for the other commands."""
    (data_dir / PORTS).write_bytes(orjson.dumps(asdict(running)))


def addresses(data_dir: Path) -> Addresses | None:
    """Where the stack of this data folder listens; `None` when none runs."""
    try:
        entry = orjson.loads((data_dir / PORTS).read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return None
    return Addresses(**entry)


def _url(host: str, port: int) -> str:
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{shown}:{port}"
