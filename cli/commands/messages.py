"""`crossdock messages`: what providers sent.

Only reads; nothing is left behind.
"""

from datetime import datetime
from uuid import UUID

import click

from cli import options, output
from cli.station import at_work
from shared import messages
from shared.states import MessageState

COLUMNS = ["id", "received_at", "provider", "topic", "tenant", "state", "reason", "events_count"]


@click.group("messages")
def command() -> None:
    """Messages: what providers sent, as it came.

    \b
    crossdock messages list --state failed
    crossdock messages show 0195…
    """


@command.command("list")
@options.account_option
@click.option("--state", "states", multiple=True, type=click.Choice([state.value for state in MessageState]))
@click.option("--source", "source_id", type=click.UUID, metavar="ID", help="Only what came in through this source.")
@click.option("--provider", help="Only this provider's.")
@click.option("--topic", help="Only this topic, in the provider's words.")
@click.option("--tenant", help="Only this shop's.")
@click.option("--delivery-key", help="The provider's own id of the delivery.")
@options.time_options
@options.page_options
@output.json_option
def list_command(
    *,
    account_name: str | None,
    states: tuple[str, ...],
    source_id: UUID | None,
    provider: str | None,
    topic: str | None,
    tenant: str | None,
    delivery_key: str | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    before: UUID | None,
    as_json: bool,
) -> None:
    """List messages, newest first, without their bodies.

    \b
    crossdock messages list --state failed --since 2h
    crossdock messages list --topic customers/create --tenant acme.myshopify.com
    """
    with at_work() as station, station.transaction() as connection:
        rows = messages.list_messages(
            connection,
            account_id=options.an_account(connection, account_name),
            states=states or None,
            source_id=source_id,
            provider=provider,
            topic=topic,
            tenant=tenant,
            delivery_key=delivery_key,
            since=since,
            until=until,
            before=before,
            limit=limit,
        )
    output.show_rows(rows, COLUMNS, as_json=as_json, empty="There is no such message.")


@command.command("show")
@click.argument("message_id", type=click.UUID, metavar="ID")
@output.json_option
def show(message_id: UUID, as_json: bool) -> None:
    """Show a message with its headers, its body and the events it made.

    \b
    crossdock messages show 0195c1a2-7f00-7a11-8b22-c33d44e55f66
    """
    with at_work() as station, station.transaction() as connection:
        row = messages.get(connection, message_id, account_id=None)
    digest = bytes(row["body_digest"]).hex()
    output.show_one({**row, "body_digest": digest}, as_json=as_json)
