"""The report for eyes: tables on the terminal.

Comes in: the report as written. Nothing is left behind.
"""

import statistics
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

DEAREST = 10  # topics shown
_COSTS = {
    "verify": "verify_us",
    "drain": "drain_us",
    "pg": "postgres_us",
    "events": "events",
    "an event": "event_us",
}


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
    """The means of each provider's topics, then the topics whose events cost most; latest.json has all of them."""
    table = _table("Mixed load, CPU in us", "provider", *_COSTS)
    for provider in dict.fromkeys(cost["provider"] for cost in mixed["topics"]):
        costs = [cost for cost in mixed["topics"] if cost["provider"] == provider]
        means = {name: statistics.mean(cost[name] for cost in costs) for name in _COSTS.values() if name != "event_us"}
        told = [cost["event_us"] for cost in costs if cost["event_us"] is not None]
        table.add_row(provider, *_costs(means | {"event_us": statistics.mean(told) if told else None}))
    if big := mixed["big_order"]:
        table.add_row(f"an order of {big['lines']} lines", *_costs(big))
    rates = mixed["rates"]
    table.caption = f"the full way, all of them: {rates['accepted']:,.0f}/s in, {rates['delivered']:,.0f}/s out"
    console.print(table)

    table = _table("Dearest events, CPU in us", "provider, topic", *_COSTS)
    for cost in sorted(mixed["topics"], key=lambda cost: -(cost["event_us"] or 0))[:DEAREST]:
        table.add_row(f"{cost['provider']} {cost['topic']}", *_costs(cost))
    console.print(table)


def _costs(cost: Mapping[str, Any]) -> list[str]:
    values = {name: cost[name] for name in _COSTS.values()}
    return [
        "-" if value is None else f"{value:{'.2f' if name == 'events' else ',.0f'}}" for name, value in values.items()
    ]


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, title_justify="left", min_width=70)
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="right")
    return table
