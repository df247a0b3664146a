"""A real worker process that is told to stop, as a supervisor does it and as a container does."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cli.tether import tied
from shared import orders
from shared.clock import utc_now
from shared.crypto import load_ring
from shared.settings import Settings
from tests.doubles.crm import Answer, Crm
from tests.workers.delivery.conftest import SECRET, Clock, Desk
from workers.context import make_context

ROOT = Path(__file__).parents[3]


@pytest.mark.pipeline
@pytest.mark.parametrize("target", ["process group", "main process"])
def test_k22_sigterm_drains_within_the_grace_and_leaves_no_lease(settings: Settings, engine, target: str):
    context = make_context(settings)
    desk = Desk(engine, load_ring(settings), context, Clock())
    with Crm(SECRET, clock=utc_now) as crm:
        subscription = desk.subscribe(crm.url(), timeout_ms=20_000)
        desk.owe(subscription, count=150)
        crm.answer(*[200] * 60, Answer(hang=True))
        hanging = threading.Event()
        crm.on_request = lambda _path: hanging.set() if len(crm.received) > 60 else None
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CROSSDOCK_")}
        environment |= {
            "DATABASE_URL": settings.database_url,
            "REDIS_URL": settings.redis_url,
            "CROSSDOCK_DATA_DIR": str(settings.data_dir),
            "CROSSDOCK_ALLOW_HTTP_DESTINATIONS": "true",
            "CROSSDOCK_ALLOWED_DESTINATION_CIDRS": "127.0.0.0/8",
            "CROSSDOCK_SHUTDOWN_GRACE_SECONDS": "2",
        }
        celery = Path(sys.executable).with_name("celery")
        command = [str(celery), "-A", "workers.app", "worker", "-Q", "delivery", "-c", "1", "-n", "delivery@test"]
        with (settings.data_dir / "worker.log").open("wb") as log:
            worker = tied(
                subprocess.Popen(
                    [*command, "--without-gossip", "--without-mingle"],
                    cwd=ROOT,
                    env=environment,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )
        try:
            assert orders.wake_dispatch(settings, context.client)
            assert hanging.wait(60), (settings.data_dir / "worker.log").read_text()
            (os.killpg if target == "process group" else os.kill)(worker.pid, signal.SIGTERM)
            assert worker.wait(30) == 0
        finally:
            if worker.poll() is None:
                os.killpg(worker.pid, signal.SIGKILL)
                worker.wait()

        assert desk.states(subscription) == {"delivered": 60, "pending": 90}
        assert sum(each.status == 200 for each in crm.received[:60]) == 60
    context.engine.dispose()
    context.client.close()
