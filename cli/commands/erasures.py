"""`crossdock erasures`: people who want to be forgotten.

Left behind: a request with its audit row, in one transaction; the task `privacy.run` carries it out.
"""

from uuid import UUID

import click

from cli import options, output
from cli.station import at_work
from shared import orders, privacy, queues

COLUMNS = ["id", "state", "provider", "tenant", "subject", "requested_at", "due_at", "finished_at", "counts"]


@click.group("erasures")
def command() -> None:
    """Erasures: people who want to be forgotten.

    \b
    crossdock erasures list
    crossdock erasures ask 7064055069303700841 --provider shopify --tenant acme.myshopify.com --reason "her letter"
    """


@command.command("list")
@options.account_option
@click.option("--state", type=click.Choice(["requested", "held", "refused", "done"]), help="Only those in this state.")
@options.page_options
@output.json_option
def list_command(
    account_name: str | None, state: str | None, limit: int, before: UUID | None, *, as_json: bool
) -> None:
    """List requests to be forgotten, newest first, with what was erased.

    \b
    crossdock erasures list --state requested
    """
    with at_work() as station, station.transaction() as connection:
        account_id = options.an_account(connection, account_name)
        rows = privacy.list_requests(
            connection, "erasure", account_id=account_id, state=state, before=before, limit=limit
        )
    output.show_rows(rows, COLUMNS, as_json=as_json, empty="Nobody has asked.")


@command.command("ask")
@click.argument("customer")
@click.option("--provider", required=True, help="Whose customer.")
@click.option("--tenant", default="", help="The shop or seller.")
@click.option("--order", "named", multiple=True, metavar="ID", help="An order to be redacted as well; may be repeated.")
@click.option("--reason", help="Kept in the audit log.")
@click.option("--yes", is_flag=True, help="Do not ask whether it is meant.")
@options.account_option
@output.json_option
def ask(
    *,
    customer: str,
    provider: str,
    tenant: str,
    named: tuple[str, ...],
    reason: str | None,
    yes: bool,
    account_name: str | None,
    as_json: bool,
) -> None:
    """Erase CUSTOMER, by the provider's id, or with `*` all of a shop. It cannot be taken back.

    \b
    crossdock erasures ask 7064055069303700841 --provider shopify --tenant acme.myshopify.com --yes
    """
    whom = "everything" if customer == privacy.WHOLE_SHOP else f"customer {customer}"
    if not yes:
        click.confirm(f"Erase {whom} of {tenant or provider}? It cannot be taken back.", abort=True)
    with at_work() as station:
        with station.transaction() as connection:
            account_id = options.the_account(connection, account_name)["id"]
            made = privacy.ask_erasure(
                connection,
                account_id=account_id,
                provider=provider,
                tenant=tenant,
                subject=customer,
                orders=named,
                at=station.now(),
            )
            detail = {"customer": customer}
            station.note(connection, "erasure.requested", made, account_id=account_id, detail=detail, reason=reason)
            row = privacy.get(connection, "erasure", made, account_id=account_id)
        orders.send(station.settings, queues.PRIVACY)
    output.show_one(row, as_json=as_json)
