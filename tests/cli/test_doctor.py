"""The doctor finds what is wrong, and says what to do about it. The story of `up` examines a sound stack."""

import base64
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import orjson
import pytest
from sqlalchemy import Engine, text

from cli.doctor import database, machine, work
from cli.doctor import queue as inbox
from cli.doctor.finding import Finding
from cli.station import Station, opened
from shared import accounts, sources, valkey
from shared.clock import after, utc_now
from shared.crypto import KeyRing, new_key
from shared.ids import floor_id
from shared.settings import Settings
from tests.cli.conftest import Run
from tests.workers import rows
from tests.workers.rows import NOW


@pytest.fixture
def station(settings: Settings) -> Iterator[Station]:
    with opened(settings) as made:
        yield made


def _named(found: list[Finding], name: str) -> Finding:
    return next(one for one in found if one.name == name)


def test_a_sound_database_and_queue_have_no_findings_but_durability(station: Station) -> None:
    found = [*database.findings(station), *inbox.findings(station), *work.findings(station)]
    # The tests' own Valkey runs without fsync, and the doctor sees it.
    assert [one.name for one in found if one.state != "ok"] == ["durability"]
    wrong = _named(found, "durability")
    assert wrong.state == "failed"
    assert "appendfsync no" in wrong.seen
    assert "appendfsync always" in wrong.advice


@pytest.mark.parametrize(("seconds", "state"), [(0, "ok"), (-10, "warning"), (600, "failed")])
def test_k25_a_clock_that_is_off_is_found(
    station: Station, monkeypatch: pytest.MonkeyPatch, seconds: float, state: str
) -> None:
    monkeypatch.setattr(Station, "now", lambda _: after(utc_now(), seconds))
    assert _named(database.findings(station), "clock").state == state


def test_every_finding_that_is_not_ok_says_what_to_do(run: Run) -> None:
    result = run("doctor")
    assert result.exit_code == 1, "no worker runs here"
    found = {one["name"]: one for one in orjson.loads(run("doctor", "--json").stdout)}
    assert found["worker-inbound"]["state"] == "failed"
    assert "Procfile" in found["beat"]["advice"]
    assert all(one["advice"] for one in found.values() if one["state"] != "ok")


def test_a_database_that_is_down_is_one_finding(settings: Settings) -> None:
    with opened(settings.model_copy(update={"database_url": "postgresql://x@127.0.0.1:1/x"})) as station:
        found = database.findings(station)
        assert [(one.name, one.state) for one in found] == [("postgresql", "failed")]
        assert work.findings(station) == []


def test_a_queue_that_is_down_is_one_finding(settings: Settings) -> None:
    with opened(settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})) as station:
        found = inbox.findings(station)
    assert [(one.name, one.state) for one in found] == [("valkey", "failed")]


def test_an_old_schema_is_found(station: Station, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    found = _named(database.findings(station), "schema")
    assert found.state == "failed"
    assert "crossdock migrate" in found.advice


def test_missing_partitions_are_found(station: Station, engine: Engine) -> None:
    with engine.begin() as connection:
        names = connection.execute(
            text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'events'::regclass")
        ).scalars()
        for name in [name for name in names if name != "events_default"]:
            connection.execute(text(f"DROP TABLE {name}"))
    assert _named(database.findings(station), "partitions").state == "failed"


def test_rows_outside_every_week_are_found_and_what_becomes_of_them_is_told(station: Station, engine: Engine) -> None:
    with pytest.raises(StopIteration):
        _named(database.findings(station), "stray rows")
    rows.event(engine, rows.account(engine), id=floor_id(NOW - timedelta(days=400)))
    found = _named(database.findings(station), "stray rows")
    assert (found.state, found.seen) == ("warning", "events")
    assert "deletes them" in found.advice  # tests/workers/maintenance/test_retain.py shows that it does


def test_secrets_that_were_sealed_with_a_lost_key_are_found(station: Station, engine: Engine) -> None:
    other = KeyRing([base64.b64decode(new_key())])
    with engine.begin() as connection:
        account = accounts.create(connection, slug="acme", now=utc_now())
        sources.create(connection, other, account_id=account["id"], provider="shopify", now=utc_now())
    found = _named(database.findings(station), "secrets")
    assert found.state == "failed"
    assert "sources" in found.seen


def test_a_source_that_was_not_published_is_found(station: Station, engine: Engine) -> None:
    with engine.begin() as connection:
        account = accounts.create(connection, slug="acme", now=utc_now())
        sources.create(connection, station.ring, account_id=account["id"], provider="shopify", now=utc_now())
    assert _named(inbox.findings(station), "directory").state == "warning"
    station.publish()
    assert _named(inbox.findings(station), "directory").state == "ok"


@pytest.mark.parametrize(("seconds", "state"), [(5, "ok"), (120, "warning"), (3600, "failed")])
def test_an_inbox_that_nobody_drains_is_found_by_its_age(
    station: Station, queue: valkey.Client, seconds: int, state: str
) -> None:
    stamp = int(after(utc_now(), -seconds).timestamp() * 1000)
    queue.xadd("crossdock:inbox:0", {"i": b"x"}, id=f"{stamp}-0")
    found = _named(work.findings(station), "inbox")
    assert found.state == state
    assert found.seen.startswith("1 waiting")


def test_a_full_disk_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = 1000

    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage)
    assert machine.disk(tmp_path / "not" / "yet").state == "failed"
