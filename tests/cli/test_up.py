"""`crossdock up` and `crossdock demo`, as a person runs them: whole stories with every process."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest
import requests

from cli.tether import tied
from tests.waiting import until

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(240)]

PROGRAM = [sys.executable, "-W", "ignore", "-c", "from cli.main import main; main()"]
ROOT = Path(__file__).parents[2]
STOP_SECONDS = 10.0


class Up:
    """One `crossdock up --json` on a folder of its own."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CROSSDOCK_")}
        self.environment = {**kept, "CROSSDOCK_DATA_DIR": str(data_dir)}
        self.running: subprocess.Popen[bytes] | None = None
        self.log = data_dir.parent / "up.log"

    def start(self) -> dict[str, Any]:
        """What it tells when it is ready."""
        with self.log.open("ab") as log:
            self.running = tied(
                subprocess.Popen(
                    [*PROGRAM, "up", "--json"], env=self.environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=log
                )
            )
        assert self.running.stdout is not None
        line = self.running.stdout.readline()
        assert line, self.log.read_text(errors="replace")[-3000:]
        told: dict[str, Any] = orjson.loads(line)
        return told

    def kill(self) -> None:
        """Kill -9 of `up` itself, and of nothing else."""
        if self.running is not None and self.running.stdout is not None:
            self.running.kill()
            self.running.wait()
            self.running.stdout.close()

    def crossdock(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PROGRAM, *words], env=self.environment, cwd=ROOT, capture_output=True, text=True, check=False
        )

    def told(self, *words: str) -> Any:
        ran = self.crossdock(*words, "--json")
        assert ran.returncode == 0, ran.stderr
        return orjson.loads(ran.stdout)

    def pids(self) -> dict[str, int]:
        entries = orjson.loads((self.data_dir / "processes.json").read_bytes())
        return {entry["name"]: entry["pid"] for entry in entries}

    def mine(self) -> list[psutil.Process]:
        """Every process of this stack but `up` itself: all of them have the data folder in their environment."""
        found = []
        for process in psutil.process_iter():
            try:
                environment = process.environ()
                words = " ".join(process.cmdline())
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
            named = environment.get("CROSSDOCK_DATA_DIR") == str(self.data_dir) or str(self.data_dir) in words
            if named and (self.running is None or process.pid != self.running.pid):
                found.append(process)
        return found

    def stop(self) -> float:
        """Ctrl-C; how many seconds it took."""
        assert self.running is not None
        started = time.monotonic()
        self.running.send_signal(signal.SIGINT)
        self.running.wait(STOP_SECONDS * 3)
        return time.monotonic() - started


@pytest.fixture
def up(folder: Path) -> Iterator[Up]:
    made = Up(folder / "data")
    yield made
    made.kill()
    for process in made.mine():
        process.kill()


def test_a_first_start_sends_a_first_webhook_and_ctrl_c_leaves_nothing_running(up: Up) -> None:
    if not shutil.which("curl") or not shutil.which("openssl"):
        pytest.skip("curl or openssl is not here")
    told = up.start()
    assert told["apiKey"].startswith("cdk_")
    assert len(told["firstWebhook"]) == 3
    for line in told["firstWebhook"]:
        ran = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, (line, ran.stderr)
        assert '"error"' not in ran.stdout, ran.stdout
    until(lambda: bool(up.told("deliveries", "list")))
    assert [row["state"] for row in up.told("messages", "list")] == ["processed"]
    assert [row["path"] for row in up.told("sources", "list")] == ["first"]  # and the shop's own path is still free

    second = up.crossdock("up")
    assert second.returncode == 1
    assert "already runs" in second.stderr

    killed = up.pids()["worker-sync"]
    os.kill(killed, signal.SIGKILL)
    until(lambda: up.pids().get("worker-sync", killed) != killed)
    until(lambda: up.crossdock("doctor").returncode == 0)
    simulated = up.told("simulate", "shopify", "customers/create", "--count", "5", "--first", "100")
    assert simulated["statuses"] == {"200": 5}

    assert up.stop() < STOP_SECONDS
    assert up.mine() == []
    assert "Start it with `make up`" in up.crossdock("accounts", "list").stderr


def test_an_up_that_was_killed_is_cleaned_up_after_by_the_next_which_finds_its_data(up: Up) -> None:
    first = up.start()
    up.told("accounts", "create", "acme")
    up.kill()
    left = {process.pid for process in up.mine()}
    assert left
    second = up.start()
    assert second["apiKey"] is None, "the key is shown on the first start only"
    assert left.isdisjoint({process.pid for process in up.mine()})
    assert {row["slug"] for row in up.told("accounts", "list")} == {"default", "acme"}
    key = {"Authorization": f"Bearer {first['apiKey']}"}
    assert requests.get(f"{second['addresses']['console']}/api/admin/accounts", headers=key, timeout=10).ok
    assert up.stop() < STOP_SECONDS
    assert up.mine() == []


def test_the_demo_adds_up_and_leaves_nothing(folder: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(folder)}
    ran = subprocess.run(
        [*PROGRAM, "demo", "--count", "150", "--json"],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    told = orjson.loads(ran.stdout)
    assert told["holds"]
    figures = told["figures"]
    assert figures["sent"] == 150
    assert figures["accepted"] + figures["refused"] == 150
    assert min(figures[name] for name in ("repeats", "stale", "events", "delivered", "retried", "held", "verified")) > 0
    assert figures["disabled"] == 1
    sides = figures["providers"]
    assert set(sides) == {"shopify", "amazon", "flipkart", "robaws"}
    assert all(side["sent"] == side["accepted"] + side["refused"] for side in sides.values())
    assert min(side[name] for side in sides.values() for name in ("refused", "repeats", "stale", "verified")) > 0
    assert list(folder.iterdir()) == []
