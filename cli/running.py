"""Running the whole: servers, then schema, then processes; and all of it down again, in the other order.

Comes in: Settings and the Procfile. Left behind: the data folder. Whatever dies while it runs is started again; when
this process itself is killed, the rest ends with it.
"""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus

import requests

from cli import pulse, stack
from cli.embedded import Embedded
from cli.supervisor import Printer, Supervisor, end_leftovers
from shared.clock import utc_now
from shared.db.engine import make_engine
from shared.db.migrate import migrate
from shared.errors import CrossdockError
from shared.settings import Settings

READY_SECONDS = 60.0
POLL_SECONDS = 0.1
PING_SECONDS = 0.5


@contextmanager
def servers(settings: Settings) -> Iterator[Settings]:
    """The settings of running servers with today's schema: the embedded ones, watched, unless both URLs are set."""
    end_leftovers(settings.data_dir / stack.RECORD)
    if not stack.is_embedded(settings):
        _migrate(settings)
        yield settings
        return
    with Embedded(settings.data_dir) as embedded:
        embedded.watch()
        found = stack.connected(settings, embedded)
        _migrate(found)
        yield found


def _migrate(settings: Settings) -> None:
    engine = make_engine(settings.database_url)
    migrate(engine, now=utc_now())
    engine.dispose()


@contextmanager
def processes(
    settings: Settings, printer: Printer, *, commands: Mapping[str, str] | None = None
) -> Iterator[Supervisor]:
    """The Procfile's processes (or `commands`), ready to be used; ended when the block ends."""
    supervisor = Supervisor(
        commands=stack.commands() if commands is None else commands,
        environment=stack.environment(settings),
        folder=stack.ROOT,
        record=settings.data_dir / stack.RECORD,
        printer=printer,
        grace_seconds=settings.shutdown_grace_seconds + 0.5,
    )
    addresses = stack.addresses_of(settings)
    try:
        supervisor.start()
        stack.tell(settings.data_dir, addresses)
        yield supervisor
    finally:
        supervisor.stop()


def wait_until_ready(urls: list[str], *, stopped: threading.Event, seconds: float = READY_SECONDS) -> None:
    """Return when each of the health pages answers 200, or when `stopped` is set.

    Raises:
        CrossdockError: one did not within `seconds`.
    """
    deadline = time.monotonic() + seconds
    for url in urls:
        while not _answers(url):
            if time.monotonic() > deadline:
                raise CrossdockError(f"{url} does not answer; the processes' lines say why.")
            if stopped.wait(POLL_SECONDS):
                return


def wait_until_workers(settings: Settings, *, seconds: float = READY_SECONDS) -> None:
    """Return when every kind of worker answers. Nothing would be lost by not waiting; it would only look slow.

    Raises:
        CrossdockError: one did not within `seconds`.
    """
    deadline = time.monotonic() + seconds
    while missing := set(pulse.WORKERS) - pulse.workers(settings, seconds=PING_SECONDS):
        if time.monotonic() > deadline:
            raise CrossdockError(f"No worker answers for: {', '.join(sorted(missing))}.")


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).status_code == HTTPStatus.OK
    except requests.RequestException:
        return False
