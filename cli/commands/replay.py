"""`crossdock replay`: ask again for deliveries, messages or events, as a job that outlives this command.

Left behind: a job in the database and its line in the audit log. This command only watches: killed, it leaves the job
running; the job survives every restart and does each item once.
"""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cli import options, output
from cli.station import Station, at_work
from shared import orders, queues, replays
from shared.replay_filters import Filters, Target
from shared.states import DeliveryState, JobState, MessageState

COLUMNS = ["id", "target", "state", "total", "done", "skipped", "failed", "askedBy", "reason", "createdAt"]
POLL_SECONDS = 0.5
_ID = click.argument("job_id", type=click.UUID, metavar="ID")
_Command = TypeVar("_Command", bound=Callable[..., Any])
_OPTIONS = (
    options.account_option,
    click.option("--source", type=click.UUID, metavar="ID", help="Only what came in through this source."),
    options.time_options,
    click.option("--id", "ids", type=click.UUID, multiple=True, metavar="ID", help="These and no others."),
    click.option("--rate", "rate_per_second", type=float, help="Items a second; as fast as it goes unless given."),
    click.option("--reason", help="Why, for the audit log."),
    click.option("--dry-run", is_flag=True, help="Only say how many it would be."),
    click.option("--detach", is_flag=True, help="Do not wait for the end."),
    output.json_option,
)
_SUBSCRIPTION = click.option("--subscription", type=click.UUID, metavar="ID", help="Only to this subscription.")
_EVENT_TYPE = click.option("--event-type", help="Only this type; or a pattern such as `order.*`.")


def _filters(command: _Command) -> _Command:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def _states(*states: DeliveryState | MessageState, default: str) -> Callable[[_Command], _Command]:
    words = click.Choice([state.value for state in states])
    return click.option("--state", "--status", "states", multiple=True, type=words, help=f"`{default}` unless given.")


@click.group("replay")
def command() -> None:
    """Replay deliveries, messages or events as a durable job.

    A delivery keeps its webhook-id and its body. A message goes from its raw payload through today's transform. An
    event is fanned out to the subscriptions that want it today. Each item is done once, whatever is restarted
    meanwhile. --dry-run counts; Ctrl-C stops the watching and not the job.

    \b
    crossdock replay deliveries --subscription 0195… --since 2026-01-01 --dry-run
    crossdock replay deliveries --subscription 0195… --since 2026-01-01 --rate 50 --reason "CRM outage"
    crossdock replay messages --state failed --reason "transform fixed"
    crossdock replay list
    """


@command.command("deliveries")
@_SUBSCRIPTION
@_EVENT_TYPE
@_states(DeliveryState.DEAD, DeliveryState.DELIVERED, DeliveryState.HELD, DeliveryState.DISCARDED, default="dead")
@_filters
def replay_deliveries(**given: Any) -> None:
    """Send deliveries again, their webhook-id and body as they were.

    \b
    crossdock replay deliveries --status dead --since 1d
    crossdock replay deliveries --id 0195… --id 0196…
    """
    _replay("deliveries", given)


@command.command("messages")
@_states(*MessageState, default="failed")
@_filters
def replay_messages(**given: Any) -> None:
    """Put messages through today's transform, from their raw payload.

    \b
    crossdock replay messages --state failed --source 0195…
    """
    _replay("messages", given)


@command.command("events")
@_SUBSCRIPTION
@_EVENT_TYPE
@_filters
def replay_events(**given: Any) -> None:
    """Fan events out to the subscriptions that want them today, e.g. to a new one.

    \b
    crossdock replay events --subscription 0195… --since 30d --rate 100
    """
    _replay("events", given)


@command.command("list")
@options.account_option
@options.page_options
@output.json_option
def list_command(account_name: str | None, limit: int, before: UUID | None, as_json: bool) -> None:
    """List jobs, newest first.

    \b
    crossdock replay list
    """
    with at_work() as station, station.transaction() as connection:
        account_id = options.an_account(connection, account_name)
        jobs = replays.list_jobs(connection, account_id=account_id, before=before, limit=limit)
    rows = [replays.describe(job) for job in jobs]
    output.show_rows(rows, COLUMNS, as_json=as_json, empty="There is no replay.")


