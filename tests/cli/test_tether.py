"""The tether, over real processes and real kills."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from cli.tether import Tied, end, members
from tests.waiting import until

ROOT = Path(__file__).parents[2]
IGNORES = "import signal, subprocess, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
STUBBORN = IGNORES + "child = subprocess.Popen(['sleep', '1000']); print(child.pid, flush=True); time.sleep(1000)"

LISTENS = (
    "import signal; both = {signal.SIGINT, signal.SIGTERM}; signal.pthread_sigmask(signal.SIG_BLOCK, both); "
    "print('ready', flush=True); print(signal.Signals(signal.sigwait(both)).name)"
)


def runs(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def tie(pid: int, signum: int = signal.SIGTERM) -> Tied:
    return Tied(pid, psutil.Process(pid).create_time(), signum)


@pytest.fixture
def start() -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    started: list[subprocess.Popen[str]] = []

    def one(*words: str) -> "subprocess.Popen[str]":
        started.append(subprocess.Popen(words, start_new_session=True, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield one
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("last", ["os.kill(os.getpid(), signal.SIGKILL)", "os.kill(os.getpid(), signal.SIGTERM)", ""])
def test_what_a_process_has_tied_ends_with_it_however_it_goes(last: str) -> None:
    program = (
        "import os, signal, subprocess; from cli.tether import tied\n"
        "child = tied(subprocess.Popen(['sleep', '1000'], stdout=subprocess.DEVNULL, start_new_session=True))\n"
        f"print(child.pid, flush=True)\n{last}\n"
    )
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    until(lambda: not runs(int(ran.stdout)))
    assert ran.stderr == ""


def test_a_process_whose_children_have_ended_does_not_wait_and_leaves_no_tether() -> None:
    program = (
        "import subprocess; from cli import tether\n"
        "for _ in range(3): tether.tied(subprocess.Popen(['true'], start_new_session=True)).wait()\n"
        "print(tether._other_end.pid)\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not psutil.pid_exists(int(ran.stdout))
    assert ran.stderr == ""


def test_each_is_asked_by_its_own_signal(start: Callable[..., "subprocess.Popen[str]"]) -> None:
    asked = [start(sys.executable, "-c", LISTENS) for _ in range(2)]
    assert [process.stdout.readline() for process in asked if process.stdout] == ["ready\n"] * 2
    end([tie(asked[0].pid, signal.SIGINT), tie(asked[1].pid)])
    assert [process.stdout.read() for process in asked if process.stdout] == ["SIGINT\n", "SIGTERM\n"]


def test_what_does_not_end_in_time_is_killed_with_its_session(start: Callable[..., "subprocess.Popen[str]"]) -> None:
    leader = start(sys.executable, "-c", STUBBORN)
    assert leader.stdout is not None
    child = int(leader.stdout.readline())
    end([tie(leader.pid)], seconds=0.1)
    assert leader.wait() == -signal.SIGKILL
    until(lambda: not runs(child))


def test_what_a_leader_left_of_its_session_is_killed(start: Callable[..., "subprocess.Popen[str]"]) -> None:
    leader = start(sys.executable, "-c", STUBBORN)
    assert leader.stdout is not None
    child = int(leader.stdout.readline())
    tied = tie(leader.pid)
    leader.kill()
    leader.wait()
    assert [process.pid for process in members({tied.pid: tied.created})] == [child]
    end([tied])
    until(lambda: not runs(child))


def test_a_pid_that_was_given_to_another_process_is_let_be(start: Callable[..., "subprocess.Popen[str]"]) -> None:
    bystander = start("sleep", "1000")
    end([Tied(bystander.pid, 1000.0, signal.SIGTERM)], seconds=0.1)
    assert bystander.poll() is None
