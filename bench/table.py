"""The report for eyes: tables on the terminal.

Comes in: the report as written. Nothing is left behind.
"""

import statistics
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table


def show(content: Mapping[str, Any], console: Console) -> None:
    """Print the report."""
    rates = content["rates"]
    table = _table("Rates", "measured", "per second")
    for name, label in (
        ("bare_view", "the bare Flask view, closed loop"),
        ("raw_xadd", "XADD, one client, appendfsync always"),
        ("naive", "naive: a task a webhook, a task a delivery"),
        ("ingress", "ingress alone"),
        ("inbound", "drain alone"),
        ("delivery", "delivery engine alone"),
        ("full_accepted", "full way, accepted"),
        ("full_delivered", "full way, delivered"),
        ("open_loop", "open loop, offered"),
    ):
        table.add_row(label, f"{rates[name]:,.0f}")
    console.print(table)

    table = _table("Latency, ms", "from - to", "p50", "p90", "p99", "max")
    for name, label in (
        ("ack", "due - acknowledged"),
        ("accepted_to_delivered", "acknowledged - received"),
        ("naive_accepted_to_delivered", "the same, naive at its peak"),
        ("healthy_none_dead", "the same, healthy 90 %, none dead"),
        ("healthy_some_dead", "the same, healthy 90 %, 10 % dead"),
    ):
        figures = content["latency_ms"].get(name) or {}
        table.add_row(label, *(f"{figures.get(key, 0):,.1f}" for key in ("p50", "p90", "p99", "max")))
    console.print(table)

    table = _table("Growth of the delivery engine", "condition", "per second", "CPU s per 1,000", "largest MB")
    for noun in ("backlog", "subscriptions"):
        for cost in content["growth"][noun]:
            table.add_row(
                f"{noun} {cost['size']:,}",
                f"{cost['rate']:,.0f}",
                f"{cost['cpu']['worker-delivery'] + cost['cpu']['postgres']:.3f}",
                f"{max(cost['rss_mb'].values()):,.0f}",
            )
    console.print(table)

    table = _table("Processes, full way", "process", "CPU s per 1,000", "peak MB")
    for name, seconds in sorted(content["cpu_seconds_per_1000"]["full"].items(), key=lambda item: -item[1]):
        table.add_row(name, f"{seconds:.3f}", f"{content['rss_mb'].get(name, 0):,.0f}" if name != "total" else "")
    console.print(table)

    _show_mixed(content["mixed"], console)

    table = _table("Targets", "ratio", "found", "wanted", "")
    for target in content["targets"]:
        mark = "[green]met[/]" if target["met"] else "[red]missed[/]"
        table.add_row(target["name"], f"{target['value']:g}", target["target"], mark)
    console.print(table)
    for part, found in content["counts"]["discrepancies"].items():
        for sentence in found:
            console.print(f"[red]{part}: {sentence}[/]")
    console.print("Every webhook is accounted for." if content["reconciled"] else "[red]The counts do not add up.[/]")


def _show_mixed(mixed: Mapping[str, Any], console: Console) -> None:
    """The means of each provider's topics; latest.json has them one by one."""
    table = _table("Mixed load", "provider", "topics", "bytes", "verify, us", "drain, us", "events")
    for provider in dict.fromkeys(cost["provider"] for cost in mixed["topics"]):
        costs = [cost for cost in mixed["topics"] if cost["provider"] == provider]
        means = [statistics.mean(cost[name] for cost in costs) for name in ("bytes", "verify_us", "drain_us", "events")]
        table.add_row(provider, str(len(costs)), *(f"{mean:,.0f}" for mean in means[:3]), f"{means[3]:.2f}")
    if big := mixed["big_order"]:
        row = (f"{big['bytes']:,}", f"{big['verify_us']:,.0f}", f"{big['drain_us']:,.0f}", f"{big['events']:.2f}")
        table.add_row(f"an order of {big['lines']} lines", "1", *row)
    rates = mixed["rates"]
    table.caption = f"the full way, all of them: {rates['accepted']:,.0f}/s in, {rates['delivered']:,.0f}/s out"
    console.print(table)


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, title_justify="left", min_width=70)
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="right")
    return table
