"""`crossdock subscriptions`: who gets which events, and where.

Left behind: rows and their line in the audit log, in one transaction; the dispatcher is woken after the commit. Killed
in between, beat wakes it within a second.
"""

from typing import Any
from uuid import UUID

import click

from cli import options, output, subscription_options
from cli.station import Station, at_work
from shared import deliveries, events, orders, subscriptions
from shared.destinations.registry import DESTINATIONS
from shared.errors import Conflict, Unacceptable
from shared.events import CATALOGUE, EventDraft
from shared.subscription_fields import check, told

COLUMNS = ["id", "name", "url", "events", "active", "disabled_reason", "success_count", "failed_count"]
TEST_TYPE = "webhook.test"
_ID = click.argument("subscription_id", type=click.UUID, metavar="ID")


@click.group("subscriptions")
def command() -> None:
    """Subscriptions: who gets which events, and where.

    \b
    crossdock subscriptions add --name CRM --url https://crm.example.com/hooks --event 'user.*'
    crossdock subscriptions list
    crossdock subscriptions enable 0195… --held deliver
    """


@command.command("add")
@options.account_option
@click.option("--name", required=True, help="For people.")
@click.option("--url", help="Where events are posted to; a destination whose API we know has its own.")
@click.option("--event", "events", multiple=True, required=True, help="A type, `user.*` or `*`; may be repeated.")
@subscription_options.fields
@output.json_option
def add(*, account_name: str | None, as_json: bool, **given: Any) -> None:
    """Add a subscription, and show its secret this once.

    \b
    crossdock subscriptions add --name CRM --url https://crm.example.com/hooks --event 'user.*'
    crossdock subscriptions add --name ERP --url https://erp.example.com/in --event '*' --ordering strict
    crossdock subscriptions add --name xwanai --destination xwanai --credential-file key.txt --event 'user.*'
    """
    with at_work() as station:
        checked = check(station.settings, subscription_options.columns(given))
        with station.transaction() as connection:
            account_id = options.the_account(connection, account_name)["id"]
            row, secret = subscriptions.create(
                connection, station.ring, station.settings, account_id=account_id, checked=checked, now=station.now()
            )
            detail = told(checked.values)
            station.note(connection, "subscription.created", row["id"], account_id=account_id, detail=detail)
    _warn(checked.warnings)
    output.show_one({**row, "secret": secret or None}, as_json=as_json)


@command.command("list")
@options.account_option
@click.option("--active/--disabled", "active", default=None, help="Only these.")
@click.option("--name", help="Only those with this in their name.")
@options.page_options
@output.json_option
def list_command(
    *, account_name: str | None, active: bool | None, name: str | None, limit: int, before: UUID | None, as_json: bool
) -> None:
    """List subscriptions, newest first.

    \b
    crossdock subscriptions list --disabled
    crossdock subscriptions list --name crm
    """
    with at_work() as station, station.transaction() as connection:
        account_id = options.an_account(connection, account_name)
        rows = subscriptions.list_subscriptions(
            connection, account_id=account_id, active=active, name=name, before=before, limit=limit
        )
    output.show_rows(rows, COLUMNS, as_json=as_json, empty="There is no such subscription.")


@command.command("show")
@_ID
@output.json_option
def show(subscription_id: UUID, as_json: bool) -> None:
    """Show a subscription with how it does; its secrets only by when they were made and end.

    \b
    crossdock subscriptions show 0195c1a2-7f00-7a11-8b22-c33d44e55f66
    """
    with at_work() as station, station.transaction() as connection:
        row = subscriptions.get(connection, subscription_id, account_id=None)
    output.show_one(row, as_json=as_json)


@command.command("update")
@_ID
@click.option("--name", help="For people.")
@click.option("--url", help="Where events are posted to.")
@click.option("--event", "events", multiple=True, help="A type, `user.*` or `*`; together they replace the old ones.")
@subscription_options.fields
@output.json_option
def update(*, subscription_id: UUID, as_json: bool, **given: Any) -> None:
    """Change a subscription; what is not given stays as it is.

    \b
    crossdock subscriptions update 0195… --url https://new.example.com/hooks
    crossdock subscriptions update 0195… --event user.created --event user.deleted
    """
    values = subscription_options.columns(given)
    if not values:
        raise Unacceptable("nothing_to_change", "Name what is to change; see --help.")
    with at_work() as station:
        with station.transaction() as connection:
            row = subscriptions.get(connection, subscription_id, account_id=None)
        # Outside a transaction: it asks a name server.
        checked = check(station.settings, values, destination=row["destination"])
        with station.transaction() as connection:
            row = subscriptions.change(
                connection,
                station.ring,
                subscription_id,
                account_id=row["account_id"],
                checked=checked,
                now=station.now(),
            )
            detail = told(checked.values)
            station.note(connection, "subscription.updated", row["id"], account_id=row["account_id"], detail=detail)
    _warn(checked.warnings)
    output.show_one(row, as_json=as_json)


