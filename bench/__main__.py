"""`python -m bench [--quick] [--only PART]`: the whole benchmark in one run, or one part of it.

Left behind: var/bench/latest.json and latest.svg, written at the end of a whole run. A bench that dies in the middle
leaves the last whole report.
"""

import argparse
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from rich.console import Console
from sqlalchemy import text

from bench import baseline, ceiling, dead, fullway, growth, mixed, plot, stages, table
from bench.plan import FULL, QUICK, Plan
from bench.report import Findings, conditions, report, write
from bench.stack import ROOT, Stack, running_stack

FOLDER = ROOT / "var" / "bench"
BUSY_PERCENT = 10.0


def measure_ceiling(stack: Stack, plan: Plan, findings: Findings) -> str:
    """(a) What the server and the queue can do at most."""
    findings.bare_view = ceiling.bare_view(stack, seconds=plan.ceiling_seconds)
    findings.raw_xadd = ceiling.raw_append(stack, seconds=min(plan.ceiling_seconds, 2))
    return f"bare view {findings.bare_view:,.0f}/s, XADD {findings.raw_xadd:,.0f}/s"


def measure_baseline(stack: Stack, plan: Plan, findings: Findings) -> str:
    """(b) The usual Celery way."""
    findings.baseline = baseline.measure(stack, seconds=plan.baseline_seconds, count=int(plan.baseline_seconds * 500))
    return f"naive {findings.baseline.rate:,.0f}/s"


def measure_stages(stack: Stack, plan: Plan, findings: Findings) -> str:
    """(c) Crossdock's stages, each alone."""
    findings.stages = stages.measure(
        stack, messages=plan.stage_messages, warm_up=plan.stage_warm_up, accounts=plan.accounts
    )
    return ", ".join(f"{name} {rate:,.0f}/s" for name, rate in findings.stages.rates.items())


def measure_full(stack: Stack, plan: Plan, findings: Findings) -> str:
    """(c) Crossdock, the full way."""
    findings.full = fullway.measure(
        stack,
        peak_seconds=plan.peak_seconds,
        warm_up_seconds=plan.warm_up_seconds,
        open_seconds=plan.open_seconds,
        open_share=plan.open_share,
        accounts=plan.accounts,
        outstanding=plan.outstanding,
    )
    return f"full way {findings.full.delivered_rate:,.0f}/s"


def measure_backlogs(stack: Stack, plan: Plan, findings: Findings) -> str:
    """Growth with the backlog."""
    for number, size in enumerate(plan.backlogs):
        if number:
            stack.renew()
        findings.backlogs.append(growth.backlog(stack, size, sample=plan.backlog_sample, accounts=plan.accounts))
    return ", ".join(
        f"{cost.size:,}: {cost.engine_cpu:.3f} CPU s/1,000, {cost.rate:,.0f}/s" for cost in findings.backlogs
    )


def measure_subscriptions(stack: Stack, plan: Plan, findings: Findings) -> str:
    """Growth with the number of subscriptions."""
    for number, size in enumerate(plan.subscriptions):
        if number:
            stack.renew()
        findings.subscriptions.append(growth.subscriptions(stack, size, deliveries=plan.subscription_deliveries))
    return ", ".join(f"{cost.size:,}: {cost.rate:,.0f}/s" for cost in findings.subscriptions)


def measure_dead(stack: Stack, plan: Plan, findings: Findings) -> str:
    """The healthy ones' latency with one in ten dead."""
    rate = plan.dead_share * (findings.full.delivered_rate or 1000.0)
    found = []
    for with_dead in (False, True):
        if with_dead:
            stack.renew()
        found.append(
            dead.measure(
                stack,
                subscriptions=plan.dead_subscriptions,
                dead=with_dead,
                rate=rate,
                seconds=plan.dead_seconds,
                warm_up_seconds=1.0,
            )
        )
    findings.none_dead, findings.some_dead = found
    return ", ".join(f"p99 {part.latency_ms['accepted_to_delivered']['p99']:,.1f} ms" for part in found)


def measure_mixed(stack: Stack, plan: Plan, findings: Findings) -> str:
    """All providers at once."""
    findings.mixed = found = mixed.measure(stack, per_topic=plan.mixed_per_topic, seconds=plan.mixed_seconds)
    dearest = max(found.topics, key=lambda cost: cost.drain_us)
    return (
        f"{found.accepted_rate:,.0f}/s; a message costs the drain up to {dearest.drain_us:,.0f} us"
        f" ({dearest.provider} {dearest.topic})"
    )


# Both sides of a ratio one right after the other: a machine's speed moves by a third within minutes.
PARTS: dict[str, Callable[[Stack, Plan, Findings], str]] = {
    "ceiling": measure_ceiling,
    "stages": measure_stages,
    "baseline": measure_baseline,
    "full": measure_full,
    "backlogs": measure_backlogs,
    "subscriptions": measure_subscriptions,
    "dead": measure_dead,
    "mixed": measure_mixed,
}


def main() -> int:
    """Run the benchmark; 1 when the counts do not add up."""
    parser = argparse.ArgumentParser(prog="bench", description="Measures the pipeline against its baselines.")
    parser.add_argument("--quick", action="store_true", help="the same keys in under two minutes")
    parser.add_argument("--only", action="append", choices=sorted(PARTS), help="only this part; writes no report")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers are stopped
    plan, console, start = (QUICK if arguments.quick else FULL), Console(), time.monotonic()
    findings = Findings()
    busy = psutil.cpu_percent(interval=2)
    if busy > BUSY_PERCENT:
        console.print(f"[yellow]The processors are {busy:.0f} % busy with something else: expect poor figures.[/]")
    with running_stack(FOLDER) as stack:
        fsync_ms = ceiling.fsync_ms(stack.folder)
        for name, measure in PARTS.items():
            if arguments.only and name not in arguments.only:
                continue
            stack.renew()
            began = time.monotonic()
            console.print(
                f"{name}: {measure(stack, plan, findings)} ({time.monotonic() - began:.0f} s)", highlight=False
            )
        with stack.engine.connect() as connection, stack.client as client:
            postgres = str(connection.execute(text("SHOW server_version")).scalar_one())
            valkey = str(client.info("server").get("valkey_version", client.info("server").get("redis_version")))
    if arguments.only:
        return 0
    met = conditions(
        plan,
        postgres=postgres,
        valkey=valkey,
        fsync_ms=fsync_ms,
        busy_percent=busy,
        took_seconds=time.monotonic() - start,
    )
    content = report(findings, met)
    write(content, FOLDER / "latest.json")
    plot.draw(content, FOLDER / "latest.svg")
    table.show(content, console)
    console.print(f"{_short(FOLDER / 'latest.json')}  {_short(FOLDER / 'latest.svg')}")
    return 0 if content["reconciled"] else 1


def _short(path: Path) -> str:
    return str(path.relative_to(ROOT))


if __name__ == "__main__":
    sys.exit(main())
