"""`crossdock exports`: people who want to see their data.

Left behind: a request with its audit row, in one transaction; the task `privacy.run` writes the file.
"""

from uuid import UUID

import click

from cli import options, output
from cli.station import at_work
from shared import orders, privacy, queues

COLUMNS = ["id", "state", "provider", "tenant", "subject", "requested_at", "due_at", "finished_at", "path"]


@click.group("exports")
def command() -> None:
    """Exports: people who want to see their data.

    \b
    crossdock exports list --state requested
    crossdock exports ask 7064055069303700841 --provider shopify --tenant acme.myshopify.com
    """


@command.command("list")
@options.account_option
@click.option("--state", type=click.Choice(["requested", "done"]), help="Only those in this state.")
@options.page_options
@output.json_option
def list_command(
    account_name: str | None, state: str | None, limit: int, before: UUID | None, *, as_json: bool
) -> None:
    """List requests for one's data, newest first, with where the file is.

    \b
    crossdock exports list
    """
    with at_work() as station, station.transaction() as connection:
        account_id = options.an_account(connection, account_name)
        rows = privacy.list_requests(
            connection, "export", account_id=account_id, state=state, before=before, limit=limit
        )
    output.show_rows(rows, COLUMNS, as_json=as_json, empty="Nobody has asked.")


@command.command("ask")
@click.argument("customer")
@click.option("--provider", required=True, help="Whose customer.")
@click.option("--tenant", default="", help="The shop or seller.")
@options.account_option
@output.json_option
def ask(customer: str, provider: str, tenant: str, account_name: str | None, *, as_json: bool) -> None:
    """Ask for the data of CUSTOMER, by the provider's id; the file is there within a minute.

    \b
    crossdock exports ask 7064055069303700841 --provider shopify --tenant acme.myshopify.com
    """
    with at_work() as station:
        with station.transaction() as connection:
            account_id = options.the_account(connection, account_name)["id"]
            made = privacy.ask_export(
                connection,
                account_id=account_id,
                provider=provider,
                tenant=tenant,
                subject=customer,
                at=station.now(),
            )
            station.note(connection, "export.requested", made, account_id=account_id, detail={"customer": customer})
            row = privacy.get(connection, "export", made, account_id=account_id)
        orders.send(station.settings, queues.PRIVACY)
    output.show_one(row, as_json=as_json)
