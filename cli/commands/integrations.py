"""`crossdock integrations`: the shops and sellers behind a source.

Left behind: a row and its line in the audit log, in one transaction; the ingress is told after the commit.
"""

from typing import IO, Any
from uuid import UUID

import click
import orjson

from cli import options, output
from cli.station import at_work
from shared import integrations, orders, queues, registrations, sources, upstream_work
from shared.errors import Unacceptable
from shared.upstream_work import Kind


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
@click.option("--credentials", "credentials_file", type=click.File("rb"), help="A JSON file of its keys; - reads them.")
@output.json_option
def add(source_id: UUID, external_id: str, credentials_file: IO[bytes] | None, as_json: bool) -> None:
    """Let a source take in what this shop sends. SHOP is as the provider names it.

    Keys to the provider's API, where it needs any, come from a file and are kept encrypted.

    \b
    crossdock integrations add 0195c1a2-7f00-7a11-8b22-c33d44e55f66 acme.myshopify.com
    crossdock integrations add 0195c1a2-7f00-7a11-8b22-c33d44e55f66 A2QUAYSIDE77X --credentials keys.json
    """
    credentials = _credentials(credentials_file)
    with at_work() as station:
        with station.transaction() as connection:
            account_id = sources.get(connection, source_id, account_id=None)["account_id"]
            row = integrations.create(
                connection,
                station.ring,
                account_id=account_id,
                source_id=source_id,
                external_id=external_id,
                credentials=credentials,
                now=station.now(),
            )
            detail = {"sourceId": str(source_id), "externalId": row["external_id"]}
            station.note(connection, "integration.created", row["id"], account_id=account_id, detail=detail)
        station.publish()
    output.show_one(row, as_json=as_json)


def _credentials(file: IO[bytes] | None) -> dict[str, Any] | None:
    if file is None:
        return None
    try:
        given = orjson.loads(file.read())
    except orjson.JSONDecodeError as error:
        raise Unacceptable("credentials_malformed", f"The credentials are not JSON: {error}.") from error
    if not isinstance(given, dict):
        raise Unacceptable("credentials_malformed", "The credentials are not a JSON object.")
    return given


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
            connection, station.ring, account_id=account_id, source_id=source_id, before=before, limit=limit
        )
    columns = ["id", "external_id", "state", "credentials_end_at", "source_id", "account_id"]
    output.show_rows(rows, columns, as_json=as_json, empty="There is no integration yet.")


@command.command("register")
@click.argument("integration_id", type=click.UUID, metavar="ID")
@output.json_option
def register(integration_id: UUID, as_json: bool) -> None:
    """Have the integration's webhooks registered at its provider: added, mended, removed. Safe to repeat.

    \b
    crossdock integrations register 0195c1a2-7f00-7a11-8b22-c33d44e55f66
    crossdock integrations upstream 0195c1a2-7f00-7a11-8b22-c33d44e55f66
    """
    _ask(integration_id, Kind.REGISTRATION, as_json=as_json)


@command.command("test")
@click.argument("integration_id", type=click.UUID, metavar="ID")
@output.json_option
def test(integration_id: UUID, as_json: bool) -> None:
    """Have a signed webhook sent the whole way to our public address, as the provider would.

    \b
    crossdock integrations test 0195c1a2-7f00-7a11-8b22-c33d44e55f66
    """
    _ask(integration_id, Kind.TRIAL, as_json=as_json)


@command.command("sync")
@click.argument("integration_id", type=click.UUID, metavar="ID")
@output.json_option
def sync(integration_id: UUID, as_json: bool) -> None:
    """Have the integration's data read whole at its provider, now.

    \b
    crossdock integrations sync 0195c1a2-7f00-7a11-8b22-c33d44e55f66
    """
    _ask(integration_id, Kind.SYNC, as_json=as_json)


@command.command("upstream")
@click.argument("integration_id", type=click.UUID, metavar="ID")
@output.json_option
def upstream(integration_id: UUID, as_json: bool) -> None:
    """Show what is done and registered at the integration's provider.

    \b
    crossdock integrations upstream 0195c1a2-7f00-7a11-8b22-c33d44e55f66
    """
    with at_work() as station, station.transaction() as connection:
        integrations.get(connection, station.ring, integration_id, account_id=None)
        work = upstream_work.standing(connection, integration_id)
        topics = registrations.list_registrations(connection, integration_id)
    if as_json:
        output.show_json({"work": work, "registrations": topics})
        return
    output.show_rows(
        work,
        ["kind", "state", "due_at", "finished_at", "error", "result"],
        as_json=False,
        empty="Nothing was asked for yet.",
    )
    output.show_rows(topics, ["topic", "state", "address", "note", "drops"], as_json=False, empty="")


def _ask(integration_id: UUID, kind: Kind, *, as_json: bool) -> None:
    """Have a kind of work done by a worker, and show how it stands."""
    with at_work() as station:
        with station.transaction() as connection:
            row = integrations.get(connection, station.ring, integration_id, account_id=None)
            upstream_work.ask_for(connection, row, kind, now=station.now())
            station.note(connection, f"integration.{kind}_asked", integration_id, account_id=row["account_id"])
            work = [one for one in upstream_work.standing(connection, integration_id) if one["kind"] == kind]
        orders.send(station.settings, queues.UPSTREAM_WORK)
    output.show_one(work[0], as_json=as_json)
