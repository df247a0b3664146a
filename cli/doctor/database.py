"""The database: whether it answers, is new enough, has today's schema, room for the coming weeks and readable secrets.

Only reads; nothing is left behind.
"""

from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, exc, text

from cli.doctor.finding import Finding, failed, ok, warning
from cli.station import Station
from shared import directory, subscriptions
from shared.db import migrate
from shared.errors import SecretUndecipherable

LEAST_VERSION = 180_000
SKEW_SECONDS = 2.0  # past this, what is due is seen too early or too late
SKEW_FATAL_SECONDS = 120.0  # receivers refuse timestamps that are five minutes off


def findings(station: Station) -> list[Finding]:
    """What there is to say; only the first when it does not answer."""
    try:
        with station.engine.connect() as connection:
            return [_version(connection), _clock(connection, station), *_schema(connection, station)]
    except (exc.OperationalError, exc.InterfaceError) as error:
        said = str(error.orig).strip().splitlines()[0]
        return [failed("postgresql", said, "Start it, or correct DATABASE_URL. The ingress accepts meanwhile.")]


def _version(connection: Connection) -> Finding:
    seen = connection.execute(text("SHOW server_version")).scalar_one()
    if connection.execute(text("SELECT current_setting('server_version_num')::int")).scalar_one() < LEAST_VERSION:
        return failed("postgresql", seen, "Use PostgreSQL 18 or newer.")
    return ok("postgresql", seen)


def _clock(connection: Connection, station: Station) -> Finding:
    seconds = (station.now() - connection.execute(text("SELECT clock_timestamp()")).scalar_one()).total_seconds()
    seen = f"{abs(seconds):.1f} s {'ahead of' if seconds > 0 else 'behind'} the database's"
    if abs(seconds) < SKEW_SECONDS:
        return ok("clock", seen)
    advice = "Run NTP on every machine: deliveries become due, and signatures are dated, by the workers' clocks."
    return (failed if abs(seconds) >= SKEW_FATAL_SECONDS else warning)("clock", seen, advice)


def _schema(connection: Connection, station: Station) -> list[Finding]:
    found, newest = migrate.revision(connection), migrate.newest()
    if found != newest:
        return [failed("schema", f"{found or 'none'}, this code wants {newest}", "Run `crossdock migrate`.")]
    return [ok("schema", newest), _partitions(connection, station), *_strays(connection), _secrets(connection, station)]


def _partitions(connection: Connection, station: Station) -> Finding:
    coming = migrate.week_of(station.now()) + timedelta(weeks=1)
    wanted = [f"{table}_{coming:%Y%m%d}" for table in migrate.PARTITIONED]
    query = text("SELECT count(*) FROM unnest(CAST(:names AS text[])) name WHERE to_regclass(name) IS NULL")
    if connection.execute(query, {"names": wanted}).scalar_one():
        advice = "Run `crossdock migrate`, and see that beat and the sync worker run: they do this hourly."
        return failed("partitions", "next week's are missing", advice)
    return ok("partitions", "next week's are there")


def _strays(connection: Connection) -> list[Finding]:
    tables = [
        table
        for table in migrate.PARTITIONED
        if connection.execute(text(f"SELECT EXISTS (SELECT FROM {table}_default)")).scalar_one()
    ]
    if not tables:
        return []
    advice = (
        "They came when their week's partition was missing. Retention deletes them row by row once they are past their"
    )
    return [warning("stray rows", ", ".join(tables), f"{advice} time; see that beat and the sync worker run.")]


def _secrets(connection: Connection, station: Station) -> Finding:
    closed = [
        *_closed(connection, station, "sources", directory.place),
        *_closed(connection, station, "subscriptions", subscriptions.place),
    ]
    if closed:
        advice = "Put the key that sealed them back into CROSSDOCK_ENCRYPTION_KEYS (or encryption.key), or rotate them."
        return failed("secrets", f"cannot be opened: {', '.join(closed[:5])}", advice)
    return ok("secrets", "all can be opened")


def _closed(connection: Connection, station: Station, table: str, place: Any) -> list[str]:
    closed = []
    for row in connection.execute(text(f"SELECT id, secrets FROM {table}")):
        for entry in directory.live_secrets(row.secrets, now=station.now()):
            try:
                station.ring.decrypt(entry["sealed"], place=place(row.id))
            except SecretUndecipherable:
                closed.append(f"{table} {row.id}")
                break
    return closed
