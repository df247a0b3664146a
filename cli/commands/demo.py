"""`crossdock demo`: the whole way, with good and bad webhooks, on servers of its own, and its sums checked.

Left behind: nothing, but with --keep until Ctrl-C. Killed outright it leaves a folder below the system's temporary one.
"""

import asyncio
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType

import click
from honcho.printer import Printer
from rich.console import Console

from cli import output, running, stack
from cli.demo import report
from cli.demo.run import OVERRIDES, Result, run
from cli.demo.stage import OWNERS
from cli.station import Station, opened
from shared.errors import CrossdockError
from shared.settings import load

LINES = 60  # of the processes' log, when something went wrong
LEAST = 100  # fewer do not wear the broken subscription out


@click.command("demo")
@click.option("--count", default=600, show_default=True, type=click.IntRange(min=LEAST), help="Webhooks to send.")
@click.option("--keep", is_flag=True, help="Leave everything running afterwards, until Ctrl-C.")
@output.json_option
def command(count: int, keep: bool, as_json: bool) -> None:
    """Send webhooks through the whole way and check that none is lost.

    Starts PostgreSQL, Valkey and every process on a temporary folder, makes four accounts with a source of Shopify,
    Amazon, Flipkart and Robaws, and sends signed webhooks of customers, orders, reports and parcels: some repeated,
    some out of order, some forged. A CRM on this machine verifies every delivery; it fails every tenth, is slow for one
    subscription and dead for another. At the end every acknowledged webhook must be accounted for, or the exit code is
    1.

    \b
    crossdock demo
    crossdock demo --count 5000
    crossdock demo --keep
    """
    signal.signal(signal.SIGTERM, _interrupt)
    console = output.console(stderr=as_json)
    folder = Path(tempfile.mkdtemp(prefix="crossdock-demo-"))
    try:
        holds = _demo(folder, count, keep=keep, as_json=as_json, console=console)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(0 if holds else 1)


def _interrupt(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001  # the signature of a handler
    raise KeyboardInterrupt


def _demo(folder: Path, count: int, *, keep: bool, as_json: bool, console: Console) -> bool:
    data_dir = folder / "data"
    settings = load(
        **{**OVERRIDES, "data_dir": data_dir, "sns_stand_in": folder / "sns", "database_url": "", "redis_url": ""}
    )
    log = folder / "processes.log"
    try:
        with stack.held(data_dir), log.open("w") as lines:
            console.print("Starting PostgreSQL, Valkey and the processes ...")
            with running.servers(stack.with_free_ports(settings)) as connected, opened(connected) as station:
                printer = Printer(lines)
                performance = _perform(station, count, lines=printer, keep=keep, as_json=as_json, console=console)
                holds = asyncio.run(performance)
    except CrossdockError:
        _tell_log(log, console)
        raise
    if not holds:
        _tell_log(log, console)
    return holds


def _tell_log(log: Path, console: Console) -> None:
    """Show why it went wrong: the file is about to be removed."""
    lines = log.read_text(errors="replace").splitlines()[-LINES:] if log.exists() else []
    console.print("\n".join(["", "The last lines of the processes:", "", *lines]), markup=False)


async def _perform(
    station: Station, count: int, *, lines: Printer, keep: bool, as_json: bool, console: Console
) -> bool:
    watch = report.Watch(console)
    async with run(station, count, printer=lines, watch=watch.tell) as result:
        watch.stop()
        _tell(result, as_json=as_json, console=console)
        if keep:
            await _stay(station, result, console)
    return result.holds


def _tell(result: Result, *, as_json: bool, console: Console) -> None:
    if as_json:
        output.show_json(report.document(result))
    else:
        report.show(result, console)


async def _stay(station: Station, result: Result, console: Console) -> None:
    addresses = stack.addresses_of(station.settings)
    console.print(
        f"\nIt keeps running, on {station.settings.data_dir}; Ctrl-C ends it.\n"
        f"  ingress    {addresses.ingress}\n  admin API  {addresses.console}\n  Flower     {addresses.flower}\n"
        f"  API key    {result.cast.key}  (accounts: {', '.join(owner.slug for owner in OWNERS)})\n"
        f"  commands   CROSSDOCK_DATA_DIR={station.settings.data_dir} crossdock deliveries list",
        markup=False,
    )
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, stopped.set)
    await stopped.wait()
