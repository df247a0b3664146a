"""`crossdock keys`: API keys of the admin API.

Left behind: a row and its line in the audit log, in one transaction. A key whose printing was missed is revoked and
made anew; it cannot be had again.
"""

from uuid import UUID

import click

from cli import options, output
from cli.station import at_work
from shared import keys
from shared.states import Role


@click.group("keys")
def command() -> None:
    """API keys of the admin API.

    \b
    crossdock keys create --account acme --role admin --name "Ann's laptop"
    crossdock keys list
    crossdock keys revoke 0195…
    """


@command.command("create")
@options.account_option
@click.option("--role", type=click.Choice([role.value for role in Role]), default=Role.ADMIN.value, show_default=True)
@click.option("--name", required=True, help="What the key is for.")
@output.json_option
def create(account_name: str | None, role: str, name: str, as_json: bool) -> None:
    """Make a key, and show it this once.

    viewer reads; operator replays, enables, disables and tests; admin changes everything of its account; superuser
    reaches every account and belongs to none.

    \b
    crossdock keys create --account acme --role operator --name "on call"
    crossdock keys create --role superuser --name "root"
    """
    superuser = role == Role.SUPERUSER and account_name is None
    with at_work() as station, station.transaction() as connection:
        account_id = None if superuser else options.the_account(connection, account_name)["id"]
        row, key = keys.create(connection, account_id=account_id, name=name, role=Role(role), now=station.now())
        station.note(connection, "key.created", row["id"], account_id=account_id, detail={"role": role, "name": name})
    output.show_one({**row, "key": key}, as_json=as_json)


@command.command("list")
@options.account_option
@options.page_options
@output.json_option
def list_command(account_name: str | None, limit: int, before: UUID | None, as_json: bool) -> None:
    """List keys, newest first, revoked ones too.

    \b
    crossdock keys list --account acme
    """
    with at_work() as station, station.transaction() as connection:
        account_id = options.an_account(connection, account_name)
        rows = keys.list_keys(connection, account_id=account_id, before=before, limit=limit)
    columns = ["id", "prefix", "role", "name", "account_id", "last_used_at", "revoked_at"]
    output.show_rows(rows, columns, as_json=as_json, empty="There is no key.")


@command.command("revoke")
@click.argument("key_id", type=click.UUID, metavar="ID")
@options.account_option
@output.json_option
def revoke(key_id: UUID, account_name: str | None, as_json: bool) -> None:
    """Revoke a key: it counts no more from the next request on. Idempotent.

    \b
    crossdock keys revoke 0195c1a2-7f00-7a11-8b22-c33d44e55f66
    """
    with at_work() as station, station.transaction() as connection:
        account_id = options.an_account(connection, account_name)
        row = keys.revoke(connection, key_id, account_id=account_id, now=station.now())
        station.note(connection, "key.revoked", row["id"], account_id=row["account_id"])
    output.show_one(row, as_json=as_json)
