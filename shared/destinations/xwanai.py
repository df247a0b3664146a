"""xwanai: keeps its customers as ours are, one request for each change.

Comes in: a parcel about a user, or an answer. Comes out: `POST {url}/customers/sync` or `DELETE {url}/customers/{id}`,
or a judgement. Both requests may be repeated. Pure; nothing is left behind.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

import orjson

from shared.destinations.contract import Answer, Destination, Judgement, Outgoing, Parcel, Verdict
from shared.destinations.replies import USER_AGENT, judge_api

NOT_FOUND = 404
BUSY_SECONDS = 60.0  # after a 429 that does not say how long
DEFAULT_HEADER = "X-API-Key"
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
_KEY = re.compile(r"[\x21-\x7e]{8,4096}")

# Our word -> theirs. `customer_id` is the provider's own id of the customer, which is the {id} of a deletion too.
_FIELDS: Final[Mapping[str, str]] = {
    "externalId": "customer_id",
    "provider": "provider",
    "tenant": "shop",
    "email": "email",
    "firstName": "first_name",
    "lastName": "last_name",
    "phone": "phone",
    "locale": "locale",
    "address": "address",
}


def build(parcel: Parcel, now: datetime) -> Outgoing | Judgement:  # noqa: ARG001  # nothing in it has a time of its own
    """The request that makes xwanai's customer as ours is, or takes it away."""
    if parcel.event_type not in XWANAI.event_types:  # type: ignore[operator]  # this record has them
        return Judgement(Verdict.DEAD, "event_unsupported")
    user = orjson.loads(parcel.body)["data"]["user"]
    if not user.get("externalId"):
        return Judgement(Verdict.DEAD, "customer_id_missing")
    # However it is encoded, this is a step of a path, and what would be deleted is everything.
    # Source: RFC 3986, 6.2.2.
    if parcel.event_type == "user.deleted" and user["externalId"] in (".", ".."):
        return Judgement(Verdict.DEAD, "customer_id_malformed")
    base = parcel.url.rstrip("/")
    name = parcel.settings.get("apiKeyHeader", DEFAULT_HEADER)
    key = parcel.secrets[0]
    headers = (
        (name, f"Bearer {key}" if name.lower() == "authorization" else key),
        ("User-Agent", USER_AGENT),
        ("Idempotency-Key", parcel.event_id),
    )
    if parcel.event_type == "user.deleted":
        return Outgoing(
            method="DELETE",
            url=f"{base}/customers/{quote(user['externalId'], safe='')}",
            headers=headers,
            body=b"",
            done_statuses=frozenset({NOT_FOUND}),  # it is gone, which is what was asked for
        )
    return Outgoing(
        method="POST",
        url=f"{base}/customers/sync",
        headers=(("Content-Type", "application/json"), *headers),
        body=orjson.dumps(_customer(user)),
    )


def judge(answer: Answer, now: datetime) -> Judgement:
    """What an answer comes to."""
    return judge_api(answer, now, busy_seconds=BUSY_SECONDS)


def check_settings(settings: Mapping[str, Any]) -> list[str]:
    """Problems with the settings: `apiKeyHeader` is the header that carries the key."""
    problems = [f"{name}: xwanai has no such setting." for name in settings if name != "apiKeyHeader"]
    header = settings.get("apiKeyHeader", DEFAULT_HEADER)
    if not isinstance(header, str) or not _HEADER.fullmatch(header):
        problems.append("apiKeyHeader is the name of a header.")
    return problems


def check_credential(credential: str) -> list[str]:
    """Problems with the API key."""
    return (
        [] if _KEY.fullmatch(credential) else ["The credential is xwanai's API key: 8 to 4096 characters, no spaces."]
    )


def _customer(user: Mapping[str, Any]) -> dict[str, Any]:
    customer = {theirs: user.get(ours) for ours, theirs in _FIELDS.items()}
    customer["full_name"] = user.get("fullName")
    customer["tags"] = [tag["name"] for tag in user.get("tags") or []]
    times = user.get("timestamps") or {}
    return customer | {"created_at": times.get("createdAt"), "updated_at": times.get("updatedAt")}


XWANAI = Destination(
    name="xwanai",
    title="xwanai",
    build=build,
    judge=judge,
    check_settings=check_settings,
    check_credential=check_credential,
    event_types=frozenset({"user.created", "user.updated", "user.deleted"}),
    url="https://www.xwanai.com/api",
    ordering="record",  # an update that overtakes a deletion would bring a customer back
    keeps_state=True,
)
