"""A Facebook page's subscription of the app: the fields that Facebook tells us of.

Comes in: a page's token. Comes out: how each field stands. Left behind at Facebook: the page subscribes the app; the
app's own callback URL is a person's to enter. Repeating it changes nothing. A process that dies in the middle has
written down first what the page had dropped, so that the next one tells of it.

Source: developers.facebook.com, Page subscribed_apps and Securing requests, read 2026-11.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

import orjson

from shared import registrations
from shared.db.engine import transaction
from shared.registrations import Found, RegistrationState
from workers.sync import claims
from workers.sync.job import Job
from workers.sync.upstream import UpstreamFailed

FIELDS: Final = ("feed", "message_reads", "messages", "messaging_optins", "messaging_postbacks")
CALLBACK: Final = "callback"


def reconcile(job: Job, known: Sequence[Mapping[str, Any]]) -> list[Found]:
    """How each field stands after the page was made to subscribe those that it did not.

    Raises:
        UpstreamFailed: Facebook could not be asked or refuses.
    """
    address = job.address
    held = _subscribed(job)
    registered = {row["topic"]: row["external_id"] for row in known if row["state"] == RegistrationState.REGISTERED}
    # A field has no id that would be another one once it was put back. So the one we gave it is taken away before.
    dropped = {field for field in FIELDS if field in registered and not (field in held and registered[field])}
    if not set(FIELDS) <= held:
        with transaction(job.context.engine) as connection:
            if claims.hold(connection, job.claim):
                registrations.forget_ids(connection, job.claim.integration_id, dropped)
        fields = ",".join(sorted(held | set(FIELDS)))
        _call(job, "subscribe", "POST", {"subscribed_fields": fields})
    note = f"In the app's settings, Webhooks, Page: callback URL {address}, and the source's verify token"
    return [
        *(
            Found(field, RegistrationState.REGISTERED, job.tenant, address, is_dropped=field in dropped)
            for field in FIELDS
        ),
        Found(CALLBACK, RegistrationState.BY_HAND, address=address, note=note),
    ]


def _subscribed(job: Job) -> set[str]:
    answer = _call(job, "subscriptions", "GET", {})
    apps = answer.get("data") if isinstance(answer, dict) else None
    return {str(field) for app in apps or () if isinstance(app, dict) for field in app.get("subscribed_fields") or ()}


def _call(job: Job, what: str, method: str, form: Mapping[str, str]) -> Any:
    token = job.credential("page_token")
    if not job.secrets:
        raise UpstreamFailed("credentials_missing", "The source has no app secret.", is_final=True)
    proof = hmac.new(job.secrets[0], token.encode(), hashlib.sha256).hexdigest()
    query = urlencode({"appsecret_proof": proof})
    reply = job.upstream.call(
        f"facebook.{what}",
        method,
        f"{job.settings.facebook_url.rstrip('/')}/{job.safe_tenant}/subscribed_apps?{query}",
        headers={
            # In a header rather than the query, so that no log of a URL holds it.
            "Authorization": f"Bearer {token}",
            **({"Content-Type": "application/x-www-form-urlencoded"} if form else {}),
        },
        body=urlencode(form).encode() if form else None,
    )
    try:
        return orjson.loads(reply.body)
    except orjson.JSONDecodeError as error:
        raise UpstreamFailed("answer_malformed", "Facebook's answer is no JSON") from error
