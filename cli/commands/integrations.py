"""`crossdock integrations`: the shops and sellers behind a source.

Left behind: a row and its line in the audit log, in one transaction; the ingress is told after the commit.
"""

from uuid import UUID

import click

from cli import options, output
from cli.station import at_work
from shared import integrations, sources


@click.group("integrations")
def command() -> None:
    """Integrations: the shops and sellers behind a source.

    A source of a provider with tenants takes in only what its integrations send, unless it was added with
    --any-tenant.

    \b
    crossdock integrations add 0195… acme.myshopify.com
    crossdock integrations list
    """


@command.command("add")
@click.argument("source_id", type=click.UUID, metavar="SOURCE")
@click.argument("external_id", metavar="SHOP")
@output.json_option
def add(source_id: UUID, external_id: str, as_json: bool) -> None:
    """Let a source take in what this shop sends. SHOP is as the provider names it.

    \b
    crossdock integrations add 0195c1a2-7f00-7a11-8b22-c33d44e55f66 acme.myshopify.com
    """
    with at_work() as station:
        with station.transaction() as connection:
            account_id = sources.get(connection, source_id, account_id=None)["account_id"]
            row = integrations.create(
                connection,
                station.ring,
                account_id=account_id,
                source_id=source_id,
                external_id=external_id,
                now=station.now(),
            )
            detail = {"sourceId": str(source_id), "externalId": row["external_id"]}
            station.note(connection, "integration.created", row["id"], account_id=account_id, detail=detail)
        station.publish()
    output.show_one(row, as_json=as_json)


@command.command("list")
@options.account_option
@click.option("--source", "source_id", type=click.UUID, metavar="ID", help="Only those of this source.")
@options.page_options
@output.json_option
def list_command(
    account_name: str | None, source_id: UUID | None, limit: int, before: UUID | None, as_json: bool
) -> None:
    """List integrations, newest first.

    \b
    crossdock integrations list --source 0195c1a2-7f00-7a11-8b22-c33d44e55f66
    """
    with at_work() as station, station.transaction() as connection:
        account_id = options.an_account(connection, account_name)
        rows = integrations.list_integrations(
            connection, account_id=account_id, source_id=source_id, before=before, limit=limit
        )
    columns = ["id", "external_id", "state", "source_id", "account_id"]
    output.show_rows(rows, columns, as_json=as_json, empty="There is no integration yet.")