@command.command("enable")
@_ID
@click.option(
    "--held",
    type=click.Choice(["deliver", "discard"]),
    default="deliver",
    show_default=True,
    help="What becomes of the deliveries that were held meanwhile.",
)
@click.option("--newest", type=click.IntRange(min=0), help="Deliver only so many of the newest; discard the rest.")
@output.json_option
def enable(subscription_id: UUID, held: Any, newest: int | None, as_json: bool) -> None:
    """Enable a subscription, and deliver or discard what was held. Idempotent.

    \b
    crossdock subscriptions enable 0195…
    crossdock subscriptions enable 0195… --newest 100
    """
    with at_work() as station:
        with station.transaction() as connection:
            account_id = _owner(connection, subscription_id)
            row, released = subscriptions.enable(
                connection, subscription_id, account_id=account_id, held=held, newest=newest, now=station.now()
            )
            detail = {"held": held, "newest": newest, "moved": released}
            station.note(connection, "subscription.enabled", subscription_id, account_id=account_id, detail=detail)
        orders.wake_dispatch(station.settings, station.client)
    output.show_one({**row, "released": released}, as_json=as_json)


@command.command("disable")
@_ID
@output.json_option
def disable(subscription_id: UUID, as_json: bool) -> None:
    """Disable a subscription; its deliveries are held until it is enabled. Idempotent.

    \b
    crossdock subscriptions disable 0195c1a2-7f00-7a11-8b22-c33d44e55f66
    """
    with at_work() as station, station.transaction() as connection:
        account_id = _owner(connection, subscription_id)
        row, held = subscriptions.disable(connection, subscription_id, account_id=account_id, now=station.now())
        detail = {"moved": held}
        station.note(connection, "subscription.disabled", subscription_id, account_id=account_id, detail=detail)
    output.show_one({**row, "held": held}, as_json=as_json)


@command.command("rotate")
@_ID
@click.option("--overlap", default=86_400.0, show_default=True, help="Seconds in which both signatures are sent.")
@output.json_option
def rotate(subscription_id: UUID, overlap: float, as_json: bool) -> None:
    """Make a new secret, and show it this once; until the overlap ends requests carry both signatures.

    \b
    crossdock subscriptions rotate 0195… --overlap 3600
    """
    with at_work() as station, station.transaction() as connection:
        account_id = _owner(connection, subscription_id)
        row, secret = subscriptions.rotate(
            connection,
            station.ring,
            subscription_id,
            account_id=account_id,
            overlap_seconds=overlap,
            now=station.now(),
        )
        detail = {"overlapSeconds": overlap}
        station.note(connection, "subscription.rotated", subscription_id, account_id=account_id, detail=detail)
    output.show_one({**row, "secret": secret}, as_json=as_json)


@command.command("delete")
@_ID
@output.json_option
@click.confirmation_option(prompt="Delete it and discard what waits for it?")
def delete(subscription_id: UUID, as_json: bool) -> None:
    """Delete a subscription; what waits for it is discarded, its history stays.

    \b
    crossdock subscriptions delete 0195… --yes
    """
    with at_work() as station, station.transaction() as connection:
        account_id = _owner(connection, subscription_id)
        discarded = subscriptions.remove(connection, subscription_id, account_id=account_id, now=station.now())
        detail = {"discarded": discarded}
        station.note(connection, "subscription.deleted", subscription_id, account_id=account_id, detail=detail)
    output.show_one({"id": subscription_id, "discarded": discarded}, as_json=as_json)


@command.command("test")
@_ID
@output.json_option
def test(subscription_id: UUID, as_json: bool) -> None:
    """Send a test event to a subscription and to no other.

    \b
    crossdock subscriptions test 0195… && crossdock deliveries list --subscription 0195…
    """
    with at_work() as station:
        event_id, delivery_id = _send_test(station, subscription_id)
        orders.wake_dispatch(station.settings, station.client)
    output.show_one({"event_id": event_id, "delivery_id": delivery_id}, as_json=as_json)


def _send_test(station: Station, subscription_id: UUID) -> tuple[UUID, UUID]:
    now = station.now()
    kind = CATALOGUE[TEST_TYPE]
    with station.transaction() as connection:
        row = subscriptions.get(connection, subscription_id, account_id=None)
        if not row["active"]:
            raise Conflict("webhook_disabled", "The subscription is disabled; enable it first.")
        if not DESTINATIONS[row["destination"]].takes(TEST_TYPE):
            raise Conflict("test_not_carried", "This destination carries no test events; change a record instead.")
        draft = EventDraft(
            account_id=row["account_id"],
            type=TEST_TYPE,
            body=events.envelope(event_type=TEST_TYPE, data=kind.data, source="crossdock", action=kind.action, at=now),
            occurred_at=now,
        )
        events.emit(connection, [draft], now=now, only_subscription=subscription_id)
        made = deliveries.list_deliveries(connection, account_id=row["account_id"], event_id=draft.id, limit=1)
        detail = {"eventId": str(draft.id)}
        station.note(connection, "subscription.tested", subscription_id, account_id=row["account_id"], detail=detail)
    return draft.id, made[0]["id"]


def _owner(connection: Any, subscription_id: UUID) -> UUID:
    account_id: UUID = subscriptions.get(connection, subscription_id, account_id=None)["account_id"]
    return account_id


def _warn(warnings: tuple[str, ...]) -> None:
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)
