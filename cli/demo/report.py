"""What the demo shows: how far it is, and at the end the sums. Works on a terminal and in a file alike.

Nothing is left behind.
"""

import statistics
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table

from cli.demo import facts
from cli.demo.crm import Crm
from cli.demo.facts import Delivery
from cli.demo.run import Result
from cli.demo.send import Sent
from shared.providers.registry import PROVIDERS
from shared.states import DeliveryState, MessageState

STEADY = (
    "shop-crm",
    "orders-crm",
    "parcels-crm",
    "works-crm",
)  # whose latency is shown: the slow and the dead one are theirs to answer for


class Watch:
    """The live progress: three bars on a terminal, nothing in a file."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<22}"), BarColumn(bar_width=40), MofNCompleteColumn(), console=console
        )
        self._live = console.is_terminal
        self._tasks: dict[str, TaskID] = {}
        if self._live:
            self._progress.start()

    def stop(self) -> None:
        """Let the bars stand as they are."""
        if self._live:
            self._progress.stop()

    def tell(self, sent: Sent, progress: facts.Progress, crm: Crm) -> None:
        """Show how far it is."""
        resting = progress.deliveries.total() - progress.moving
        self._bar("webhooks sent", sent.posted, sent.total)
        self._bar("messages drained", progress.messages, len(sent.accepted))
        self._bar("deliveries settled", resting, progress.deliveries.total())
        self._bar("verified by the CRM", sum(len(desk.accepted) for desk in crm.desks.values()), None)

    def _bar(self, name: str, done: int, total: int | None) -> None:
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, total=total)
        self._progress.update(self._tasks[name], completed=done, total=done if total is None else total)


def figures(result: Result) -> dict[str, Any]:
    """The sums, by name."""
    messages = list(result.facts.messages.values())
    deliveries = result.facts.deliveries
    steady = {result.cast.subscriptions[name] for name in STEADY}
    latencies = sorted(
        seconds
        for one in deliveries
        if one.subscription_id in steady and one.attempts == 1 and (seconds := _seconds(one)) is not None
    )
    return {
        "sent": result.sent.total,
        "accepted": len(result.sent.accepted),
        "refused": result.sent.refused.total(),
        "repeats": messages.count(MessageState.DUPLICATE),
        "stale": messages.count(MessageState.STALE),
        "ignored": messages.count(MessageState.IGNORED),
        "failed": messages.count(MessageState.FAILED),
        "events": len(result.facts.events),
        "deliveries": len(deliveries),
        "delivered": _count(deliveries, DeliveryState.DELIVERED),
        "attempts": result.facts.attempts,
        "retried": sum(one.attempts > 1 for one in deliveries),
        "held": _count(deliveries, DeliveryState.HELD),
        "dead": _count(deliveries, DeliveryState.DEAD),
        "disabled": len(result.facts.disabled),
        "verified": sum(desk.accepted.total() for desk in result.crm.desks.values()),
        "p50_ms": _percentile(latencies, 50),
        "p99_ms": _percentile(latencies, 99),
        "send_seconds": round(result.send_seconds, 2),
        "total_seconds": round(result.total_seconds, 2),
        "providers": {provider: _of_provider(result, provider) for provider in result.plan.providers},
    }


def _of_provider(result: Result, provider: str) -> dict[str, int]:
    """The sums of one provider, each counted where it shows: the sender, the database, the CRM."""
    mine = [message_id for message_id, step in result.sent.accepted.items() if step.provider == provider]
    states = [result.facts.messages.get(message_id) for message_id in mine]
    desks = [result.crm.desks[name] for name, whose in result.cast.providers.items() if whose == provider]
    return {
        "sent": result.sent.by_provider[provider],
        "accepted": len(mine),
        "refused": result.sent.refused[provider],
        "repeats": states.count(MessageState.DUPLICATE),
        "stale": states.count(MessageState.STALE),
        "ignored": states.count(MessageState.IGNORED),
        "processed": states.count(MessageState.PROCESSED),
        "events": sum(event.account_id == result.cast.accounts[provider] for event in result.facts.events),
        "records": sum(record[0] == provider for record in result.facts.records),
        "verified": sum(desk.accepted.total() for desk in desks),
    }


def document(result: Result) -> dict[str, Any]:
    """Figures and checks, for `--json`."""
    return {
        "holds": result.holds,
        "settled": result.settled,
        "figures": figures(result),
        "checks": [{"claim": check.claim, "holds": check.holds, "against": check.against} for check in result.checks],
    }


def show(result: Result, console: Console) -> None:
    """Print the table and the checks."""
    sums = figures(result)
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column(style="dim")
    for name, label, remark in _LINES:
        table.add_row(label, str(sums[name]), remark)
    console.print()
    console.print(table)
    console.print()
    console.print(_side_by_side(sums["providers"]))
    console.print()
    for check in result.checks:
        console.print(f"[green]  ok  [/] {check.claim}" if check.holds else f"[bold red] FAIL [/] {check.claim}")
        for line in check.against:
            console.print(f"        {escape(line)}")
    if not result.settled:
        console.print("[bold red] FAIL [/] something is still on its way; patience ended")


def _side_by_side(providers: dict[str, dict[str, int]]) -> Table:
    """Each provider's sums in a column of its own."""
    table = Table(box=None, pad_edge=False)
    table.add_column("", style="bold")
    for provider in providers:
        table.add_column(PROVIDERS[provider].title, justify="right")
    for name in next(iter(providers.values())):
        table.add_row(name, *(str(sums[name]) for sums in providers.values()))
    return table


_LINES = (
    ("sent", "webhooks sent", ""),
    ("accepted", "accepted", "answered 200 once they were on disk"),
    ("refused", "refused", "forged: 401"),
    ("repeats", "repeats", "the same delivery again; dropped"),
    ("stale", "stale", "older than what was known; not applied"),
    ("ignored", "ignored", "a topic nobody wants"),
    ("events", "events", ""),
    ("deliveries", "deliveries", "events x subscriptions that want them"),
    ("delivered", "delivered", ""),
    ("attempts", "attempts", "requests to the CRM"),
    ("retried", "deliveries retried", "the CRM answers 500 to every tenth"),
    ("held", "held", "of the subscription that was disabled"),
    ("dead", "dead", "given up; can be replayed"),
    ("disabled", "subscriptions disabled", "the one that is out of order"),
    ("verified", "verified by the CRM", "both signatures"),
    ("p50_ms", "p50 ms", "accepted to delivered, first attempts"),
    ("p99_ms", "p99 ms", "the same"),
    ("total_seconds", "seconds", "from the first webhook to the last delivery"),
)


def _count(deliveries: Sequence[Delivery], state: DeliveryState) -> int:
    return sum(one.state == state for one in deliveries)


def _seconds(delivery: Delivery) -> float | None:
    if delivery.state != DeliveryState.DELIVERED or delivery.accepted_at is None or delivery.finished_at is None:
        return None
    return (delivery.finished_at - delivery.accepted_at).total_seconds()


def _percentile(latencies: list[float], percent: int) -> int | None:
    if len(latencies) < 2:  # noqa: PLR2004  # fewer have no quantiles
        return None
    return round(statistics.quantiles(latencies, n=100, method="inclusive")[percent - 1] * 1000)
