"""The report as a picture: rates, growth with the backlog and with the subscriptions, and latencies, in one SVG.

Left behind: the file. matplotlib is needed for this alone.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

INK, QUIET = "#1f4e79", "#b0b7c3"


def draw(content: Mapping[str, Any], path: Path) -> None:
    """Draw the report to `path`."""
    figure, axes = plt.subplots(2, 2, figsize=(12, 8))
    _rates(axes[0][0], content["rates"])
    _latencies(axes[0][1], content["latency_ms"])
    _growth(axes[1][0], content["growth"]["backlog"], "deliveries waiting")
    _growth(axes[1][1], content["growth"]["subscriptions"], "subscriptions")
    figure.suptitle(f"Crossdock on {content['conditions']['cores']} cores, appendfsync always")
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    plt.close(figure)


def _rates(axis: Any, rates: Mapping[str, float]) -> None:
    names = ("naive", "full_delivered", "delivery", "inbound", "ingress", "raw_xadd", "bare_view")
    ours = ("full_delivered", "delivery", "inbound", "ingress")
    bars = axis.barh(names, [rates[name] for name in names], color=[INK if name in ours else QUIET for name in names])
    axis.bar_label(bars, fmt="{:,.0f}", padding=3)
    axis.set_title("per second")
    axis.margins(x=0.15)


def _latencies(axis: Any, latency: Mapping[str, Mapping[str, float]]) -> None:
    names = [name for name in latency if latency[name]]
    for offset, (key, colour) in enumerate((("p50", QUIET), ("p99", INK))):
        places = [place + (offset - 0.5) * 0.4 for place in range(len(names))]
        bars = axis.barh(places, [max(latency[name][key], 0.01) for name in names], height=0.4, color=colour, label=key)
        axis.bar_label(bars, fmt="{:,.1f}", padding=3)
    axis.set_yticks(range(len(names)), names)
    axis.set_xscale("log")
    axis.set_title("latency, ms")
    axis.margins(x=0.2)
    axis.legend()


def _growth(axis: Any, costs: list[Mapping[str, Any]], label: str) -> None:
    sizes = [cost["size"] for cost in costs]
    engine = [cost["cpu"]["worker-delivery"] + cost["cpu"]["postgres"] for cost in costs]
    axis.plot(sizes, engine, marker="o", color=INK, label="CPU s per 1,000 (worker + PostgreSQL)")
    axis.set_xscale("log")
    axis.set_ylim(bottom=0, top=max(engine) * 1.6)
    axis.set_xlabel(label)
    rates = axis.twinx()
    rates.plot(sizes, [cost["rate"] for cost in costs], marker="s", color=QUIET, label="deliveries per second")
    rates.set_ylim(bottom=0)
    lines = [*axis.get_lines(), *rates.get_lines()]
    axis.legend(lines, [line.get_label() for line in lines])
