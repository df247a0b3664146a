"""Asks a provider for what messages left open, one subject at a time.

Comes in: a claim, and rows of `inquiries`. Left behind, subject by subject, each in a transaction that takes its row
away: what the provider answered, with events, as if a message had told. A worker that dies in the middle leaves the
rows that it did not come to, and the next asks for those. A subject that was asked for again meanwhile stays open.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, select, text

from shared import logs, orders
from shared.clock import after
from shared.db.engine import transaction
from shared.db.upstream_tables import inquiries
from workers.inbound.demands import INSTALLATION
from workers.inbound.learn import Learned
from workers.sync import claims, shopify_installation, shopify_orders, shopify_shop
from workers.sync.claims import ClaimLost
from workers.sync.job import Done, GoOn, Job
from workers.sync.upstream import UpstreamFailed

BATCH: Final = 20  # looked up at once
# One subject's own trouble, which asking again would not mend and which holds up no other.
_ITS_OWN: Final = "answer_unexpected"
_CLOSE: Final = text("""
DELETE FROM inquiries WHERE integration_id = :integration_id AND subject = :subject AND times = :times
""")

# Asks for the subject with this id, open as of an instant. Comes back with how the answer is kept, which says how many
# events and deliveries came of it; or with None where there is nothing to be kept.
Keeper = Callable[[Connection], Learned]
Asker = Callable[[Job, str, datetime], Keeper | None]

_ASKERS: Final[Mapping[str, Mapping[str, Asker]]] = {
    "shopify": {
        "order": shopify_orders.ask_order,
        "shop": shopify_shop.ask_shop,
        INSTALLATION: shopify_installation.ask_installation,
    },
}

_log = logs.get("upstream")


@dataclass(frozen=True, slots=True)
class _Inquiry:
    """One row."""

    subject: str
    at: datetime
    times: int

    @property
    def kind(self) -> str:
        return self.subject.partition(":")[0]

    @property
    def external_id(self) -> str:
        return self.subject.partition(":")[2]


def inquire(job: Job) -> Done | GoOn:
    """Everything asked for that was open: `{"asked", "unexpected", "events"}`.

    Raises:
        UpstreamFailed: the provider could not be asked.
    """
    counts: dict[str, int] = dict(job.claim.progress or {"asked": 0, "unexpected": 0, "events": 0})
    try:
        while found := _open(job):
            for inquiry in found:
                if job.is_over():
                    return GoOn(counts, job.now)
                _settle(job, inquiry, counts)
    except UpstreamFailed as failure:
        if not failure.is_for_later:
            raise
        return GoOn(counts, after(job.now, max(failure.wait_seconds, 1.0)))
    except ClaimLost:
        return GoOn(counts, job.now)  # settles nothing, since the claim is another's
    return Done(counts)


def _open(job: Job) -> list[_Inquiry]:
    query = (
        select(inquiries.c.subject, inquiries.c.at, inquiries.c.times)
        .where(inquiries.c.integration_id == job.claim.integration_id)
        .order_by(inquiries.c.at, inquiries.c.subject)
        .limit(BATCH)
    )
    with transaction(job.context.engine) as connection:
        return [_Inquiry(row.subject, row.at, row.times) for row in connection.execute(query)]


def _settle(job: Job, inquiry: _Inquiry, counts: dict[str, int]) -> None:
    """Ask, and keep the answer together with its being answered."""
    ask = _ASKERS.get(job.source["provider"], {}).get(inquiry.kind)
    try:
        keep = None if ask is None else ask(job, inquiry.external_id, inquiry.at)
        told = _close(job, inquiry, counts, keep)
    except UpstreamFailed as failure:
        if failure.code != _ITS_OWN:
            raise
        _log.warning("inquiry.unexpected", subject=inquiry.subject, error=failure.message)
        counts["unexpected"] += 1
        told = _close(job, inquiry, counts, None)
    if told.deliveries:
        orders.wake_dispatch(job.settings, job.context.client)


def _close(
    job: Job, inquiry: _Inquiry, counts: dict[str, int], keep: Callable[[Connection], Learned] | None
) -> Learned:
    told = Learned()
    with transaction(job.context.engine) as connection:
        claims.keep(connection, job.claim)
        if keep is not None:
            told = keep(connection)
            if told.left_out:
                raise UpstreamFailed(_ITS_OWN, told.left_out[0].reason, is_final=True)
        closed: dict[str, Any] = {"subject": inquiry.subject, "times": inquiry.times}
        connection.execute(_CLOSE, closed | {"integration_id": str(job.claim.integration_id)})
        counts["asked"] += keep is not None
        counts["events"] += told.events
        claims.advance(connection, job.claim, counts, now=job.now, lease_seconds=job.settings.lease_seconds)
    return told
