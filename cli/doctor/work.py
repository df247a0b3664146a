"""The work: what waits, how long it has waited, and what was given up. It reads the scrape that Prometheus reads.

Only reads; nothing is left behind.
"""

from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import exc

from cli.doctor.finding import Finding, failed, ok, warning
from cli.station import Station
from shared import metrics

LATE_SECONDS = 60
VERY_LATE_SECONDS = 600


def findings(station: Station) -> list[Finding]:
    """What there is to say; nothing when the database does not answer, which is said elsewhere."""
    try:
        with station.engine.connect() as connection:
            scrape = metrics.render(connection, station.client, now=station.now())
    except exc.OperationalError:
        return []
    values = _values(scrape)
    if not values.get("crossdock_database_up") or not values.get("crossdock_queue_up"):
        return []
    return [_inbox(values), _due(values), _held(values), _dead(values), _alerts(values)]


def _values(scrape: str) -> dict[str, float]:
    """Name -> value; of several shards the sum (messages) or the greatest (ages); of states, `name:state`."""
    values: dict[str, float] = {}
    for family in text_string_to_metric_families(scrape):
        for sample in family.samples:
            name = f"{sample.name}:{sample.labels['state']}" if "state" in sample.labels else sample.name
            old = values.get(name, 0.0)
            values[name] = max(old, sample.value) if name.endswith("_seconds") else old + sample.value
    return values


def _inbox(values: Mapping[str, float]) -> Finding:
    waiting, age = values.get("crossdock_inbox_messages", 0), values.get("crossdock_inbox_oldest_seconds", 0)
    seen = f"{waiting:.0f} waiting, the oldest for {age:.0f} s"
    advice = "See that the inbound worker runs and PostgreSQL answers; more inbound workers drain more shards."
    return _late("inbox", seen, age, advice)


def _due(values: Mapping[str, float]) -> Finding:
    late, lanes = values.get("crossdock_oldest_due_seconds", 0), values.get("crossdock_lanes_due", 0)
    pending = values.get("crossdock_deliveries_now:pending", 0)
    seen = f"{pending:.0f} pending; {lanes:.0f} subscriptions due, {late:.0f} s late"
    advice = "See that the delivery worker runs; raise CROSSDOCK_DELIVERY_IN_FLIGHT or run more of them."
    return _late("deliveries", seen, late, advice)


def _late(name: str, seen: str, seconds: float, advice: str) -> Finding:
    if seconds > VERY_LATE_SECONDS:
        return failed(name, seen, advice)
    return warning(name, seen, advice) if seconds > LATE_SECONDS else ok(name, seen)


def _held(values: Mapping[str, float]) -> Finding:
    held = values.get("crossdock_deliveries_now:held", 0)
    disabled = values.get("crossdock_subscriptions_disabled", 0)
    seen = f"{held:.0f} held, {disabled:.0f} subscriptions disabled"
    if held or disabled:
        advice = "`crossdock subscriptions list --disabled` says why; `… enable ID` delivers what is held."
        return warning("held", seen, advice)
    return ok("held", seen)


def _dead(values: Mapping[str, float]) -> Finding:
    dead = values.get("crossdock_deliveries_now:dead", 0)
    if dead:
        advice = "`crossdock deliveries list --state dead` says why; `crossdock replay deliveries` sends them again."
        return warning("dead", f"{dead:.0f} given up", advice)
    return ok("dead", "none")


def _alerts(values: Mapping[str, float]) -> Finding:
    number = values.get("crossdock_alerts_open", 0)
    if number:
        return warning("alerts", f"{number:.0f} open", "GET /api/admin/alerts lists them.")
    return ok("alerts", "none open")
