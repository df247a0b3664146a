"""A real worker that is told to stop at the worst moment there is: its child holds an order it has not begun."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from celery import Celery

from cli import stack as cli_stack
from cli.tether import launch
from shared import orders, queues, valkey
from shared.settings import Settings
from tests.waiting import until

STOP_SECONDS = 20.0  # half of what it takes when the child waits to be heard


class Worker:
    """The Procfile's worker of the inbox."""

    def __init__(self, settings: Settings, log: Path) -> None:
        self.log = log
        with log.open("wb") as out:
            self.process = launch(
                cli_stack.commands()["worker-inbound"],
                folder=cli_stack.ROOT,
                environment=cli_stack.environment(settings),
                out=out,
            )
        self._broker = valkey.celery_url(settings.redis_url)

    def handed_over(self) -> int:
        """How many orders the main process has written to its child."""
        with Celery(broker=self._broker, set_as_current=False) as app:
            answers = app.control.inspect(timeout=2, limit=1).stats()
        [told] = answers.values()
        return int(told["pool"]["writes"]["total"])

    def is_ready(self) -> bool:
        return self.handed_over() == 0

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def worker(settings: Settings, tmp_path: Path) -> Iterator[Worker]:
    made = Worker(settings, tmp_path / "worker.log")
    yield made
    if made.process.poll() is None:
        made.kill()


@pytest.mark.pipeline
def test_a_worker_stops_soon_though_its_child_was_handed_an_order_that_the_main_process_has_forgotten(
    settings: Settings, queue: valkey.Client, worker: Worker
) -> None:
    until(worker.is_ready, what="the worker", told=worker.log.read_text)
    children = worker.children()
    for child in children:
        child.suspend()  # so that it cannot begin, nor say that it has
    assert orders.send(settings, queues.DRAIN, 3)
    until(lambda: worker.handed_over() == 1, what="the order to be handed over")
    with queue.pubsub() as events:
        events.psubscribe("*.celeryev/worker.offline")
        until(events.get_message, what="the subscription")
        worker.process.terminate()
        # Said after the main process has forgotten what was not begun, and before it waits for its child.
        until(events.get_message, what="the worker to say that it goes", told=worker.log.read_text)
    for child in children:
        child.resume()
    assert worker.process.wait(STOP_SECONDS) == 0
    assert queue.llen(queues.INBOUND_QUEUE) == 1, "the order is there for the next worker"
