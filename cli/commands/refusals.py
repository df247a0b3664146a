"""`crossdock refusals`: requests that the ingress turned away.

Only reads; nothing is left behind.
"""

import click

from cli import options, output
from cli.station import at_work
from shared import refusals

COLUMNS = ["at", "code", "status", "provider", "path", "remoteAddr", "message"]  # its rows are JSON already


@click.group("refusals")
def command() -> None:
    """Refusals: requests that the ingress turned away.

    \b
    crossdock refusals list
    """


@command.command("list")
@options.account_option
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000), help="Most rows to show.")
@click.option("--before", metavar="ID", help="Only those older than this one.")
@output.json_option
def list_command(account_name: str | None, limit: int, before: str | None, as_json: bool) -> None:
    """List refusals, newest first: why, and what was sent, without secrets.

    \b
    crossdock refusals list --json | jq '.[0]'
    """
    with at_work() as station:
        with station.transaction() as connection:
            account_id = options.an_account(connection, account_name)
        rows = refusals.recent(
            station.client, limit, before, account_id=None if account_id is None else str(account_id)
        )
    output.show_rows(rows, COLUMNS, as_json=as_json, empty="Nothing was refused.")
