"""`crossdock sources`: where providers post, and the secrets they sign with.

Left behind: rows and their line in the audit log, in one transaction; the ingress is told after the commit. Killed in
between, the maintenance tells it within a minute.
"""

from typing import Any, BinaryIO
from uuid import UUID

import click
import orjson

from cli import options, output
from cli.station import Station, at_work
from shared import sources, trials

COLUMNS = ["id", "provider", "path", "name", "active", "any_tenant", "account_id"]


@click.group("sources")
def command() -> None:
    """Sources: where providers post their webhooks.

    \b
    crossdock sources add shopify --secret "$SHOPIFY_SECRET"
    crossdock sources list
    crossdock sources rotate 0195… --secret "$NEW_SECRET" --overlap 86400
    """


@command.command("add")
@click.argument("provider")
@options.account_option
@click.option("--path", default="", help="Below /api/webhooks/; the provider's name unless given.")
@click.option("--name", default="", help="For people.")
@click.option("--secret", "secrets", multiple=True, help="What it signs with, newest first; one is made unless given.")
@click.option("--any-tenant", is_flag=True, help="Take any shop; otherwise only those of `integrations add`.")
@click.option("--topic", "topics", multiple=True, help="A topic that is wanted; all unless given.")
@click.option("--rate", type=click.IntRange(min=1), help="Most messages a second; no limit unless given.")
@click.option("--settings", "settings_text", default="{}", help="The provider's own settings, as JSON.")
@output.json_option
def add(
    *,
    provider: str,
    account_name: str | None,
    path: str,
    name: str,
    secrets: tuple[str, ...],
    any_tenant: bool,
    topics: tuple[str, ...],
    rate: int | None,
    settings_text: str,
    as_json: bool,
) -> None:
    """Add a source. A secret that is made here is shown this once; the ingress knows it within a second.

    \b
    crossdock sources add shopify --secret "$SHOPIFY_SECRET"
    crossdock sources add robaws --path robaws/customers
    crossdock sources add generic --path github --settings '{"preset": "github"}' --any-tenant
    """
    settings = _object(settings_text)
    with at_work() as station:
        with station.transaction() as connection:
            account_id = options.the_account(connection, account_name)["id"]
            row, secret = sources.create(
                connection,
                station.ring,
                account_id=account_id,
                provider=provider,
                path=path,
                name=name,
                secrets=secrets,
                settings=settings,
                any_tenant=any_tenant,
                allowed_topics=list(topics) or None,
                rate_per_second=rate,
                now=station.now(),
            )
            detail = {"provider": provider, "path": row["path"]}
            station.note(connection, "source.created", row["id"], account_id=account_id, detail=detail)
        station.publish()
    output.show_one(row if secret is None else {**row, "secret": secret}, as_json=as_json)


@command.command("list")
@options.account_option
@options.page_options
@output.json_option
def list_command(account_name: str | None, limit: int, before: UUID | None, as_json: bool) -> None:
    """List sources, newest first.

    \b
    crossdock sources list --account acme
    """
    with at_work() as station, station.transaction() as connection:
        account_id = options.an_account(connection, account_name)
        rows = sources.list_sources(connection, account_id=account_id, before=before, limit=limit)
    output.show_rows(rows, COLUMNS, as_json=as_json, empty="There is no source yet.")


@command.command("show")
@click.argument("source_id", type=click.UUID, metavar="ID")
@output.json_option
def show(source_id: UUID, as_json: bool) -> None:
    """Show a source; its secrets only by when they were made and end.

    \b
    crossdock sources show 0195c1a2-7f00-7a11-8b22-c33d44e55f66
    """
    with at_work() as station, station.transaction() as connection:
        row = sources.get(connection, source_id, account_id=None)
    output.show_one(row, as_json=as_json)


