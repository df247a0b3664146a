"""The `crossdock` command: a table of commands, each loaded only when it is asked for.

Left behind: what the command left. Our own exceptions end as one line on standard error and exit code 1, a wrong
call as click's usage line and exit code 2; neither as a traceback.
"""

import importlib
import sys
from typing import Any

import click

from shared.errors import CrossdockError

# name -> what it does, in a few words. The module is cli/commands/<name>.py and its click command is `command`.
# The words stand here so that `--help` loads none of them; a test keeps them the same as the command's own.
COMMANDS = {
    "up": "Start everything on this machine and keep it running.",
    "demo": "Send webhooks through the whole way and check that none is lost.",
    "doctor": "Check every dependency, setting, queue and lag, and say what to do.",
    "migrate": "Bring the database to the newest schema.",
    "accounts": "Accounts: the merchants that own everything else.",
    "keys": "API keys of the admin API.",
    "sources": "Sources: where providers post their webhooks.",
    "integrations": "Integrations: the shops and sellers behind a source.",
    "subscriptions": "Subscriptions: who gets which events, and where.",
    "messages": "Messages: what providers sent, as it came.",
    "deliveries": "Deliveries: what is owed to subscriptions, and how it stands.",
    "records": "Records: users, orders, products and the rest, as providers tell of them.",
    "catalogue": "Event types: what subscriptions can name, with schema and example.",
    "exports": "Exports: people who want to see their data.",
    "erasures": "Erasures: people who want to be forgotten.",
    "refusals": "Refusals: requests that the ingress turned away.",
    "replay": "Replay deliveries, messages or events as a durable job.",
    "simulate": "Act as a provider: sign sample webhooks and send them.",
    "settings": "Every setting, what it does and what it is now.",
}


class _Commands(click.Group):
    """The commands of `COMMANDS`, each imported when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # the same
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"cli.commands.{cmd_name}").command
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # the same
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run one command; what cannot be done ends with one line and exit code 1."""
        try:
            return super().main(*args, **extra)
        except CrossdockError as error:
            _complain(getattr(error, "code", None), str(error))
        except Exception as error:
            said = _outage(error)
            if said is None:
                raise
            _complain("unavailable", said)
        sys.exit(1)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="crossdock")
def main() -> None:
    """Crossdock: signed provider webhooks in, signed and retried deliveries out.

    \b
    crossdock up                                  start everything
    crossdock simulate shopify customers/create   send a first webhook
    crossdock deliveries list                     see where it went
    crossdock doctor                              what is wrong, and what to do

    Commands work on DATABASE_URL and REDIS_URL, or on the servers of a running `crossdock up`.
    """


def _complain(code: str | None, message: str) -> None:
    prefix = f"error [{code}]: " if code else "error: "
    click.echo(prefix + message, err=True)


def _outage(error: Exception) -> str | None:
    """What to say when a server is away; `None` for anything else, which is a bug and shows itself as one."""
    # Late, for `--help` needs neither.
    import redis
    import sqlalchemy.exc

    if isinstance(error, sqlalchemy.exc.OperationalError | sqlalchemy.exc.InterfaceError):
        return f"PostgreSQL does not answer: {str(error.orig).strip().splitlines()[0]} (see `crossdock doctor`)"
    if isinstance(error, sqlalchemy.exc.ProgrammingError) and "UndefinedTable" in repr(error.orig):
        return "The database has no schema yet; run `crossdock migrate`."
    if isinstance(error, redis.RedisError):
        return f"Valkey does not answer: {error} (see `crossdock doctor`)"
    return None
