"""The Procfile's own lines, as real processes on servers of their own: Flower, recovery from a dead Valkey, K19."""

import os
import re
import runpy
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from sqlalchemy import Engine, text

from cli import ports
from cli import stack as cli_stack
from cli.embedded import Embedded
from cli.tether import launch
from shared import orders, queues, replays, settings, valkey
from shared.clock import utc_now
from shared.db.engine import make_engine, transaction
from shared.db.migrate import migrate
from shared.replays import Filters
from shared.settings import Settings
from tests.waiting import until
from tests.workers import rows
from tests.workers.rows import NOW

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(300)]

AUTH = ("ada", "a long password")
ITEMS = 20_000


@dataclass
class Processes:
    """Processes of the Procfile on embedded servers."""

    servers: Embedded
    settings: Settings
    engine: Engine
    client: valkey.Client
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def spawn(self, name: str, **overrides: Any) -> None:
        chosen = self.settings.model_copy(update=overrides)
        with (self.settings.data_dir / f"{name}.out").open("ab") as out:
            self.running[name] = launch(
                cli_stack.commands()[name],
                folder=cli_stack.ROOT,
                environment=cli_stack.environment(chosen),
                out=out,
            )

    def log(self, name: str) -> str:
        return (self.settings.data_dir / f"{name}.out").read_text(errors="replace")

    def end(self, name: str, signum: int = signal.SIGTERM) -> None:
        process = self.running.pop(name)
        # The whole group on a kill: a prefork child outlives its parent's SIGKILL.
        (os.killpg if signum == signal.SIGKILL else os.kill)(process.pid, signum)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def beat(self) -> int:
        return int(self.client.get(queues.BEAT) or 0)  # type: ignore[arg-type]

    def tasks(self) -> dict[str, dict[str, Any]]:
        """What Flower shows, by the order's id."""
        answer = requests.get(f"{self.flower}/api/tasks", auth=AUTH, timeout=5)
        answer.raise_for_status()
        return dict(answer.json())

    def done(self) -> dict[tuple[str, str], dict[str, Any]]:
        """What succeeded in Flower's eyes, by name and arguments."""
        return {(task["name"], task["args"]): task for task in self.tasks().values() if task["state"] == "SUCCESS"}

    def flower_answers(self) -> bool:
        return requests.get(f"{self.flower}/healthcheck", timeout=5).ok

    @property
    def flower(self) -> str:
        return f"http://127.0.0.1:{self.settings.flower_port}"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    folder = tmp_path_factory.mktemp("processes") / "data"
    with Embedded(folder) as servers:
        servers.watch()
        chosen = Settings(
            database_url=servers.database_url,
            redis_url=servers.redis_url,
            data_dir=folder,
            flower_port=ports.choose("127.0.0.1", 15555, insist=False, taken=set(), name="flower_port"),
            flower_user=AUTH[0],
            flower_password=AUTH[1],
        )
        engine = make_engine(chosen.database_url)
        migrate(engine, now=utc_now())
        made = Processes(servers, chosen, engine, valkey.connect(chosen.redis_url))
        for name in ("worker-sync", "worker-inbound", "beat", "flower"):
            made.spawn(name)
        yield made
        for name in list(made.running):
            made.end(name)
        engine.dispose()
        made.client.close()


def test_flower_shows_orders_by_name_with_what_they_were_about_and_short_counts(stack):
    until(stack.flower_answers, what="flower", told=lambda: stack.log("flower"))
    until(stack.beat, what="the first tick", told=lambda: stack.log("beat") + stack.log("worker-sync"))

    wanted = {(queues.DRAIN, "(3,)"), (queues.RECOVER, "()"), (queues.RETAIN, "()")}

    def shown() -> dict[tuple[str, str], dict[str, Any]]:
        # Sent again each time: Flower sees only what happens after it began to listen.
        assert orders.send(stack.settings, queues.DRAIN, 3)
        assert orders.send(stack.settings, queues.RECOVER)
        assert orders.send(stack.settings, queues.RETAIN)
        seen = stack.done()
        return seen if wanted <= set(seen) else {}

    seen = until(shown, what="the orders in Flower", told=lambda: stack.log("worker-inbound"))
    for key in wanted:
        assert re.fullmatch(r"\{('\w+': \d+(, )?)+\}", seen[key]["result"]), seen[key]
    assert queues.TICK not in {task["name"] for task in stack.tasks().values()}
    page = requests.get(f"{stack.flower}/tasks", auth=AUTH, timeout=5)
    assert page.ok
    assert "Result" in page.text


def test_flower_asks_who_is_there_before_it_shows_or_does_anything(stack):
    until(stack.flower_answers, what="flower", told=lambda: stack.log("flower"))
    for path in ("/", "/tasks", "/workers", "/broker", "/api/tasks", "/api/workers"):
        assert requests.get(f"{stack.flower}{path}", timeout=5).status_code == 401, path
        wrong = requests.get(f"{stack.flower}{path}", auth=("ada", "wrong"), timeout=5)
        assert wrong.status_code == 401, path
    worker = f"{stack.flower}/api/worker/shutdown/sync@x"
    assert requests.post(worker, timeout=5).status_code == 401


def test_flower_remembers_across_a_restart(stack):
    until(stack.tasks, what="a task in Flower")
    before = stack.tasks()
    stack.end("flower")
    stack.spawn("flower")
    until(lambda: set(before) <= set(stack.tasks()), what="the same tasks", told=lambda: stack.log("flower"))


