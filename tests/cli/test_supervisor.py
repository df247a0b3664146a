"""The supervisor, over real shells and real signals. Waiting is for facts, bounded, and never for a time."""

import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from honcho.printer import Printer

from cli.supervisor import Supervisor, end_leftovers
from tests.waiting import until

STUBBORN = (
    f'{sys.executable} -u -c "import signal, subprocess, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); '
    "child = subprocess.Popen(['sleep', '1000']); print('child', child.pid); time.sleep(1000)\""
)


class Run:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.output = io.StringIO()
        self.made: list[Supervisor] = []

    def __call__(self, grace_seconds: float = 5.0, **commands: str) -> Supervisor:
        supervisor = Supervisor(
            commands=commands,
            environment=dict(os.environ),
            folder=self.folder,
            record=self.folder / "processes.json",
            printer=Printer(self.output),
            grace_seconds=grace_seconds,
        )
        self.made.append(supervisor)
        supervisor.start()
        return supervisor

    def printed(self, text: str) -> bool:
        return text in self.output.getvalue()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    made = Run(tmp_path)
    yield made
    for supervisor in made.made:
        supervisor.hurry.set()
        supervisor.stop()


def test_what_a_process_prints_is_shown_under_its_name(run: Run) -> None:
    run(speaker="sh -c 'echo hello; sleep 1000'")
    until(lambda: run.printed("speaker | hello"))


def test_a_process_that_is_killed_is_started_again_and_the_others_run_on(run: Run) -> None:
    supervisor = run(victim="sleep 1000", other="sleep 1000")
    victim, other = supervisor.pid("victim"), supervisor.pid("other")
    assert victim is not None
    os.kill(victim, signal.SIGKILL)
    until(lambda: supervisor.restarts() == {"victim": 1, "other": 0})
    until(lambda: supervisor.pid("victim") not in (None, victim))
    assert supervisor.pid("other") == other
    assert run.printed("victim ended with -9")


def test_a_process_that_keeps_failing_is_started_again_with_growing_pauses(run: Run) -> None:
    supervisor = run(failing="false")
    until(lambda: supervisor.restarts()["failing"] >= 2)
    assert run.printed("in 0.5 s")
    assert run.printed("in 1 s")


def test_the_children_of_a_killed_process_are_killed_before_it_is_started_again(run: Run) -> None:
    supervisor = run(parent=STUBBORN)
    until(lambda: run.printed("child"))
    child = int(run.output.getvalue().split("child")[1].split()[0])
    parent = supervisor.pid("parent")
    assert parent is not None
    os.kill(parent, signal.SIGKILL)
    until(lambda: not psutil.pid_exists(child))


def test_stop_lets_a_process_finish(run: Run) -> None:
    supervisor = run(polite="""sh -c "trap 'echo goodbye; exit 0' TERM; echo ready; while :; do sleep 0.05; done" """)
    until(lambda: run.printed("ready"))
    supervisor.stop()
    assert run.printed("goodbye")


def test_stop_kills_with_its_children_what_does_not_end_in_time(run: Run) -> None:
    supervisor = run(grace_seconds=0.3, stubborn=STUBBORN)
    until(lambda: run.printed("child"))
    child = int(run.output.getvalue().split("child")[1].split()[0])
    leader = supervisor.pid("stubborn")
    assert leader is not None
    supervisor.stop()
    until(lambda: not psutil.pid_exists(child))
    assert not psutil.pid_exists(leader)
    assert run.printed("is killed")
    assert not (run.folder / "processes.json").exists()


def test_what_a_supervisor_that_was_killed_with_its_tether_leaves_is_ended_by_the_next(tmp_path: Path) -> None:
    record = tmp_path / "processes.json"
    program = (
        "import os, sys, pathlib, signal; from honcho.printer import Printer; from cli.supervisor import Supervisor\n"
        "from cli import tether\n"
        f"folder = pathlib.Path({str(tmp_path)!r})\n"
        "s = Supervisor(commands={'left': 'sleep 1000'}, environment=dict(os.environ), folder=folder, "
        f"record=pathlib.Path({str(record)!r}), printer=Printer(sys.stdout))\n"
        "s.start(); (folder / 'pid').write_text(str(s.pid('left')))\n"
        "tether._other_end.kill(); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], check=False, cwd=Path(__file__).parents[2])
    assert ended.returncode == -signal.SIGKILL
    left = int((tmp_path / "pid").read_text())
    assert psutil.pid_exists(left)
    assert end_leftovers(record) == ["left"]
    until(lambda: not _runs(left))
    assert end_leftovers(record) == []


def test_a_pid_that_was_given_to_another_process_is_let_be(tmp_path: Path) -> None:
    bystander = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    try:
        record = tmp_path / "processes.json"
        record.write_text(f'[{{"name": "old", "pid": {bystander.pid}, "created": 1000.0}}]')
        assert end_leftovers(record) == []
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def _runs(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False