@command.command("show")
@_ID
@output.json_option
def show(job_id: UUID, as_json: bool) -> None:
    """Show a job: how far it is, and what it passed over and why.

    \b
    crossdock replay show 0195c1a2-7f00-7a11-8b22-c33d44e55f66
    """
    with at_work() as station, station.transaction() as connection:
        job = replays.get(connection, job_id, account_id=None)
    output.show_one(replays.describe(job), as_json=as_json)


@command.command("pause")
@_ID
@output.json_option
def pause(job_id: UUID, as_json: bool) -> None:
    """Pause a job: the batch in hand is finished, and no other begins. Idempotent.

    \b
    crossdock replay pause 0195c1a2-7f00-7a11-8b22-c33d44e55f66
    """
    _steer(replays.pause, job_id, as_json=as_json)


@command.command("resume")
@_ID
@output.json_option
def resume(job_id: UUID, as_json: bool) -> None:
    """Resume a job from where it stopped. Idempotent.

    \b
    crossdock replay resume 0195c1a2-7f00-7a11-8b22-c33d44e55f66
    """
    _steer(replays.resume, job_id, as_json=as_json)


@command.command("cancel")
@_ID
@output.json_option
def cancel(job_id: UUID, as_json: bool) -> None:
    """End a job where it is; what it has replayed stays replayed. Idempotent.

    \b
    crossdock replay cancel 0195c1a2-7f00-7a11-8b22-c33d44e55f66
    """
    _steer(replays.cancel, job_id, as_json=as_json)


def _steer(move: Callable[..., replays.Job], job_id: UUID, *, as_json: bool) -> None:
    with at_work() as station:
        with station.transaction() as connection:
            job = move(connection, job_id, account_id=None, asked_by=station.actor, now=station.now())
        if job["state"] == JobState.RUNNING:
            orders.send(station.settings, queues.REPLAY_RUN, str(job_id))
    output.show_one(replays.describe(job), as_json=as_json)


def _replay(target: Target, given: dict[str, Any]) -> None:
    as_json: bool = given["as_json"]
    with at_work() as station:
        with station.transaction() as connection:
            filters = _filters_of(given, options.an_account(connection, given["account_name"]))
            if given["dry_run"]:
                _tell_count(target, replays.count(connection, target, filters), as_json=as_json)
                return
            job = replays.create(
                connection,
                target=target,
                filters=filters,
                rate_per_second=given["rate_per_second"],
                asked_by=station.actor,
                reason=given["reason"],
                now=station.now(),
            )
        orders.send(station.settings, queues.REPLAY_RUN, str(job["id"]))
        if not given["detach"]:
            job = _follow(station, job, quiet=as_json)
    output.show_one(replays.describe(job), as_json=as_json)


def _filters_of(given: dict[str, Any], account_id: UUID | None) -> Filters:
    since: datetime | None = given["since"]
    return Filters(
        account_id=account_id,
        subscription=given.get("subscription"),
        event_type=given.get("event_type"),
        source=given["source"],
        states=given.get("states") or None,
        since=since,
        until=given["until"],
        ids=given["ids"] or None,
    )


def _tell_count(target: Target, count: int, *, as_json: bool) -> None:
    if as_json:
        output.show_json({"target": target, "would_replay": count})
    else:
        click.echo(f"{count} {target} would be replayed. Without --dry-run they are.")


def _follow(station: Station, job: replays.Job, *, quiet: bool) -> replays.Job:
    """The job when it has ended or is paused; a progress bar meanwhile, where there is a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = output.console(stderr=True)
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal) as progress:
        bar = progress.add_task(f"replaying {job['target']}", total=job["total"])
        try:
            while job["state"] == JobState.RUNNING:
                time.sleep(POLL_SECONDS)
                with station.transaction() as connection:
                    job = replays.get(connection, job["id"], account_id=None)
                progress.update(bar, completed=job["done"] + job["skipped"] + job["failed"])
        except KeyboardInterrupt:
            click.echo(f"It goes on by itself: crossdock replay show {job['id']}", err=True)
    return job
