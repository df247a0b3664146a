"""Finding lanes with work and leasing deliveries of them.

Comes in: how many deliveries of which lanes there is room for. Left behind: deliveries leased under one claim id, in
one short transaction. A process that dies after it leaves leases that expire, and are due again.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from shared.destinations.registry import DESTINATIONS

# Statistics of this table are old by nature: gathered while nothing was due, they say that nothing ever is. So below
# what looks for one row does so by a scalar query with a limit, for an EXISTS may become a scan of the backlog. And a
# state is `(SELECT 'pending')` where the row is found by something better: as a constant it would let the planner go
# through the whole of deliveries_due for each row instead.

# A loose index scan: one probe of deliveries_due for each lane that has pending deliveries, and one more for whether
# the first of them (of a strict lane: its head) is due. The cost grows with those lanes, not with the backlog nor with
# idle subscriptions: each LIMIT keeps the planner from turning the probes into a scan of the backlog.
_SURVEY = text("""
WITH RECURSIVE busy(id) AS (
    (SELECT subscription_id FROM deliveries WHERE state = 'pending' ORDER BY subscription_id LIMIT 1)
    UNION ALL
    SELECT (SELECT d.subscription_id FROM deliveries d
            WHERE d.state = 'pending' AND d.subscription_id > busy.id ORDER BY d.subscription_id LIMIT 1)
    FROM busy WHERE busy.id IS NOT NULL
)
SELECT CAST(busy.id AS text) AS id, s.max_in_flight, s.destination, s.ordering = 'record' AS by_record,
    COALESCE(s.active, false) AS active, s.id IS NULL OR s.deleted_at IS NOT NULL AS deleted,
    l.subscription_id IS NULL AS bare,
    l.paused_until > :now AS paused, l.consecutive_failures,
    COALESCE(
        (SELECT d.state = 'pending' AND d.next_attempt_at <= :now FROM deliveries d
         WHERE s.ordering = 'strict' AND d.subscription_id = busy.id AND d.strict AND d.state IN ('pending', 'leased')
         ORDER BY d.event_id LIMIT 1),
        (SELECT d.next_attempt_at <= :now FROM deliveries d
         WHERE d.state = 'pending' AND d.subscription_id = busy.id ORDER BY d.next_attempt_at LIMIT 1)) AS due
FROM busy LEFT JOIN subscriptions s ON s.id = busy.id LEFT JOIN lanes l ON l.subscription_id = busy.id
WHERE busy.id IS NOT NULL
""")
# Of one record's events one is on its way at a time, and an older one that is owed still goes first, whenever that is.
_ITS_TURN = """
    (SELECT 1 FROM deliveries o WHERE o.subscription_id = d.subscription_id AND o.record_id = d.record_id
        AND o.state = (SELECT 'leased') LIMIT 1) IS NULL
    AND (SELECT 1 FROM deliveries o WHERE o.subscription_id = d.subscription_id AND o.record_id = d.record_id
        AND o.state = (SELECT 'pending') AND o.event_id < d.event_id LIMIT 1) IS NULL
"""
# Asked only of lanes that keep order by record and have something due, all of which may have to wait its turn.
_MAY_GO = text(f"""
SELECT CAST(l.id AS text) FROM unnest(CAST(:ids AS uuid[])) AS l(id)
WHERE (SELECT 1 FROM deliveries d
    WHERE d.subscription_id = l.id AND d.state = 'pending' AND d.next_attempt_at <= :now AND {_ITS_TURN} LIMIT 1) = 1
""")
_ADD_LANES = text(
    "INSERT INTO lanes (subscription_id) SELECT id FROM subscriptions WHERE id = ANY(CAST(:ids AS uuid[]))"
    " ON CONFLICT DO NOTHING"
)

# First the lanes' rows, so that what is counted below is counted after every other claim of the same lane.
_LOCK = text("""
SELECT CAST(l.subscription_id AS text) AS id, s.max_in_flight, s.destination, s.ordering,
    l.consecutive_failures, CAST(s.xmin AS text) AS version
FROM lanes l JOIN subscriptions s ON s.id = l.subscription_id
WHERE l.subscription_id = ANY(CAST(:ids AS uuid[]))
    AND s.active AND s.deleted_at IS NULL AND (l.paused_until IS NULL OR l.paused_until <= :now)