def test_on_loopback_without_a_password_flower_shows_pages_and_does_nothing(stack, monkeypatch):
    monkeypatch.setenv("FLOWER_UNAUTHENTICATED_API", "")
    stack.end("flower")
    stack.spawn("flower", flower_user="", flower_password=settings.SecretStr(""))
    until(stack.flower_answers, what="flower", told=lambda: stack.log("flower"))
    assert requests.get(f"{stack.flower}/tasks", timeout=5).ok
    assert requests.get(f"{stack.flower}/api/tasks", timeout=5).status_code == 401
    assert requests.post(f"{stack.flower}/api/worker/shutdown/sync@x", timeout=5).status_code in (401, 403)
    stack.end("flower")
    stack.spawn("flower")


def test_flowers_options_are_the_settings(monkeypatch):
    chosen = Settings(flower_host="0.0.0.0", flower_port=7777, flower_user="u", flower_password="p:q")  # noqa: S104
    monkeypatch.setattr(settings, "current", lambda: chosen)
    path = Path(cli_stack.ROOT) / "workers" / "flowerconfig.py"
    options = runpy.run_path(str(path))
    assert (options["address"], options["port"], options["basic_auth"]) == ("0.0.0.0", 7777, ["u:p:q"])  # noqa: S104
    assert options["persistent"] is True
    assert options["read_only"] is False
    monkeypatch.setattr(settings, "current", Settings)
    options = runpy.run_path(str(path))
    assert (options["address"], options["basic_auth"], options["read_only"]) == ("127.0.0.1", [], True)


def test_workers_and_beat_go_on_by_themselves_after_valkey_was_killed(stack):
    until(stack.beat, what="a tick")
    processes = dict(stack.running)
    psutil.Process(stack.servers.pid("valkey")).send_signal(signal.SIGKILL)
    until(stack.client.ping, what="valkey")
    mark = stack.client.time()[0] + 2  # type: ignore[index]
    until(lambda: stack.beat() > mark, what="a tick", told=lambda: stack.log("beat") + stack.log("worker-sync"))

    def drained() -> bool:
        return orders.send(stack.settings, queues.DRAIN, 1) and (queues.DRAIN, "(1,)") in stack.done()

    until(drained, what="a drain, and Flower to see it", told=lambda: stack.log("worker-inbound"))
    assert all(process.poll() is None for process in processes.values())


def test_k19_a_replay_of_20000_with_its_worker_killed_half_way_replays_each_once(stack):
    until(stack.beat, what="a tick")
    account = rows.account(stack.engine)
    crm = rows.subscription(stack.engine, account)
    event = rows.event(stack.engine, account)
    with transaction(stack.engine) as connection:
        connection.execute(text("CREATE TABLE replayed (id uuid, at timestamptz)"))
        connection.execute(
            text("""
                CREATE FUNCTION note_replay() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN INSERT INTO replayed VALUES (NEW.id, NEW.next_attempt_at); RETURN NULL; END $$
            """)
        )
        connection.execute(
            text("""
                CREATE TRIGGER note AFTER UPDATE ON deliveries FOR EACH ROW
                WHEN (OLD.state = 'dead' AND NEW.state = 'pending') EXECUTE FUNCTION note_replay()
            """)
        )
        values = {"account": account, "crm": crm, "now": NOW, "items": ITEMS}
        connection.execute(
            text("""
                WITH made AS (
                    INSERT INTO events (id, account_id, message_id, type, body, occurred_at, created_at)
                    SELECT uuidv7(), :account, uuidv7(), 'user.created', '{}', :now, :now
                    FROM generate_series(1, :items) RETURNING id
                )
                INSERT INTO deliveries (id, account_id, event_id, subscription_id, event_type, state, tries, attempts,
                                        next_attempt_at, created_at, finished_at)
                SELECT uuidv7(), :account, id, :crm, 'user.created', 'dead', 4, 4, :now, :now, :now FROM made
            """),
            values,
        )
        job = replays.create(
            connection,
            target="deliveries",
            filters=Filters(account_id=account),
            rate_per_second=4_000,
            asked_by="cli:ada",
            reason="K19",
            now=utc_now(),
        )["id"]
    assert event

    def state() -> dict[str, Any]:
        with stack.engine.connect() as connection:
            return replays.get(connection, job, account_id=account)

    until(lambda: state()["done"] >= ITEMS // 4, what="a quarter", told=lambda: stack.log("worker-sync"))
    stack.end("worker-sync", signal.SIGKILL)
    left = state()
    assert ITEMS // 4 <= left["done"] < ITEMS
    assert left["state"] == "running"
    stack.spawn("worker-sync")
    until(lambda: state()["state"] == "finished", 90, what="the end", told=lambda: stack.log("worker-sync"))
    with stack.engine.connect() as connection:
        noted = connection.execute(text("SELECT count(*), count(DISTINCT id) FROM replayed")).one()
        pending = connection.execute(text("SELECT count(*) FROM deliveries WHERE state = 'pending'")).scalar()
    done = state()
    assert (done["total"], done["done"], done["skipped"], done["failed"]) == (ITEMS, ITEMS, 0, 0)
    assert tuple(noted) == (ITEMS, ITEMS)
    assert pending == ITEMS