@command.command("rotate")
@click.argument("source_id", type=click.UUID, metavar="ID")
@click.option("--secret", help="The new secret; one is made unless given.")
@click.option("--overlap", default=86_400.0, show_default=True, help="Seconds that the old ones go on counting.")
@output.json_option
def rotate(source_id: UUID, secret: str | None, overlap: float, as_json: bool) -> None:
    """Give a source a new secret; the old ones verify too until the overlap ends, for vendors lag.

    \b
    crossdock sources rotate 0195… --secret "$NEW_SECRET" --overlap 3600
    """
    with at_work() as station:
        with station.transaction() as connection:
            account_id = sources.get(connection, source_id, account_id=None)["account_id"]
            row, made = sources.rotate(
                connection,
                station.ring,
                source_id,
                account_id=account_id,
                secret=secret,
                overlap_seconds=overlap,
                now=station.now(),
            )
            detail = {"overlapSeconds": overlap}
            station.note(connection, "source.rotated", source_id, account_id=account_id, detail=detail)
        station.publish()
    output.show_one(row if made is None else {**row, "secret": made}, as_json=as_json)


@command.command("enable")
@click.argument("source_id", type=click.UUID, metavar="ID")
@output.json_option
def enable(source_id: UUID, as_json: bool) -> None:
    """Take in what is posted to a source. Idempotent.

    \b
    crossdock sources enable 0195c1a2-7f00-7a11-8b22-c33d44e55f66
    """
    with at_work() as station:
        output.show_one(_switch(station, source_id, active=True), as_json=as_json)


@command.command("disable")
@click.argument("source_id", type=click.UUID, metavar="ID")
@output.json_option
def disable(source_id: UUID, as_json: bool) -> None:
    """Answer 403 to what is posted to a source. Idempotent.

    \b
    crossdock sources disable 0195c1a2-7f00-7a11-8b22-c33d44e55f66
    """
    with at_work() as station:
        output.show_one(_switch(station, source_id, active=False), as_json=as_json)


@command.command("try")
@click.argument("source_id", type=click.UUID, metavar="ID")
@click.option("--body", type=click.File("rb"), default="-", show_default=True, help="A file; - is standard input.")
@click.option("--header", "headers", multiple=True, help="As it is sent: `Name: value`.")
@click.option("--beneath", default="", help="What follows the source's own URL: `/...` or `?...`.")
@click.option("--settings", "settings_text", help="Settings to try before they are set, as JSON; else its own.")
@output.json_option
def try_command(
    *,
    source_id: UUID,
    body: BinaryIO,
    headers: tuple[str, ...],
    beneath: str,
    settings_text: str | None,
    as_json: bool,
) -> None:
    """Try a request out: whether it is genuine, what it would be, change and tell. Nothing is stored or sent.

    \b
    crossdock sources try 0195… --body order.json --settings "$(cat mapping.json)"
    crossdock sources try 0195… --body order.json --header 'X-Topic: order.created' --json
    """
    given = trials.Given(tuple(_header(text) for text in headers), body.read(), beneath=beneath)
    with at_work() as station, station.transaction() as connection:
        trial = trials.try_out(
            connection,
            station.ring,
            source_id,
            given,
            account_id=None,
            public_url=station.settings.public_url,
            settings=None if settings_text is None else _object(settings_text),
            now=station.now(),
        )
    output.show_one(trial.as_dict(), as_json=as_json)


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise click.BadParameter("`Name: value` is needed", param_hint="--header")
    return name.strip(), value.strip()


def _switch(station: Station, source_id: UUID, *, active: bool) -> dict[str, Any]:
    with station.transaction() as connection:
        account_id = sources.get(connection, source_id, account_id=None)["account_id"]
        changes = {"active": active}
        row = sources.change(connection, source_id, account_id=account_id, changes=changes, now=station.now())
        station.note(connection, f"source.{'enabled' if active else 'disabled'}", source_id, account_id=account_id)
    station.publish()
    return row


def _object(text: str) -> dict[str, Any]:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise click.BadParameter(f"not JSON: {error}", param_hint="--settings") from error
    if not isinstance(value, dict):
        raise click.BadParameter("a JSON object is needed", param_hint="--settings")
    return value
