"""The tables that queries are written with are the database's own."""

import pytest
from sqlalchemy import Engine, inspect
from sqlalchemy.dialects import postgresql

from shared.db import upstream_tables
from shared.db.tables import metadata


@pytest.mark.parametrize("name", sorted(metadata.tables))
def test_the_columns_are_those_of_the_migrated_database(engine: Engine, name: str) -> None:
    dialect = postgresql.dialect()
    ours = {
        column.name: (column.type.compile(dialect=dialect), bool(column.nullable))
        for column in metadata.tables[name].columns
    }
    theirs = {
        column["name"]: (column["type"].compile(dialect=dialect), column["nullable"])
        for column in inspect(engine).get_columns(name)
    }
    assert ours == theirs


def test_every_table_of_the_database_is_known(engine: Engine) -> None:
    partitions = ("messages_", "events_", "attempts_")
    theirs = {name for name in inspect(engine).get_table_names() if not name.startswith(partitions)}
    assert upstream_tables.metadata is metadata
    assert theirs - {"alembic_version"} == set(metadata.tables)
