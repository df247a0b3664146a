"""Robaws' webhook endpoint for a source: made over its API, its id and secret kept.

Comes in: what was known. Comes out: how each topic stands. The secret is told once, when the endpoint is made, and is
kept in a transaction of its own at once; a process that dies in between leaves an endpoint whose id nobody knows,
which the next look removes and makes anew.

Source: Robaws' support article on webhooks, read 2026-11.
"""

import base64
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any
from urllib.parse import quote

import orjson

from shared import directory, sources
from shared.db.engine import transaction
from shared.providers.registry import PROVIDERS
from shared.registrations import Found, RegistrationState
from workers.sync.job import Job
from workers.sync.upstream import UpstreamFailed

OVERLAP_SECONDS = 86_400.0  # what the old endpoint still sends
PAGE = 100  # the most that Robaws lists at once


def reconcile(job: Job, known: Sequence[Mapping[str, Any]]) -> list[Found]:
    """How each topic stands after the endpoint was looked at, and made anew if it was not as it should be.

    Raises:
        UpstreamFailed: Robaws could not be asked or refuses.
    """
    address = job.address
    # One source may be for clients and another one, with a secret of its own, for articles.
    allowed = job.source["allowed_topics"]
    wanted = sorted(topic for topic in PROVIDERS["robaws"].topics if allowed is None or topic in allowed)
    listed = _listed(job)
    there = {str(one.get("id")) for one in listed}
    made = {str(row["external_id"]) for row in known if row["external_id"]}
    mine = [one for one in listed if one.get("url") == address or str(one.get("id")) in made]
    # Not by whether one leads here: that may be ours, made before we could write it down.
    dropped = bool(made) and not made & there
    right = [one for one in mine if _is_right(one, made, address, wanted)]
    kept = str(right[0]["id"]) if right else _make(job, address, wanted)
    for one in mine:
        if str(one.get("id")) != kept:
            _call(job, "webhooks.remove", "DELETE", f"/{quote(str(one.get('id')), safe='')}")
    return [Found(topic, RegistrationState.REGISTERED, kept, address, is_dropped=dropped) for topic in wanted]


def _is_right(one: Mapping[str, Any], made: set[str], address: str, wanted: Sequence[str]) -> bool:
    # One that we have not made is no use: nobody knows its secret.
    return str(one.get("id")) in made and one.get("url") == address and set(one.get("events") or ()) == set(wanted)


def _make(job: Job, address: str, wanted: Sequence[str]) -> str:
    # Not to be repeated: a second one would be made, and the first one's secret lost.
    body = {"url": address, "events": list(wanted)}
    answer = _call(job, "webhooks.add", "POST", "", body=body, repeatable=False)
    if not isinstance(answer, dict) or not answer.get("id") or not isinstance(answer.get("secret"), str):
        raise UpstreamFailed("answer_malformed", "Robaws' answer has no id or no secret")
    with transaction(job.context.engine) as connection:
        sources.rotate(
            connection,
            job.context.ring,
            job.source["id"],
            account_id=job.source["account_id"],
            secret=answer["secret"],
            overlap_seconds=OVERLAP_SECONDS,
            now=job.now,
        )
    with transaction(job.context.engine) as connection:
        directory.publish(connection, job.context.client)
    return str(answer["id"])


def _listed(job: Job) -> list[Mapping[str, Any]]:
    """Every endpoint, page by page; one that knows of no pages gives the same again, which ends it too."""
    listed: dict[str, Mapping[str, Any]] = {}
    for page in count():
        answer = _call(job, "webhooks.list", "GET", f"?page={page}&size={PAGE}")
        found = answer.get("items") if isinstance(answer, dict) else answer
        items = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
        new = {str(one.get("id")): one for one in items if str(one.get("id")) not in listed}
        listed |= new
        if not new or len(items) < PAGE:
            break
    return list(listed.values())


def _call(
    job: Job, what: str, method: str, path: str, *, body: Mapping[str, Any] | None = None, repeatable: bool = True
) -> Any:
    pair = f"{job.credential('api_key')}:{job.credential('api_secret')}"
    headers = {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}", "Accept": "application/json"}
    if body is not None:
        headers["Content-Type"] = "application/json"
    reply = job.upstream.call(
        f"robaws.{what}",
        method,
        f"{job.settings.robaws_url.rstrip('/')}/api/v2/webhook-endpoints{path}",
        headers=headers,
        body=None if body is None else orjson.dumps(body),
        repeatable=repeatable,
    )
    if not reply.body:
        return None
    try:
        return orjson.loads(reply.body)
    except orjson.JSONDecodeError as error:
        raise UpstreamFailed("answer_malformed", "Robaws' answer is no JSON") from error
