"""The report that `make bench` writes: its keys, its ratios and its targets."""

from dataclasses import replace
from io import StringIO
from pathlib import Path

import orjson
import pytest
from rich.console import Console

from bench.baseline import Baseline
from bench.dead import Neighbours, is_dead
from bench.fullway import FullWay
from bench.growth import Cost
from bench.mixed import Mixed, TopicCost
from bench.plan import FULL, QUICK
from bench.plot import draw
from bench.report import KEYS, RATIOS, Findings, conditions, report, targets, write
from bench.stages import Stages
from bench.table import show

COUNTS = {
    "sent": 10,
    "accepted": 10,
    "refused": 0,
    "messages": 10,
    "events": 10,
    "deliveries": 10,
    "delivered": 10,
    "failed": 0,
    "waiting": 0,
    "received_unique": 10,
    "received_duplicate": 0,
}
LATENCY = {"p50": 1.0, "p90": 2.0, "p99": 4.0, "max": 8.0, "count": 10}


def cost(size: int, worker: float) -> Cost:
    cpu = {"worker-delivery": worker, "postgres": 0.1, "total": worker + 0.1}
    return Cost(size, 1000, 3000.0, cpu, {"beat": 50.0}, COUNTS)


@pytest.fixture
def findings() -> Findings:
    return Findings(
        bare_view=9000.0,
        raw_xadd=3000.0,
        baseline=Baseline(100.0, LATENCY, {"total": 20.0}, 1000, COUNTS),
        stages=Stages({"ingress": 3600.0, "inbound": 3000.0, "delivery": 2700.0}, {}, COUNTS),
        full=FullWay(1300.0, 1200.0, 720.0, {"ack": LATENCY, "accepted_to_delivered": LATENCY}, {}, {}, COUNTS),
        backlogs=[cost(1_000, 0.2), cost(100_000, 0.23)],
        subscriptions=[cost(1, 0.2), cost(1_000, 0.3)],
        none_dead=Neighbours({"accepted_to_delivered": LATENCY}, COUNTS),
        some_dead=Neighbours({"accepted_to_delivered": LATENCY | {"p99": 5.0}}, COUNTS),
        mixed=Mixed(
            topics=[TopicCost("amazon", "ORDER_CHANGE", 10, 2_204, 57.2, 404.2, 195.8, 1.2)],
            big_order=TopicCost("shopify", "orders/create", 5, 228_249, 145.0, 9_388.0, 4_000.0, 1.0),
            states={"processed": 14, "stale": 1},
            appended=15,
            counts=COUNTS,
        ),
    )


@pytest.fixture
def met() -> dict[str, object]:
    return conditions(QUICK, postgres="18.0", valkey="9.0", fsync_ms=0.2, busy_percent=1.5, took_seconds=100)


