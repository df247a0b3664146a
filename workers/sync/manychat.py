"""Reads ManyChat's subscribers, one call each: ManyChat has no list of them, so it is those that we have heard of.

Comes in: a claim. Left behind, batch by batch: users with their events, as if a message had told, and on each when it
was read. What has been read within the last `reconcile_hours` is passed over, so a worker that dies in the middle
leaves whole batches, and the next goes on behind them.

Source: api.manychat.com/swagger, "Subscriber", read 2026-11: getInfo takes at most 10 requests a second
of a page.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

import orjson
from sqlalchemy import text

from shared import orders
from shared.clock import after, to_json
from shared.db.engine import transaction
from shared.destinations.contract import Quota
from shared.errors import PayloadUnexpected
from shared.payload import clean_text
from shared.providers.contract import Change, Identity, Source
from shared.providers.registry import PROVIDERS
from workers.inbound.learn import LeftOut, learn
from workers.sync import left_out
from workers.sync.job import Done, GoOn, Job
from workers.sync.upstream import Pace, UpstreamFailed

API: Final = "https://api.manychat.com"
# A little more than a second, for requests that leave at their time may come in closer together.
QUOTA: Final = Quota(10, 1.1)
BATCH: Final = 20  # read between two commits
TOPIC: Final = "subscriber.updated"
_REFUSED: Final = "not_accepted"  # this subscriber is not one of the page's any more

_DUE: Final = text("""
SELECT external_id, version FROM users
WHERE account_id = :account_id AND provider = 'manychat' AND tenant = :tenant
  AND deleted_at IS NULL AND redacted_at IS NULL
  AND (stats ->> 'lastSynced' IS NULL OR CAST(stats ->> 'lastSynced' AS timestamptz) < :stale)
ORDER BY external_id LIMIT :batch
""")
# Ours alone, and no news for anybody: it raises no version and tells of nothing.
_READ: Final = text("""
UPDATE users SET stats = (stats - 'leftOut') || jsonb_build_object('lastSynced', CAST(:at AS text))
    || jsonb_strip_nulls(jsonb_build_object('leftOut', CAST(:reasons AS jsonb) -> external_id))
WHERE account_id = :account_id AND provider = 'manychat' AND tenant = :tenant AND external_id = ANY(:ids)
""")
# Those whose last reading was left out, which may have been the sync before: within a day nobody is read twice.
_LEFT_OUT: Final = text("""
SELECT external_id, stats ->> 'leftOut' AS reason, count(*) OVER () AS count FROM users
WHERE account_id = :account_id AND provider = 'manychat' AND tenant = :tenant AND deleted_at IS NULL
  AND stats ? 'leftOut'
