"""The stack's folder, ports and environment."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli import ports, stack
from shared.errors import CrossdockError, SettingsInvalid
from shared.settings import PREFIX, Settings, load


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(PREFIX) or name in ("DATABASE_URL", "REDIS_URL"):
            monkeypatch.delenv(name)


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_default_port_that_is_taken_gives_way_to_the_next_free_one(taken: int) -> None:
    chosen = ports.choose("127.0.0.1", taken, insist=False, taken=set(), name="ingress_port")
    assert chosen > taken
    assert ports.is_free("127.0.0.1", chosen)


def test_a_port_that_was_set_and_is_taken_is_an_error_that_names_it(taken: int) -> None:
    with pytest.raises(SettingsInvalid, match=f"ingress_port: port {taken}"):
        ports.choose("127.0.0.1", taken, insist=True, taken=set(), name="ingress_port")


def test_two_parts_never_get_the_same_port(taken: int) -> None:
    given: set[int] = set()
    first = ports.choose("127.0.0.1", taken, insist=False, taken=given, name="ingress_port")
    assert ports.choose("127.0.0.1", first, insist=False, taken=given, name="console_port") > first
    with pytest.raises(SettingsInvalid, match=f"flower_port: port {first}"):
        ports.choose("127.0.0.1", first, insist=True, taken=given, name="flower_port")


def test_only_a_port_that_the_environment_sets_is_insisted_on(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSDOCK_INGRESS_PORT", str(taken))
    with pytest.raises(SettingsInvalid, match="is taken"):
        stack.with_free_ports(load())


def test_a_process_reads_the_very_settings_from_its_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(
        data_dir=tmp_path,
        database_url="postgresql://u:p@h/d",
        redis_url="redis://h/0",
        allow_http_destinations=True,
        allowed_destination_cidrs="127.0.0.0/8",
        circuit_pause_seconds=0.5,
        flower_user="ann",
        flower_password="secret",  # type: ignore[arg-type]
    )
    monkeypatch.setenv("CROSSDOCK_INGRESS_PORT", "1234")  # of the parent; the settings say otherwise
    for name, value in stack.environment(settings).items():
        monkeypatch.setenv(name, value)
    assert load() == settings


def test_a_data_folder_is_held_by_one_up_at_a_time(tmp_path: Path) -> None:
    assert not stack.is_held(tmp_path)
    with stack.held(tmp_path):
        assert stack.is_held(tmp_path)
        stack.tell(tmp_path, stack.addresses_of(Settings(data_dir=tmp_path)))
        with (
            pytest.raises(stack.AlreadyRunning, match=f"pid {os.getpid()}, ingress http://127.0.0.1:8080"),
            stack.held(tmp_path),
        ):
            pytest.fail("a second one got in")
    assert not stack.is_held(tmp_path)
    assert stack.addresses(tmp_path) is None


def test_one_url_without_the_other_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CrossdockError, match="both DATABASE_URL and REDIS_URL"):
        stack.locate(Settings(data_dir=tmp_path, database_url="postgresql://h/d"))


def test_what_is_no_url_of_such_a_server_is_an_error_that_names_it_and_repeats_no_password(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="DATABASE_URL must begin with postgresql://") as raised:
        stack.locate(Settings(data_dir=tmp_path, database_url="mysql://u:hush@h/d", redis_url="hush"))
    assert "REDIS_URL must begin with redis://" in str(raised.value)
    assert "hush" not in str(raised.value)


def test_a_data_folder_that_cannot_be_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsInvalid, match=r"data_dir: .*file"), stack.held(tmp_path / "file" / "var"):
        pass


def test_looking_for_a_stack_leaves_no_folder_behind(tmp_path: Path) -> None:
    with pytest.raises(stack.NotRunning):
        stack.locate(Settings(data_dir=tmp_path / "none"))
    assert not (tmp_path / "none").exists()


def test_the_procfile_names_every_process() -> None:
    assert list(stack.commands()) == [
        "ingress",
        "console",
        "worker-inbound",
        "worker-delivery",
        "worker-sync",
        "worker-upstream",
        "beat",
        "flower",
    ]