FOR NO KEY UPDATE OF l SKIP LOCKED
""")

# A lane that another dispatcher works on too has what its cap leaves; one that is only ours may be leased ahead of what
# is in flight, for the window keeps to the cap. A strict lane's head is its oldest undelivered event, due or not; only
# when it has none are deliveries taken that were fanned out before it became strict.
_CLAIM = """
WITH lane AS MATERIALIZED (
    SELECT l.id, l.strict, l.narrow, CASE
        WHEN l.narrow THEN 1 - o.total
        WHEN o.total > o.ours THEN LEAST(l.want, l.cap - o.total)
        ELSE l.want END AS places
    FROM unnest(CAST(:ids AS uuid[]), CAST(:wants AS int[]), CAST(:caps AS int[]), CAST(:narrow AS bool[]),
        CAST(:strict AS bool[])) AS l(id, want, cap, narrow, strict)
    CROSS JOIN LATERAL (
        SELECT count(*) AS total, count(*) FILTER (WHERE d.claim_id = ANY(CAST(:claims AS uuid[]))) AS ours
        FROM deliveries d WHERE d.subscription_id = l.id AND d.state = 'leased' AND d.lease_until > :now
    ) o
), picked AS (
    SELECT p.id, p.event_id FROM lane CROSS JOIN LATERAL (
        SELECT d.id, d.event_id FROM deliveries d
        WHERE d.subscription_id = lane.id AND d.state = 'pending' AND d.next_attempt_at <= :now {and_so}
        ORDER BY d.next_attempt_at, d.id LIMIT GREATEST(lane.places, 0)
        FOR NO KEY UPDATE SKIP LOCKED
    ) p WHERE NOT lane.strict OR (
        SELECT 1 FROM deliveries s WHERE s.subscription_id = lane.id AND s.strict AND s.state IN ('pending', 'leased')
        LIMIT 1) IS NULL
    UNION ALL
    SELECT h.id, h.event_id FROM lane CROSS JOIN LATERAL (
        SELECT d.id, d.event_id, d.state, d.next_attempt_at FROM deliveries d
        WHERE d.subscription_id = lane.id AND d.strict AND d.state IN ('pending', 'leased')
        ORDER BY d.event_id LIMIT 1
    ) h WHERE lane.strict AND lane.places > 0 AND h.state = 'pending' AND h.next_attempt_at <= :now
), sized AS (
    SELECT picked.id, e.body,
        sum(octet_length(e.body)) OVER (ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS bytes_before
    FROM picked LEFT JOIN events e ON e.id = picked.event_id
)
UPDATE deliveries d SET state = 'leased', claim_id = CAST(:claim AS uuid), lease_until = :until
FROM sized WHERE d.id = sized.id AND d.state = (SELECT 'pending') AND coalesce(sized.bytes_before, 0) < :most_bytes
RETURNING CAST(d.id AS text) AS delivery_id, CAST(d.account_id AS text) AS account_id,
    CAST(d.subscription_id AS text) AS subscription_id, CAST(d.event_id AS text) AS event_id,
    d.event_type, d.tries, d.attempts, sized.body, d.last_error IS NOT NULL
"""
_CLAIM_AT_ALL = text(_CLAIM.format(and_so=""))
_CLAIM_BY_RECORD = text(_CLAIM.format(and_so=f"AND {_ITS_TURN}"))

# Claimed a moment ago, but a newer event of its record has been delivered: a replay, which would undo that.
_SUPERSEDE = text("""
UPDATE deliveries d SET state = 'discarded', last_error = 'superseded', finished_at = :now, claim_id = NULL,
    lease_until = NULL
WHERE d.id = ANY(CAST(:ids AS uuid[])) AND d.state = 'leased' AND d.claim_id = CAST(:claim AS uuid)
    AND (SELECT 1 FROM deliveries n WHERE n.subscription_id = d.subscription_id AND n.record_id = d.record_id
        AND n.state = 'delivered' AND n.event_id > d.event_id LIMIT 1) = 1
RETURNING CAST(d.id AS text)
""")


@dataclass(frozen=True, slots=True)
class DueLane:
    """A lane that has something due and may be sent to."""

    subscription_id: str
    cap: int  # requests in flight at most
    batch: int = 1  # deliveries that one conversation carries


@dataclass(slots=True)
class Survey:
    """What a look at the table found."""

    due: list[DueLane] = field(default_factory=list)
    inactive: list[str] = field(default_factory=list)  # closed lanes that have pending deliveries all the same
    deleted: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that is ours until `lease_until`."""

    delivery_id: str
    account_id: str
    subscription_id: str
    event_id: str
    event_type: str
    tries: int
    attempts: int
    body: bytes | None  # None: the event has passed its retention
    claim_id: str
    lease_until: datetime
    is_repeat: bool = False  # it failed before, or was lost on its way


@dataclass(frozen=True, slots=True)
class Claim:
    """What one claim took."""

    claim_id: str
    taken: list[Claimed]
    versions: dict[str, str]  # of the subscriptions that could be claimed from
    superseded: Counter[str] = field(default_factory=Counter)  # by subscription: not to be sent, and settled


def survey(connection: Connection, *, now: datetime, in_flight: int) -> Survey:
    """The lanes with something due; `in_flight` is the cap of a subscription that has none of its own."""
    found = Survey()
    bare = []
    by_record = set()
    for row in connection.execute(_SURVEY, {"now": now}):
        if row.deleted:
            found.deleted.append(row.id)
        elif not row.active:
            found.inactive.append(row.id)
        elif row.due and not row.paused:
            if row.bare:
                bare.append(row.id)
            cap = row.max_in_flight if row.max_in_flight > 0 else in_flight
            if row.by_record:
                by_record.add(row.id)
            destination = DESTINATIONS.get(row.destination)
            batching = None if destination is None else destination.batching
            found.due.append(DueLane(row.id, cap, 1 if batching is None else batching.limit))
    if bare:
        connection.execute(_ADD_LANES, {"ids": bare})
    if by_record:
        by_record -= set(connection.execute(_MAY_GO, {"ids": sorted(by_record), "now": now}).scalars())
        found.due = [lane for lane in found.due if lane.subscription_id not in by_record]
    return found


def claim(
    connection: Connection,
    wants: Mapping[str, int],
    *,
    claim_id: str,
    our_claims: Sequence[str],
    circuit_failures: int,
    in_flight: int,
    most_bytes: int,
    now: datetime,
    lease_until: datetime,
) -> Claim:
    """Lease up to `wants` deliveries of each lane, the earliest due first, until their bodies come to `most_bytes`.

    A lane that failed `circuit_failures` times in a row is given one request as a probe, a strict lane one at a time,
    and one that keeps order by record one of each record at a time. A lane that another dispatcher is claiming from at
    this moment is passed over.
    """
    lanes = connection.execute(_LOCK, {"ids": list(wants), "now": now}).all()
    versions = {row.id: row.version for row in lanes}
    if not lanes:
        return Claim(claim_id, [], versions)
    by_record = [row for row in lanes if row.ordering == "record"]
    rest = [row for row in lanes if row.ordering != "record"] if by_record else lanes
    rows: list[Any] = []
    for statement, some in ((_CLAIM_AT_ALL, rest), (_CLAIM_BY_RECORD, by_record)):
        if some:
            rows += connection.execute(
                statement,
                {
                    "ids": [row.id for row in some],
                    "wants": [wants[row.id] for row in some],
                    "caps": [row.max_in_flight if row.max_in_flight > 0 else in_flight for row in some],
                    "narrow": [
                        row.ordering == "strict" or row.consecutive_failures >= circuit_failures for row in some
                    ],
                    "strict": [row.ordering == "strict" for row in some],
                    "claims": list(our_claims),
                    "claim": claim_id,
                    "most_bytes": most_bytes,
                    "now": now,
                    "until": lease_until,
                },
            )
    taken = [
        Claimed(
            delivery_id=delivery_id,
            account_id=account_id,
            subscription_id=subscription_id,
            event_id=event_id,
            event_type=event_type,
            tries=tries,
            attempts=attempts,
            body=None if body is None else body.encode(),
            claim_id=claim_id,
            lease_until=lease_until,
            is_repeat=attempts > 0 or failed,
        )
        for delivery_id, account_id, subscription_id, event_id, event_type, tries, attempts, body, failed in rows
    ]
    superseded = _supersede(connection, taken, _keepers(lanes), claim_id=claim_id, now=now)
    if superseded:
        passed = Counter(claimed.subscription_id for claimed in taken if claimed.delivery_id in superseded)
        taken = [claimed for claimed in taken if claimed.delivery_id not in superseded]
        return Claim(claim_id, taken, versions, passed)
    return Claim(claim_id, taken, versions)


def _keepers(lanes: Sequence[Any]) -> set[str]:
    """The ordered lanes whose destination keeps a record's state."""
    return {
        row.id
        for row in lanes
        if row.ordering != "none" and (kind := DESTINATIONS.get(row.destination)) is not None and kind.keeps_state
    }


def _supersede(
    connection: Connection, taken: Sequence[Claimed], keepers: set[str], *, claim_id: str, now: datetime
) -> set[str]:
    """The deliveries just claimed that are not to be sent any more, and are settled."""
    ids = [claimed.delivery_id for claimed in taken if claimed.subscription_id in keepers] if keepers else []
    if not ids:
        return set()
    return set(connection.execute(_SUPERSEDE, {"ids": ids, "claim": claim_id, "now": now}).scalars())
