"""The report: the figures of a run as JSON, and the targets they are held against.

Comes in: what the parts measured. Left behind: var/bench/latest.json, replaced whole, so that a bench that dies in the
middle leaves the last whole report.
"""

import platform
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson
import psutil

from bench.baseline import Baseline
from bench.dead import Neighbours
from bench.figures import discrepancies
from bench.fullway import FullWay
from bench.growth import Cost
from bench.mixed import Mixed
from bench.plan import Plan
from bench.stages import Stages

KEYS = (
    "ratios",
    "rates",
    "latency_ms",
    "rss_mb",
    "reconciled",
    "counts",
    "cpu_seconds_per_1000",
    "growth",
    "mixed",
    "targets",
    "conditions",
)
RATIOS = ("full_over_naive", "ingress_over_bare_view", "cost_100k_over_1k", "healthy_p99_dead_over_none")
_LIBRARIES = ("flask", "granian", "celery", "kombu", "redis", "sqlalchemy", "psycopg2-binary", "httptools", "requests")


@dataclass
class Findings:
    """What the parts measured."""

    bare_view: float = 0.0
    raw_xadd: float = 0.0
    baseline: Baseline | None = None
    stages: Stages = field(default_factory=Stages)
    full: FullWay = field(default_factory=FullWay)
    backlogs: list[Cost] = field(default_factory=list)
    subscriptions: list[Cost] = field(default_factory=list)
    none_dead: Neighbours = field(default_factory=Neighbours)
    some_dead: Neighbours = field(default_factory=Neighbours)
    mixed: Mixed = field(default_factory=Mixed)


@dataclass(frozen=True, slots=True)
class Target:
    """A figure and what it should be; `at_least` or else at most."""

    name: str
    value: float
    target: float
    at_least: bool

    @property
    def met(self) -> bool:
        """Whether the figure is where it should be."""
        return self.value >= self.target if self.at_least else self.value <= self.target

    def dump(self) -> dict[str, object]:
        """As JSON."""
        sign = ">=" if self.at_least else "<="
        return {"name": self.name, "value": round(self.value, 3), "target": f"{sign} {self.target:g}", "met": self.met}


def report(findings: Findings, conditions: Mapping[str, object]) -> dict[str, Any]:
    """The whole report, with the keys of `KEYS`."""
    ratios, rates = _ratios(findings), _rates(findings)
    counts = {
        "stages": findings.stages.counts,
        "full": findings.full.counts,
        "none_dead": findings.none_dead.counts,
        "some_dead": findings.some_dead.counts,
        "naive": findings.baseline.counts if findings.baseline else {},
        **{f"backlog_{cost.size}": cost.counts for cost in findings.backlogs},
        **{f"subscriptions_{cost.size}": cost.counts for cost in findings.subscriptions},
    }
    problems = {name: discrepancies(part) for name, part in counts.items() if part}
    if findings.mixed.topics:
        problems["mixed"] = findings.mixed.problems
    latency = {
        **findings.full.latency_ms,
        "naive_accepted_to_delivered": findings.baseline.latency_ms if findings.baseline else {},
        "healthy_none_dead": findings.none_dead.latency_ms.get("accepted_to_delivered", {}),
        "healthy_some_dead": findings.some_dead.latency_ms.get("accepted_to_delivered", {}),
    }
    rss = dict(findings.full.rss_mb)
    for cost in findings.backlogs:
        rss |= {name: max(peak, rss.get(name, 0.0)) for name, peak in cost.rss_mb.items()}
    return {
        "ratios": {name: round(value, 3) for name, value in ratios.items()},
        "rates": {name: round(value, 1) for name, value in rates.items()},
        "latency_ms": latency,
        "rss_mb": rss,
        "reconciled": bool(problems) and not any(problems.values()),
        "counts": counts | {"discrepancies": {name: found for name, found in problems.items() if found}},
        "cpu_seconds_per_1000": {
            "full": findings.full.cpu,
            "naive": findings.baseline.cpu if findings.baseline else {},
            **findings.stages.cpu,
        },
        "growth": {
            "backlog": [cost.dump() for cost in findings.backlogs],
            "subscriptions": [cost.dump() for cost in findings.subscriptions],
        },
        "mixed": findings.mixed.dump(),
        "targets": [target.dump() for target in targets(ratios, rates, rss)],
        "conditions": dict(conditions),
    }


def targets(ratios: Mapping[str, float], rates: Mapping[str, float], rss_mb: Mapping[str, float]) -> Iterator[Target]:
    """What the figures are held against; all are ratios within one run but for memory."""
    yield Target("full way / naive", ratios["full_over_naive"], 10, at_least=True)
    yield Target("ingress / bare view", ratios["ingress_over_bare_view"], 0.33, at_least=True)
    # 2,500 deliveries a second where the bare view answers 9,000.
    share = rates["delivery"] / rates["bare_view"] if rates["bare_view"] else 0.0
    yield Target("delivery engine / bare view", share, 2500 / 9000, at_least=True)
    yield Target("cost at 100k backlog / at 1k", ratios["cost_100k_over_1k"], 1.2, at_least=False)
    yield Target("healthy p99, 10 % dead / none", ratios["healthy_p99_dead_over_none"], 1.3, at_least=False)
    ours = {name: peak for name, peak in rss_mb.items() if name != "receiver"}
    yield Target("largest process, MB", max(ours.values(), default=0.0), 250, at_least=False)


def _ratios(findings: Findings) -> dict[str, float]:
    costs = findings.backlogs
    return {
        "full_over_naive": _over(findings.full.delivered_rate, findings.baseline.rate if findings.baseline else 0.0),
        "ingress_over_bare_view": _over(findings.stages.rates.get("ingress", 0.0), findings.bare_view),
        "cost_100k_over_1k": _over(costs[-1].engine_cpu, costs[0].engine_cpu) if costs else 0.0,
        "healthy_p99_dead_over_none": _over(_p99(findings.some_dead), _p99(findings.none_dead)),
    }


def _rates(findings: Findings) -> dict[str, float]:
    return {
        "bare_view": findings.bare_view,
        "raw_xadd": findings.raw_xadd,
        "naive": findings.baseline.rate if findings.baseline else 0.0,
        "full_accepted": findings.full.accepted_rate,
        "full_delivered": findings.full.delivered_rate,
        "open_loop": findings.full.open_rate,
        **{stage: findings.stages.rates.get(stage, 0.0) for stage in ("ingress", "inbound", "delivery")},
    }


def _p99(neighbours: Neighbours) -> float:
    return neighbours.latency_ms.get("accepted_to_delivered", {}).get("p99", 0.0)


def _over(above: float, below: float) -> float:
    return above / below if below else 0.0


def conditions(
    plan: Plan, *, postgres: str, valkey: str, fsync_ms: float, busy_percent: float, took_seconds: float
) -> dict[str, object]:
    """What the figures were found under."""
    return {
        "plan": asdict(plan),
        "cpu": _cpu_name(),
        "cores": psutil.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "busy_percent_before": busy_percent,  # with something else
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "postgres": postgres,
        "valkey": valkey,
        "valkey_fsync": "appendfsync always",
        "postgres_fsync": "fsync on, synchronous_commit on",
        "fsync_ms": round(fsync_ms, 3),
        "shared_by": "load generator, receiver, servers and all processes on the same cores",
        "libraries": {name: version(name) for name in _LIBRARIES},
        "took_seconds": round(took_seconds, 1),
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def write(content: Mapping[str, Any], path: Path) -> None:
    """Replace the report."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2))
    draft.replace(path)
