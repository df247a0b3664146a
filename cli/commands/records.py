"""`crossdock records`: users, orders, products and the rest, as providers tell of them.

Only reads; nothing is left behind.
"""

from datetime import datetime
from uuid import UUID

import click

from cli import options, output
from cli.station import at_work
from shared import records
from shared.record_kinds import KINDS

PLURALS = {kind.plural: kind for kind in KINDS.values()}
# What a table shows, where the kind has it.
COLUMNS = ["id", "externalId", "provider", "tenant", "number", "title", "name", "email", "status", "financialStatus"]
MORE = ["totalMinor", "amountMinor", "priceMinor", "currency", "available", "stock", "deletedAt"]


@click.group("records")
def command() -> None:
    """Records: users, orders, products and the rest, as providers tell of them.

    \b
    crossdock records list orders --status open
    crossdock records show products 0195…
    """


@command.command("list")
@click.argument("kind", type=click.Choice(list(PLURALS)))
@options.account_option
@click.option("--provider", help="Only those of this provider.")
@click.option("--tenant", help="Only those of this shop or seller.")
@click.option("--external-id", help="Only the one with this id at the provider.")
@click.option("--status", help="Only those in this status.")
@click.option("--updated-after", type=options.Instant(), help="Only those changed after: 2026-01-31, or 2h, 3d ago.")
@click.option("--deleted", is_flag=True, help="Those deleted at the provider as well.")
@options.page_options
@output.json_option
def list_command(
    *,
    kind: str,
    account_name: str | None,
    provider: str | None,
    tenant: str | None,
    external_id: str | None,
    status: str | None,
    updated_after: datetime | None,
    deleted: bool,
    limit: int,
    before: UUID | None,
    as_json: bool,
) -> None:
    """List the records of a kind, newest first.

    \b
    crossdock records list orders --updated-after 1h
    crossdock records list inventory --provider shopify --json
    """
    chosen = PLURALS[kind]
    with at_work() as station, station.transaction() as connection:
        rows = records.list_records(
            connection,
            chosen,
            account_id=options.an_account(connection, account_name),
            provider=provider,
            tenant=tenant,
            external_id=external_id,
            status=status,
            updated_after=updated_after,
            with_deleted=deleted,
            before=before,
            limit=limit,
        )
    shown = [records.shown(chosen, row) for row in rows]
    columns = [name for name in (*COLUMNS, *MORE) if not shown or name in shown[0]]
    output.show_rows(shown, columns, as_json=as_json, empty=f"There are no such {kind}.")


@command.command("show")
@click.argument("kind", type=click.Choice(list(PLURALS)))
@click.argument("record_id", type=click.UUID, metavar="ID")
@output.json_option
def show(kind: str, record_id: UUID, as_json: bool) -> None:
    """Show one record.

    \b
    crossdock records show orders 0195c1a2-7f00-7a11-8b22-c33d44e55f66
    """
    with at_work() as station, station.transaction() as connection:
        row = records.get(connection, PLURALS[kind], record_id, account_id=None)
    output.show_one(records.shown(PLURALS[kind], row), as_json=as_json)