ORDER BY external_id LIMIT :limit
""")


def sync(job: Job) -> Done | GoOn:
    """Every subscriber read that was due to be: `{"read", "gone", "events", "leftOut": {"count", "named"}}`.

    One whom no user of ours can hold is left out until the next time, and the others are read.

    Raises:
        UpstreamFailed: ManyChat could not be asked.
    """
    progress: dict[str, Any] = {
        "read": 0,
        "gone": 0,
        "events": 0,
        "leftOut": left_out.NONE,
        **(job.claim.progress or {}),
    }
    while due := _due(job):
        read: dict[str, Change | LeftOut | None] = {}
        wait = 0.0
        try:
            for subscriber, version in due.items():
                if job.is_over():
                    break
                read[subscriber] = _ask(job, subscriber, version)
        except UpstreamFailed as failure:
            _keep(job, progress, read)
            if not failure.is_for_later:
                raise
            wait = max(failure.wait_seconds, 1.0)
        else:
            _keep(job, progress, read)
        if wait or job.is_over():
            return GoOn(progress, after(job.now, wait))
    done = progress | {"leftOut": _standing(job)}
    return Done(done, again_at=after(job.now, job.settings.reconcile_hours * 3600))


def _standing(job: Job) -> dict[str, Any]:
    """All who are left out as of now, whichever sync did."""
    with transaction(job.context.engine) as connection:
        rows = connection.execute(_LEFT_OUT, _whose(job) | {"limit": left_out.NAMED}).all()
    named = [{"kind": "user", "externalId": row.external_id, "reason": row.reason} for row in rows]
    return {"count": rows[0].count if rows else 0, "named": named}


def _due(job: Job) -> dict[str, datetime | None]:
    """The next subscribers to be read, each with its version before that."""
    values = _whose(job) | {"stale": after(job.now, -job.settings.reconcile_hours * 3600), "batch": BATCH}
    with transaction(job.context.engine) as connection:
        return {row.external_id: row.version for row in connection.execute(_DUE, values)}


def _ask(job: Job, subscriber: str, version: datetime | None) -> Change | LeftOut | None:
    """The subscriber as ManyChat has it; `None`: it is not there any more, and what we know stays as it is."""
    url = f"{API}/fb/subscriber/getInfo?{urlencode({'subscriber_id': subscriber})}"
    headers = {"Authorization": f"Bearer {job.credential('access_token')}", "Accept": "application/json"}
    try:
        reply = job.upstream.call("manychat.subscriber", "GET", url, headers=headers, pace=_pace(job))
    except UpstreamFailed as failure:
        if failure.code == _REFUSED:
            return None
        raise
    try:
        answer = orjson.loads(reply.body)
    except orjson.JSONDecodeError as error:  # whoever that was, it was not ManyChat's API
        raise UpstreamFailed("answer_malformed", "ManyChat's answer is no JSON") from error
    try:
        contact = answer["data"] if answer["status"] == "success" else None
        return None if contact is None else _change(job, subscriber, contact, version)
    except PayloadUnexpected as error:
        return LeftOut("user", subscriber, str(error))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        return LeftOut("user", subscriber, f"it is not of the form that is known: {type(error).__name__} ({error})")


def _change(job: Job, subscriber: str, contact: Mapping[str, Any], version: datetime | None) -> Change:
    """The change that an External Request with this contact would have been.

    It counts as of what was known before the reading: what arrived meanwhile is newer, and wins.
    """
    provider = PROVIDERS["manychat"]
    source = Source(id=str(job.source["id"]), provider=provider.name, secrets=job.secrets)
    told = Identity(TOPIC, b"", None, job.tenant, None)
    (change,) = provider.transform(told, contact, source).changes
    if not isinstance(change, Change) or change.external_id != subscriber:
        raise PayloadUnexpected("it is about somebody else")
    return replace(change, version=version)


def _keep(job: Job, progress: dict[str, Any], read: Mapping[str, Change | LeftOut | None]) -> None:
    """Write down what was read, with the events of it."""
    if not read:
        return
    changes = [one for one in read.values() if isinstance(one, Change)]
    with transaction(job.context.engine) as connection:
        learned = learn(
            connection,
            changes,
            account_id=job.integration["account_id"],
            provider="manychat",
            tenant=job.tenant,
            source_id=job.source["id"],
            now=job.now,
        )
        missed = learned.left_out + [one for one in read.values() if isinstance(one, LeftOut)]
        reasons = {one.external_id: clean_text(one.reason)[: left_out.CHARACTERS] for one in missed}
        values = {"ids": list(read), "at": to_json(job.now), "reasons": orjson.dumps(reasons).decode()}
        connection.execute(_READ, _whose(job) | values)
    progress["read"] += len(changes) - len(learned.left_out)
    progress["gone"] += sum(one is None for one in read.values())
    progress["events"] += learned.events
    progress["leftOut"] = left_out.added(progress["leftOut"], missed, job)
    if learned.deliveries:
        orders.wake_dispatch(job.settings, job.context.client)


def _pace(job: Job) -> Pace:
    # The limit is the page's: as many workers and accounts as read it share it.
    return Pace("manychat", job.tenant, QUOTA)


def _whose(job: Job) -> dict[str, Any]:
    return {"account_id": str(job.integration["account_id"]), "tenant": job.tenant}