def test_the_report_has_the_documented_keys(findings: Findings, met: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "bench" / "latest.json"
    write(report(findings, met), path)
    content = orjson.loads(path.read_bytes())
    assert tuple(content) == KEYS
    assert tuple(content["ratios"]) == RATIOS
    assert content["conditions"]["valkey_fsync"] == "appendfsync always"
    assert {"full", "stages", "none_dead", "some_dead"} <= set(content["counts"])


def test_the_readme_of_the_bench_documents_every_key() -> None:
    readme = (Path(__file__).parents[2] / "bench" / "README.md").read_text()
    assert [key for key in (*KEYS, *RATIOS) if f"`{key}`" not in readme] == []


def test_the_ratios_are_those_of_the_figures(findings: Findings, met: dict[str, object]) -> None:
    assert report(findings, met)["ratios"] == {
        "full_over_naive": 12.0,
        "ingress_over_bare_view": 0.4,
        "cost_100k_over_1k": 1.1,
        "healthy_p99_dead_over_none": 1.25,
    }


def test_a_part_that_was_not_measured_gives_zeros_and_no_error(met: dict[str, object]) -> None:
    content = report(Findings(), met)
    assert set(content["ratios"].values()) == {0.0}
    assert content["reconciled"] is False


def parts_of(findings: Findings) -> dict[str, dict[str, int]]:
    """The counts of every part by its name, each a dictionary of its own."""
    assert findings.baseline is not None
    lost = COUNTS.copy
    findings.stages.counts, findings.full.counts = lost(), lost()
    findings.none_dead.counts, findings.some_dead.counts = lost(), lost()
    findings.baseline = replace(findings.baseline, counts=lost())
    findings.backlogs = [replace(cost, counts=lost()) for cost in findings.backlogs]
    findings.subscriptions = [replace(cost, counts=lost()) for cost in findings.subscriptions]
    return {
        "stages": findings.stages.counts,
        "full": findings.full.counts,
        "none_dead": findings.none_dead.counts,
        "some_dead": findings.some_dead.counts,
        "naive": findings.baseline.counts,
        "backlog_1000": findings.backlogs[0].counts,
        "backlog_100000": findings.backlogs[1].counts,
        "subscriptions_1": findings.subscriptions[0].counts,
        "subscriptions_1000": findings.subscriptions[1].counts,
    }


def test_one_lost_webhook_in_any_part_is_not_reconciled(findings: Findings, met: dict[str, object]) -> None:
    parts = parts_of(findings)
    assert set(report(findings, met)["counts"]) == {*parts, "discrepancies"}
    assert report(findings, met)["reconciled"] is True
    for name, counts in parts.items():
        counts["delivered"] -= 1
        content = report(findings, met)
        assert content["reconciled"] is False
        assert set(content["counts"]["discrepancies"]) == {name}
        counts["delivered"] += 1


@pytest.mark.parametrize("states", [{"processed": 14}, {"processed": 14, "failed": 1}], ids=["lost", "failed"])
def test_a_genuine_message_of_the_mixed_load_that_is_lost_or_fails_is_not_reconciled(
    findings: Findings, met: dict[str, object], states: dict[str, int]
) -> None:
    findings.mixed.states = states
    content = report(findings, met)
    assert content["reconciled"] is False
    assert set(content["counts"]["discrepancies"]) == {"mixed"}


def test_the_report_has_the_cost_of_each_topic_and_of_the_large_order(
    findings: Findings, met: dict[str, object]
) -> None:
    told = report(findings, met)["mixed"]
    assert (told["topics"][0]["drain_us"], told["topics"][0]["event_us"]) == (404.2, 500.0)
    assert told["big_order"]["lines"] == 250


def test_the_tables_show_the_mixed_load_and_do_without_one(findings: Findings, met: dict[str, object]) -> None:
    for found in (findings, Findings()):
        console = Console(record=True, width=120, file=StringIO())
        show(report(found, met), console)
        shown = console.export_text()
        assert ("an order of 250 lines" in shown) is bool(found.mixed.topics)
        assert ("amazon ORDER_CHANGE" in shown) is bool(found.mixed.topics)


def test_a_target_tells_whether_it_is_met() -> None:
    ratios = dict(zip(RATIOS, (9.9, 0.5, 1.1, 1.5), strict=True))
    found = targets(ratios, {"delivery": 2600.0, "bare_view": 9000.0}, {"beat": 50.0, "receiver": 900.0})
    assert [target.met for target in found] == [False, True, True, True, False, True]


def test_the_picture_is_drawn(findings: Findings, met: dict[str, object], tmp_path: Path) -> None:
    draw(report(findings, met), tmp_path / "latest.svg")
    assert "</svg>" in (tmp_path / "latest.svg").read_text()


def test_the_quick_run_compares_the_same_backlogs_as_the_full_one() -> None:
    assert (QUICK.backlogs[0], QUICK.backlogs[-1]) == (FULL.backlogs[0], FULL.backlogs[-1]) == (1_000, 100_000)


def test_one_subscription_in_ten_is_dead() -> None:
    assert sum(is_dead(number) for number in range(FULL.dead_subscriptions)) == FULL.dead_subscriptions // 10
