"""Whether this worker is being stopped: one byte that Celery's main process and its pool child share.

Comes in: SIGTERM, to the main process alone or to the whole process group. Left behind: nothing. The pool gives its
child a handler that ends it in the middle of its transaction or its requests; here the child lives on until its task
is done, having seen the flag that the main process raised, or the supervisor loses its patience and kills both.
"""

import mmap
import signal

from billiard import pool
from celery import signals

# How often, a tenth of a second apart, a child that is done looks whether the main process has read its results. The
# pool's own 300 is half a minute, which a stop can use up: an order that was handed to the child but not yet begun when
# the main process stops is forgotten there (the broker gives it to the next worker), and nobody reads what the child
# says of it. The main process reads what is left once more when the child has gone, so no result is lost by leaving.
LOOKS_BEFORE_LEAVING = 10

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
    pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = LOOKS_BEFORE_LEAVING
