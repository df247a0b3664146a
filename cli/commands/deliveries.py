"""`crossdock deliveries`: what is owed to subscriptions, and how it stands.

Only reads; nothing is left behind.
"""

from datetime import datetime
from uuid import UUID

import click

from cli import options, output
from cli.station import at_work
from shared import deliveries
from shared.states import DeliveryState

COLUMNS = ["id", "created_at", "event_type", "state", "attempts", "last_status", "last_error", "next_attempt_at"]


@click.group("deliveries")
def command() -> None:
    """Deliveries: what is owed to subscriptions, and how it stands.

    \b
    crossdock deliveries list --state dead --since 1d
    crossdock deliveries show 0195…
    """


@command.command("list")
@options.account_option
@click.option("--subscription", "subscription_id", type=click.UUID, metavar="ID", help="Only those of this one.")
@click.option("--event", "event_id", type=click.UUID, metavar="ID", help="Only those of this event.")
@click.option("--message", "message_id", type=click.UUID, metavar="ID", help="Only of what this message meant.")
@click.option("--source", "source_id", type=click.UUID, metavar="ID", help="Only of what came in through this source.")
@click.option("--event-type", help="Only of this type, or of these: 'order.*'.")
@click.option("--state", "states", multiple=True, type=click.Choice([state.value for state in DeliveryState]))
@click.option("--status-code", "status_codes", multiple=True, help="Only with this last HTTP status: 503, or 5xx.")
@click.option("--error-code", "error_codes", multiple=True, help="Only with this last error: timeout, http_500, …")
@options.time_options
@options.page_options
@output.json_option
def list_command(
    *,
    account_name: str | None,
    subscription_id: UUID | None,
    event_id: UUID | None,
    message_id: UUID | None,
    source_id: UUID | None,
    event_type: str | None,
    states: tuple[str, ...],
    status_codes: tuple[str, ...],
    error_codes: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
    limit: int,
    before: UUID | None,
    as_json: bool,
) -> None:
    """List deliveries, newest first. With --subscription, --before takes an event's id.

    \b
    crossdock deliveries list --state held --state dead
    crossdock deliveries list --subscription 0195… --since 2h
    crossdock deliveries list --status-code 5xx --error-code timeout
    """
    with at_work() as station, station.transaction() as connection:
        rows = deliveries.list_deliveries(
            connection,
            account_id=options.an_account(connection, account_name),
            subscription_id=subscription_id,
            event_id=event_id,
            message_id=message_id,
            source_id=source_id,
            event_type=event_type,
            states=states or None,
            status_codes=status_codes or None,
            error_codes=error_codes or None,
            since=since,
            until=until,
            before=before,
            limit=limit,
        )
    output.show_rows(rows, COLUMNS, as_json=as_json, empty="There is no such delivery.")


@command.command("show")
@click.argument("delivery_id", type=click.UUID, metavar="ID")
@output.json_option
def show(delivery_id: UUID, as_json: bool) -> None:
    """Show a delivery with its event's body and every attempt.

    \b
    crossdock deliveries show 0195c1a2-7f00-7a11-8b22-c33d44e55f66
    """
    with at_work() as station, station.transaction() as connection:
        row = deliveries.get(connection, delivery_id, account_id=None)
    attempts = row["attempts_made"]
    if as_json:
        output.show_json(row)
        return
    output.show_one({name: value for name, value in row.items() if name != "attempts_made"}, as_json=False)
    click.echo()
    columns = ["number", "started_at", "verdict", "status", "duration_ms", "error_code", "error", "response_excerpt"]
    output.show_rows(attempts, columns, as_json=False, empty="There was no attempt yet.")
