"""`crossdock accounts`: make and list accounts.

Left behind: a row and its line in the audit log, in one transaction.
"""

from uuid import UUID

import click

from cli import options, output
from cli.station import at_work
from shared import accounts


@click.group("accounts")
def command() -> None:
    """Accounts: the merchants that own everything else.

    \b
    crossdock accounts create acme --title "Acme Ltd"
    crossdock accounts list
    """


@command.command("create")
@click.argument("slug")
@click.option("--title", default="", help="The name for people; the slug unless given.")
@output.json_option
def create(slug: str, title: str, as_json: bool) -> None:
    """Make an account. Its slug is what `--account` and the API's X-Admin-ID take.

    \b
    crossdock accounts create acme --title "Acme Ltd"
    """
    with at_work() as station, station.transaction() as connection:
        row = accounts.create(connection, slug=slug, title=title, now=station.now())
        station.note(connection, "account.created", row["id"], account_id=row["id"])
    output.show_one(row, as_json=as_json)


@command.command("list")
@options.page_options
@output.json_option
def list_command(limit: int, before: UUID | None, as_json: bool) -> None:
    """List accounts, newest first.

    \b
    crossdock accounts list --json
    """
    with at_work() as station, station.transaction() as connection:
        rows = accounts.list_accounts(connection, before=before, limit=limit)
    output.show_rows(rows, ["id", "slug", "title", "created_at"], as_json=as_json, empty="There is no account yet.")
