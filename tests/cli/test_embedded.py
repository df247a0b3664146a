"""The embedded servers, durable ones of each test's own: started, stopped, killed, found again."""

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import pytest
import redis

from cli.embedded import Embedded
from tests.waiting import until


@pytest.fixture
def embedded(folder: Path) -> Iterator[Embedded]:
    made = Embedded(folder / "data")
    made.start()
    yield made
    made.stop()


def _execute(embedded: Embedded, statement: str) -> list[tuple[object, ...]]:
    with closing(psycopg2.connect(embedded.database_url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall()) if cursor.description else []


def _is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_second_start_finds_what_the_first_left(embedded: Embedded) -> None:
    _execute(embedded, "CREATE TABLE kept AS SELECT 42 AS answer")
    with closing(redis.Redis.from_url(embedded.redis_url)) as client:
        client.set("kept", "42")
    pids = [embedded.pid(name) for name in ("postgres", "valkey")]
    embedded.stop()
    assert all(_is_gone(pid) for pid in pids)
    again = Embedded(embedded.data_dir)
    with again:
        assert _execute(again, "SELECT answer FROM kept") == [(42,)]
        with closing(redis.Redis.from_url(again.redis_url)) as client:
            assert client.get("kept") == b"42"


def test_what_was_acknowledged_survives_kill_9_of_both(embedded: Embedded) -> None:
    _execute(embedded, "CREATE TABLE kept (answer int)")
    with closing(redis.Redis.from_url(embedded.redis_url)) as client:
        for number in range(50):
            client.rpush("kept", number)
            _execute(embedded, f"INSERT INTO kept VALUES ({number})")
        for name in ("postgres", "valkey"):
            os.kill(embedded.pid(name), signal.SIGKILL)
    again = Embedded(embedded.data_dir)
    with again:
        assert _execute(again, "SELECT count(*), max(answer) FROM kept") == [(50, 49)]
        with closing(redis.Redis.from_url(again.redis_url)) as client:
            assert client.llen("kept") == 50


@pytest.mark.parametrize("name", ["postgres", "valkey"])
def test_a_watched_server_that_is_killed_comes_back_without_a_hand(embedded: Embedded, name: str) -> None:
    embedded.watch()
    killed = embedded.pid(name)
    os.kill(killed, signal.SIGKILL)
    until(lambda: embedded.pid(name) != killed)
    embedded.wait()
    assert _execute(embedded, "SELECT 1") == [(1,)]


def _killed_run(data: Path, *, tether: bool) -> list[int]:
    """The pids of the servers of a run that is killed as soon as they answer, with its tether or without."""
    told = data.with_suffix(".pids")
    program = (
        "import os, pathlib, signal; from cli import tether; from cli.embedded import Embedded\n"
        f"e = Embedded(pathlib.Path({str(data)!r})); e.start()\n"
        f"pathlib.Path({str(told)!r}).write_text(f\"{{e.pid('postgres')}} {{e.pid('valkey')}}\")\n"
        f"{'' if tether else 'tether._other_end.kill(); '}os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=False, cwd=Path(__file__).parents[2])
    return [int(pid) for pid in told.read_text().split()]


def test_servers_end_with_a_run_that_is_killed(folder: Path) -> None:
    left = _killed_run(folder / "data", tether=True)
    until(lambda: all(_is_gone(pid) for pid in left))
    assert "database system is shut down" in (folder / "data" / "postgres.log").read_text(), "it was asked, not killed"


def test_servers_that_a_run_killed_with_its_tether_left_are_ended_by_the_next_start(folder: Path) -> None:
    left = _killed_run(folder / "data", tether=False)
    assert not any(_is_gone(pid) for pid in left)
    with Embedded(folder / "data") as embedded:
        assert all(_is_gone(pid) for pid in left)
        assert {embedded.pid("postgres"), embedded.pid("valkey")}.isdisjoint(left)
        assert _execute(embedded, "SELECT 1") == [(1,)]


def test_only_this_user_reaches_the_sockets_and_the_inbox_and_postgresql_wants_the_password(embedded: Embedded) -> None:
    sockets = Path(embedded.redis_url.removeprefix("unix://").partition("?")[0]).parent
    assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
    assert stat.S_IMODE((embedded.data_dir / "postgres.password").stat().st_mode) == 0o600
    assert stat.S_IMODE((embedded.data_dir / "valkey").stat().st_mode) == 0o700
    with pytest.raises(psycopg2.OperationalError, match="password"):
        psycopg2.connect(embedded.database_url.replace("postgres:", "postgres:not"))


def test_nothing_listens_on_the_network(embedded: Embedded) -> None:
    for name in ("postgres", "valkey"):
        server = psutil.Process(embedded.pid(name))
        assert [one for one in server.net_connections("inet") if one.status == psutil.CONN_LISTEN] == []


def test_valkey_is_durable_and_evicts_nothing(embedded: Embedded) -> None:
    with closing(redis.Redis.from_url(embedded.redis_url, decode_responses=True)) as client:
        found = client.config_get("append*", "maxmemory-policy")
    assert (found["appendonly"], found["appendfsync"], found["maxmemory-policy"]) == ("yes", "always", "noeviction")


def test_a_folder_whose_path_is_too_long_for_a_socket_gets_its_sockets_elsewhere(folder: Path) -> None:
    deep = folder / ("d" * 60) / ("e" * 60)
    with Embedded(deep, durable=False) as embedded:
        assert _execute(embedded, "SELECT 1") == [(1,)]
        sockets = Path(embedded.redis_url.removeprefix("unix://").partition("?")[0]).parent
        assert deep not in sockets.parents
        assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
    assert not sockets.exists()
    with embedded:
        assert _execute(embedded, "SELECT 1") == [(1,)]


def test_stop_is_idempotent(embedded: Embedded) -> None:
    embedded.stop()
    embedded.stop()


@pytest.mark.parametrize("name", ["postgres", "valkey"])
def test_a_server_that_does_not_hear_is_ended_all_the_same(embedded: Embedded, name: str) -> None:
    _execute(embedded, "CREATE TABLE kept (answer int)")
    pids = [embedded.pid("postgres"), embedded.pid("valkey")]
    os.kill(embedded.pid(name), signal.SIGSTOP)
    embedded.stop()
    assert all(_is_gone(pid) for pid in pids)
    with Embedded(embedded.data_dir) as again:
        assert _execute(again, "SELECT count(*) FROM kept") == [(0,)]


class KilledHere(BaseException):
    """What kill -9 is to the code that it hits."""


@pytest.mark.parametrize("step", ["before_the_password", "before_the_database", "before_it_is_closed"])
def test_a_first_start_that_is_killed_half_way_begins_anew(
    folder: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    real, ran = subprocess.run, []

    def run(arguments: list[str], **more: Any) -> Any:
        if "--single" in arguments:
            ran.append(arguments)
            if step == "before_the_password" or (step == "before_the_database" and len(ran) == 2):
                raise KilledHere
        done = real(arguments, **more)
        if step == "before_it_is_closed" and len(ran) == 2:
            raise KilledHere
        return done

    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "run", run)
        with pytest.raises(KilledHere):
            Embedded(folder / "data").start_postgres()
    with Embedded(folder / "data") as again:
        assert _execute(again, "SELECT 1") == [(1,)]
        assert "trust" not in (again.data_dir / "postgres" / "pg_hba.conf").read_text()
