"""`crossdock up`: everything, on this machine, until Ctrl-C.

Left behind: the data folder, which the next `up` finds. Killed outright, it takes servers and processes with it within
seconds, and the next `up` ends first what has not gone. Nothing that was acknowledged is lost either way.
"""

import signal
import sys
import threading
from dataclasses import asdict
from types import FrameType

import click
from honcho.printer import Printer

from cli import first_start, output, running, stack
from cli.stack import Addresses
from cli.station import opened
from shared.settings import current


@click.command("up")
@output.json_option
def command(as_json: bool) -> None:
    """Start everything on this machine and keep it running.

    PostgreSQL and Valkey come along and keep their data in CROSSDOCK_DATA_DIR, unless DATABASE_URL and REDIS_URL name
    others. Processes and servers that die are started again. The first start prints an admin API key, once, and three
    lines that send a first webhook. Ctrl-C finishes what is in hand and stops everything; a second one does not wait.

    \b
    crossdock up
    CROSSDOCK_DATA_DIR=/srv/crossdock crossdock up

    With --json one line of JSON tells the addresses when all is ready; the processes' lines go to standard error.
    """
    stopped = _on_signal()
    with stack.held(current().data_dir):
        settings = stack.with_free_ports(current())
        click.echo("Starting PostgreSQL and Valkey …", err=as_json)
        with running.servers(settings) as connected, opened(connected) as station:
            key = first_start.prepare(station)
            station.publish()
            addresses = stack.addresses_of(connected)
            with running.processes(connected, Printer(sys.stderr if as_json else sys.stdout)) as supervisor:
                try:
                    running.wait_until_ready(
                        [f"{addresses.ingress}/healthz", f"{addresses.console}/healthz"], stopped=stopped
                    )
                    if not stopped.is_set():
                        _tell(addresses, key, as_json=as_json)
                    stopped.wait()
                finally:
                    _impatience(supervisor.hurry)
                    click.echo("Stopping …", err=as_json)


def _on_signal() -> threading.Event:
    stopped = threading.Event()

    def stop(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001  # the signature of a handler
        stopped.set()

    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, stop)
    return stopped


def _impatience(hurry: threading.Event) -> None:
    """From now on a signal means: do not wait for what is in hand."""

    def stop(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001  # the signature of a handler
        hurry.set()

    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, stop)


def _tell(addresses: Addresses, key: str | None, *, as_json: bool) -> None:
    lines = first_start.first_webhook(addresses, key) if key else []
    if as_json:
        output.show_line({"addresses": asdict(addresses), "api_key": key, "first_webhook": lines})
        return
    click.echo(
        f"\nCrossdock is up.\n"
        f"  providers post to   {addresses.ingress}/api/webhooks/<source path>\n"
        f"  admin API           {addresses.console}/api/admin  (reference: {addresses.console}/api/docs)\n"
        f"  Flower              {addresses.flower}\n"
        f"  Ctrl-C stops it.\n"
    )
    if key:
        click.echo(f"Your admin API key, shown this once:\n\n  {key}\n\nSend a first webhook:\n")
        click.echo("\n\n".join(lines) + "\n")
        program = output.program()
        click.echo(f"Then look: {program} messages list; {program} deliveries list\n")
