"""Whether this worker is being stopped: one byte that Celery's main process and its pool child share.

Comes in: SIGTERM, to the main process alone or to the whole process group. Left behind: nothing. Celery gives its pool
child SIGTERM's default, which would end it in the middle of its requests; here the child notes the signal and lives on
until its task has drained, or the main process tells it to go.
"""

import mmap
import signal
from types import FrameType

from celery import signals

# Made at import, so before the fork. A byte needs no lock, which a signal handler could find taken.
_flag = mmap.mmap(-1, 1)


def stop(*_: object, **__: object) -> None:
    """Ask the tasks of this worker to finish soon. Idempotent."""
    _flag[0] = 1


def is_stopping() -> bool:
    """Whether this worker is being stopped."""
    return _flag[0] == 1


def _on_sigterm(_number: int, _frame: FrameType | None) -> None:
    stop()


@signals.worker_shutting_down.connect(weak=False)  # type: ignore[untyped-decorator]
def _in_main_process(**_: object) -> None:
    stop()


@signals.worker_process_init.connect(weak=False)  # type: ignore[untyped-decorator]
def _in_pool_child(**_: object) -> None:
    signal.signal(signal.SIGTERM, _on_sigterm)
