"""Whether this worker is being stopped: one byte that Celery's main process and its pool child share.

Comes in: SIGTERM, to the main process alone or to the whole process group. Left behind: nothing. The pool gives its
child a handler that ends it in the middle of its transaction or its requests; here the child lives on until its task
is done, having seen the flag that the main process raised, or the supervisor loses its patience and kills both.
"""

import mmap
import signal

from celery import signals

# Made at import, so before the fork. A byte needs no lock, which a signal handler could find taken.
_flag = mmap.mmap(-1, 1)


def stop(*_: object, **__: object) -> None:
    """Ask the tasks of this worker to finish soon. Idempotent."""
    _flag[0] = 1


def is_stopping() -> bool:
    """Whether this worker is being stopped."""
    return _flag[0] == 1


@signals.worker_shutting_down.connect(weak=False)  # type: ignore[untyped-decorator]
def _in_main_process(**_: object) -> None:
    stop()


@signals.worker_process_init.connect(weak=False)  # type: ignore[untyped-decorator]
def _in_pool_child(**_: object) -> None:
    # Ignored rather than handled: the pool puts its own handler in the place of every other, but not of this.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
