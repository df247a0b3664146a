"""`crossdock migrate`: the newest schema.

Left behind: whole revisions. Killed in the middle, it leaves the ones that were committed, and can be run again.
"""

import click

from cli import output
from cli.station import at_work
from shared.db import migrate


@click.command("migrate")
@output.json_option
def command(as_json: bool) -> None:
    """Bring the database to the newest schema.

    Idempotent, and safe to run from several places at once. Also makes the partitions of the coming weeks.
    `crossdock up` does this by itself.

    \b
    DATABASE_URL=postgresql://… REDIS_URL=redis://… crossdock migrate
    """
    with at_work() as station:
        with station.engine.connect() as connection:
            before = migrate.revision(connection)
        after = migrate.migrate(station.engine, now=station.now())
    if as_json:
        output.show_json({"before": before, "after": after})
    elif before == after:
        click.echo(f"The schema is at revision {after} already.")
    else:
        click.echo(f"The schema is at revision {after} now.")
