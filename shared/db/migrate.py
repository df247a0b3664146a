"""Brings a database to the newest schema and keeps its partitions ahead of the clock.

Left behind: the schema at its newest revision. Each revision is one transaction, under an advisory lock, so a
process that dies in the middle leaves whole revisions, and two that start together do not collide.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from shared.ids import floor_id

PARTITIONED = ("messages", "events", "attempts")
WEEKS_AHEAD = 4
_LOCK = 0x63726F73  # "cros": one migration at a time
_EPOCH = datetime(2024, 1, 1, tzinfo=UTC)  # a Monday; weeks are counted from it


def migrate(engine: Engine, *, now: datetime) -> str:
    """Run every missing migration and make the partitions of the coming weeks; the newest revision's name.

    Idempotent, and safe to run from several processes at once.
    """
    config = _config()
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        ensure_partitions(connection, now=now)
    return newest()


def revision(connection: Connection) -> str | None:
    """The revision the database is at; `None` before the first migration."""
    return MigrationContext.configure(connection).get_current_revision()


def newest() -> str:
    """The revision this code wants."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


def week_of(at: datetime) -> datetime:
    """The Monday 00:00 UTC that begins the week of `at`."""
    return _EPOCH + (at - _EPOCH) // timedelta(days=7) * timedelta(days=7)


def ensure_partitions(connection: Connection, *, now: datetime) -> list[str]:
    """Make the weekly partitions from this week to `WEEKS_AHEAD` weeks on; the names of the new ones."""
    made = []
    for table in PARTITIONED:
        for ahead in range(WEEKS_AHEAD + 1):
            start = week_of(now) + timedelta(weeks=ahead)
            name = f"{table}_{start:%Y%m%d}"
            if connection.execute(text("SELECT to_regclass(:name)"), {"name": name}).scalar() is None:
                _make_partition(connection, table, name, floor_id(start), floor_id(start + timedelta(weeks=1)))
                made.append(name)
    return made


def _make_partition(connection: Connection, table: str, name: str, low: UUID, high: UUID) -> None:
    """Make one partition, and move into it what the default one has taken in for want of it.

    PostgreSQL refuses a partition whose rows lie in the default one, which they do after maintenance has not run for
    weeks or a clock was ahead; then nothing could start any more.
    """
    connection.execute(text(f"CREATE TABLE {name} (LIKE {table} INCLUDING ALL)"))
    connection.execute(
        text(f"""
            WITH stray AS (DELETE FROM {table}_default WHERE id >= :low AND id < :high RETURNING *)
            INSERT INTO {name} SELECT * FROM stray
        """),
        {"low": low, "high": high},
    )
    connection.execute(text(f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ('{low}') TO ('{high}')"))


def drop_partitions(connection: Connection, table: str, *, before: datetime) -> list[str]:
    """Drop the weekly partitions of `table` that ended before `before`; their names."""
    rows = connection.execute(
        text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = CAST(:table AS regclass)"),
        {"table": table},
    ).scalars()
    dropped = []
    for name in sorted(rows):
        stamp = name.removeprefix(f"{table}_")
        if not stamp.isdigit():
            continue
        end = datetime.strptime(stamp, "%Y%m%d").replace(tzinfo=UTC) + timedelta(weeks=1)
        if end <= before:
            connection.execute(text(f"DROP TABLE {name}"))
            dropped.append(name)
    return dropped
