"""Whether the app is in a shop at all, when a message says that it is not and may be somebody's replay.

Comes in: the instant that the message names. Left behind: the shop let go, or an alert, and erasures of the whole shop
released or refused. The proof is the shop's own word: it takes the token of an app that is installed, and of no other.
Nothing happens but in the caller's transaction.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from shared import audit, privacy
from shared.alerts import raise_alert
from workers.inbound.learn import Learned
from workers.inbound.uninstall import Uninstalled, uninstall
from workers.sync.job import Job
from workers.sync.shopify_api import ShopifyApi
from workers.sync.shopify_shop import read_shop
from workers.sync.shopify_token import REFUSED
from workers.sync.upstream import UpstreamFailed

# What a shop says, and what we say, when there is no token that it takes.
# Not `refresh_ended`: then the token came to its end by itself, and nobody knows.
_GONE: Final = ("denied", "credentials_missing", REFUSED)


def ask_installation(job: Job, domain: str, at: datetime) -> Callable[[Connection], Learned]:
    """Ask the shop whether it takes our token; what follows from that.

    Raises:
        UpstreamFailed: it could not be asked.
    """
    del domain
    if at < (job.integration["installed_at"] or job.integration["created_at"]):
        # The shop was connected again since: whatever was told is of the time before.
        return lambda connection: _keep(connection, job, is_told=False)
    try:
        read_shop(ShopifyApi(job))
    except UpstreamFailed as failure:
        if failure.code not in _GONE:
            raise
        return lambda connection: _let_go(connection, job, at)
    return lambda connection: _keep(connection, job, is_told=True)


def _let_go(connection: Connection, job: Job, at: datetime) -> Learned:
    """It is gone, and so whoever held an erasure up for it does so no more."""
    told = Uninstalled(
        account_id=job.integration["account_id"],
        source_id=job.source["id"],
        provider=job.source["provider"],
        external_id=job.tenant,
        at=at,
        reason="the shop does not take the token",
    )
    uninstall(connection, told, now=job.now)
    return Learned()


def _keep(connection: Connection, job: Job, *, is_told: bool) -> Learned:
    """It is there, so nothing of it is to be erased; an alert, unless that was only what an older message said."""
    account_id, integration_id = job.integration["account_id"], job.claim.integration_id
    refused = privacy.refuse_held(
        connection, account_id=account_id, provider=job.source["provider"], tenant=job.tenant, now=job.now
    )
    for erasure_id in refused:
        audit.record(
            connection,
            account_id=account_id,
            actor="system",
            action="erasure.refused",
            subject_kind="erasure",
            subject_id=erasure_id,
            reason="the app is installed in the shop",
            detail={"externalId": job.tenant},
            now=job.now,
        )
    if not (is_told or refused):
        return Learned()
    raise_alert(
        connection,
        account_id=account_id,
        kind="integration.doubted",
        severity="error",
        subject_id=integration_id,
        message=f"Somebody told us that {job.tenant} is gone, but it takes our token: nothing was switched off or "
        "erased. Look where that message came from.",
        detail={"externalId": job.tenant, "erasures": [str(erasure_id) for erasure_id in refused]},
        now=job.now,
    )
    return Learned()
