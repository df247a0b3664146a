"""Starts one of the two web processes: `python -m web.serve ingress` or `python -m web.serve console`.

Comes in: settings. Left behind: nothing. On SIGTERM or SIGINT the server stops accepting, finishes what it has
accepted within the grace and ends; when its parent process is killed outright, the workers notice and end too.
"""

import os
import resource
import signal
import sys
import threading
from importlib import import_module
from typing import Any

from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

from shared.settings import Settings, current

NAMES = ("ingress", "console")
BACKLOG = 2048
# Open connections a worker, idle ones that are kept alive included: what granian calls backpressure. Past it a new one
# waits for another to end, so it is far above what the proxies before us keep, and costs little: a body is read only
# when a thread is free for it.
MOST_CONNECTIONS = 2048
OTHER_FILES = 256
CONSOLE_THREADS = 16
PARENT_POLL_SECONDS = 1.0
HEADER_READ_MS = 10_000


def server(name: str, settings: Settings) -> Any:
    """The server of one web process, ready to serve."""
    ingress = name == "ingress"
    workers = settings.ingress_workers if ingress else 1
    threads = settings.ingress_threads if ingress else CONSOLE_THREADS
    return Granian(
        target=f"web.serve:{name}_app",
        factory=True,
        address=settings.ingress_host if ingress else settings.console_host,
        port=settings.ingress_port if ingress else settings.console_port,
        interface=Interfaces.RSGI if ingress else Interfaces.WSGI,
        workers=workers,
        blocking_threads=1 if ingress else threads,  # the ingress has a loop, and threads of its own
        backlog=BACKLOG,
        backpressure=max(threads, min(MOST_CONNECTIONS, _open_files() - OTHER_FILES)),
        http=HTTPModes.http1 if ingress else HTTPModes.auto,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_READ_MS),
        websockets=False,
        workers_kill_timeout=max(1, int(settings.shutdown_grace_seconds)),
        respawn_failed_workers=True,
        respawn_interval=0.5,
        log_access=False,
        log_level=LogLevels.error,
    )


def _open_files() -> int:
    """How many files a worker may have open: as many as the system lets us, whatever the shell began with."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_CONNECTIONS + OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return most


def ingress_app() -> Any:
    """The ingress in a worker process."""
    _end_with_parent()
    rsgi, ingress = import_module("web.rsgi"), import_module("web.ingress")
    return rsgi.Front(ingress.app, current())


def console_app() -> Any:
    """The console in its worker process."""
    _end_with_parent()
    return import_module("web.console").app


def _end_with_parent() -> None:
    """Have this worker end when the server that started it is gone: nobody else would ever stop it."""
    parent = os.getppid()

    def watch() -> None:
        pause = threading.Event()
        while os.getppid() == parent:
            pause.wait(PARENT_POLL_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def main(arguments: list[str]) -> int:
    """Serve until told to stop; the exit code."""
    if len(arguments) != 1 or arguments[0] not in NAMES:
        sys.stderr.write(f"usage: python -m web.serve {'|'.join(NAMES)}\n")
        return 2
    server(arguments[0], current()).serve()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
