"""A shop's GraphQL API: one document at a time, never faster than the shop lets us.

Comes in: a document and its variables. Comes out: its `data`. Left behind: a new token, where the one there was came to
its end. A process that dies in the middle has perhaps been heard, and every document of ours may be repeated.

Source: shopify.dev, API limits and GraphQL Admin API status and error codes, read 2026-11.
"""

import time
from collections.abc import Mapping
from http import HTTPStatus
from random import Random, SystemRandom
from typing import Any, Final

import orjson

from shared.egress.calls import Reply
from shared.shopify_grant import HEADERS
from shared.shopify_shop import api_url
from workers.sync.job import Job
from workers.sync.shopify_token import ShopToken
from workers.sync.upstream import PATIENCE_SECONDS, TRYING_SECONDS, UpstreamFailed

# At least so long after each refusal, and at most twice, so that workers that were refused together do not come again
# together. Source: shopify.dev, Shopify API limits, "backoff of 1 second", read 2026-11.
THROTTLED_SECONDS: Final = 1.0
# A query costs at most a shop's whole bucket, so this is more than the slowest plan needs to fill up again.
_MOST_WAIT_SECONDS: Final = 60.0


class ShopifyApi:
    """The API of one shop for the time of one job.

    Raises:
        UpstreamFailed: `tenant_malformed`: nobody is asked.
    """

    def __init__(self, job: Job, *, rng: Random | None = None) -> None:
        self._upstream = job.upstream
        self._url = api_url(job.settings, job.safe_tenant)
        self._token = ShopToken(job)
        self._rng = rng or SystemRandom()
        self._is_token_doubted = False  # a shop has refused it, and it was renewed for that once
        self._costs: dict[str, float] = {}  # what each document cost the last time
        self._available = 0.0
        self._restore_rate = 0.0  # 0: the shop has not said yet
        self._as_of = 0.0

    def run(self, what: str, document: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The `data` of a document, once the shop has points enough for it.

        Raises:
            UpstreamFailed: `throttled` when that takes too long to sit out, `graphql_error` when the shop will not run
                the document, or what the call itself comes to.
        """
        body = orjson.dumps({"query": document, "variables": dict(variables or {})})
        waited = 0.0
        while True:
            waited += self._wait_for(self._costs.get(what, 0.0))
            reply = self._call(what, body)
            answer = _object(reply.body)
            self._note(what, answer)
            errors = answer.get("errors")
            if not errors:
                data = answer.get("data")
                if isinstance(data, dict) and data:
                    return data
                raise UpstreamFailed("answer_malformed", "The shop's answer has no data")
            if not _is_throttled(errors):
                raise _failure(errors)
            # Whatever is known of the points: others spend them too, and this answer may not have named any.
            pause = THROTTLED_SECONDS * (1 + self._rng.random())
            waited += pause
            if waited > TRYING_SECONDS:
                raise UpstreamFailed("throttled", "The shop has no points left", wait_seconds=_MOST_WAIT_SECONDS)
            self._upstream.sleep(pause)

    def _call(self, what: str, body: bytes) -> Reply:
        """The reply; a token that the shop refuses is renewed, once a job."""
        try:
            return self._post(what, body, self._token.fresh())
        except UpstreamFailed as failure:
            if failure.status != HTTPStatus.UNAUTHORIZED or self._is_token_doubted or not self._token.is_renewable:
                raise
        self._is_token_doubted = True
        return self._post(what, body, self._token.renewed())

    def _post(self, what: str, body: bytes, token: str) -> Reply:
        headers = {**HEADERS, "X-Shopify-Access-Token": token}
        return self._upstream.call(f"shopify.{what}", "POST", self._url, headers=headers, body=body)

    def _note(self, what: str, answer: Mapping[str, Any]) -> None:
        """Remember what the document cost and what is left; an answer that does not say changes nothing."""
        cost = (answer.get("extensions") or {}).get("cost") or {}
        status = cost.get("throttleStatus") or {}
        if not status:
            return
        self._costs[what] = float(cost.get("requestedQueryCost") or 0)
        self._available = float(status.get("currentlyAvailable") or 0)
        self._restore_rate = float(status.get("restoreRate") or 0)
        self._as_of = time.monotonic()

    def _wait_for(self, points: float) -> float:
        """Sit out until the bucket has so many points, and how long that was; a long wait is the caller's business."""
        if not self._restore_rate:
            return 0.0
        available = self._available + (time.monotonic() - self._as_of) * self._restore_rate
        wait = min((points - available) / self._restore_rate, _MOST_WAIT_SECONDS)
        if wait > PATIENCE_SECONDS:
            raise UpstreamFailed("throttled", "The shop has no points left", wait_seconds=wait)
        if wait <= 0:
            return 0.0
        self._upstream.sleep(wait)
        return wait


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise UpstreamFailed("answer_malformed", "The shop's answer is no JSON object")
    return found


def _codes(errors: Any) -> set[str]:
    listed = errors if isinstance(errors, list) else []
    return {str((one.get("extensions") or {}).get("code")) for one in listed if isinstance(one, dict)}


def _is_throttled(errors: Any) -> bool:
    return "THROTTLED" in _codes(errors)


def _failure(errors: Any) -> UpstreamFailed:
    first = errors[0] if isinstance(errors, list) and errors else errors
    words = str(first.get("message") if isinstance(first, dict) else first)[:300]
    codes = _codes(errors)
    if "ACCESS_DENIED" in codes:
        return UpstreamFailed("access_denied", words, is_final=True)
    return UpstreamFailed("graphql_error", words, is_final="INTERNAL_SERVER_ERROR" not in codes)
