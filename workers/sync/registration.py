"""Registration: a provider's webhooks brought to what we want, once it is asked for and then daily.

Comes in: an integration. Left behind: how each topic stands, an alert for what the provider had dropped, the webhook
test due when there never was one. A process that dies in the middle leaves the next look to find what is undone.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from shared import alerts, audit, registrations, upstream_work
from shared.clock import after
from shared.db.engine import transaction
from shared.registrations import Found
from shared.upstream_work import Kind
from workers.sync import by_hand, claims, facebook_webhooks, robaws_webhooks, shopify_webhooks
from workers.sync.job import Done, Job
from workers.sync.trial import can_be_tried

Registrar = Callable[[Job, Sequence[Mapping[str, Any]]], list[Found]]

REGISTRARS: Final[Mapping[str, Registrar]] = {
    "shopify": shopify_webhooks.reconcile,
    "robaws": robaws_webhooks.reconcile,
    "facebook": facebook_webhooks.reconcile,
}


def register(job: Job) -> Done:
    """How many topics stand how: `{"registered", "refused", "by_hand", "dropped"}`. Idempotent.

    Raises:
        UpstreamFailed: the provider could not be asked.
    """
    integration_id = job.claim.integration_id
    with transaction(job.context.engine) as connection:
        known = registrations.list_registrations(connection, integration_id)
    found = REGISTRARS.get(job.source["provider"], by_hand.reconcile)(job, known)
    counts = Counter(one.state.value for one in found)
    dropped = [one.topic for one in found if one.is_dropped]
    with transaction(job.context.engine) as connection:
        if claims.hold(connection, job.claim):  # else another has looked since, and knows better
            registrations.write(connection, integration_id, found, now=job.now)
            tried = any(row["kind"] == Kind.TRIAL for row in upstream_work.standing(connection, integration_id))
            if can_be_tried(job) and not tried:
                upstream_work.ask(connection, [integration_id], Kind.TRIAL, now=job.now)
            if dropped:
                _tell(connection, job, dropped)
    again_at = after(job.now, job.settings.reconcile_hours * 3600)
    return Done({**counts, "dropped": len(dropped)}, again_at)


def _tell(connection: Any, job: Job, dropped: Sequence[str]) -> None:
    detail = {"topics": list(dropped), "provider": job.source["provider"], "externalId": job.tenant}
    alerts.raise_alert(
        connection,
        account_id=job.integration["account_id"],
        kind="registration.dropped",
        severity="warning",
        subject_id=job.claim.integration_id,
        message=f"{job.tenant} had dropped {len(dropped)} of its webhooks; they were put back. What happened in "
        "between was not told: the next sync reads it.",
        detail=detail,
        now=job.now,
    )
    audit.record(
        connection,
        account_id=job.integration["account_id"],
        actor="system",
        action="integration.reregistered",
        subject_kind="integration",
        subject_id=job.claim.integration_id,
        detail=detail,
        now=job.now,
    )
