"""Calls to providers' APIs: through the one door out, tried again by what kind of failure it was, and logged.

Comes in: a request. Comes out: a reply of 2xx, or `UpstreamFailed`, which says whether trying again later may help.
Left behind: what `shared.circuits` counts, so that a dead host is left alone. A process that dies in the middle has
perhaps been heard, so only what may be repeated is called with `repeatable`.

| what happened                   | here and now          | later                        |
|---------------------------------|-----------------------|------------------------------|
| no answer, 5xx                  | 3 tries, backoff      | yes; 5 in a row: circuit     |
| 429, 430                        | 3 tries, Retry-After  | yes, after Retry-After       |
| 5xx or 429 with a Retry-After   | no                    | yes, after Retry-After       |
|   beyond `PATIENCE_SECONDS`     |                       |                              |
| 401, 403, another 4xx, refused  | no                    | in a day, what is done daily |
|   by us                         |                       |                              |
| 402, 423 (the account is shut)  | no                    | yes, in 6 hours              |
| no credentials, or none that    | no                    | no: a person connects again  |
|   can be sent or renewed        |                       |                              |
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

import requests
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, stop_after_delay
from tenacity.wait import wait_random_exponential

from shared import valkey
from shared.circuits import CIRCUIT_SECONDS, CircuitOpen, guarded_call
from shared.clock import parse_http_date, utc_now
from shared.destinations.contract import Quota
from shared.egress.calls import Reply
from shared.errors import CrossdockError, EgressRefused
from shared.settings import Settings
from workers.quotas import Quotas

TRIES: Final = 3
TRYING_SECONDS: Final = 20.0  # no try begins later than this after the first
PATIENCE_SECONDS: Final = 5.0  # a longer wait is not sat out, but the work put off
RETRY_AFTER_MAX_SECONDS: Final = 86_400.0
SHUT_SECONDS: Final = 21_600.0
_TOO_MANY: Final = (HTTPStatus.TOO_MANY_REQUESTS, 430)  # 430: Shopify's own
_DENIED: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_SHUT: Final = (HTTPStatus.PAYMENT_REQUIRED, HTTPStatus.LOCKED)
_FOR_LATER: Final = ("throttled", "too_many_requests")
_OUR_WAITS: Final = ("account_shut", "circuit_open")
# A header that requests, or one that http.client, will not write.
_UNSENDABLE: Final = (requests.exceptions.InvalidHeader, requests.exceptions.InvalidURL, UnicodeEncodeError)
_A_PERSONS: Final = frozenset(
    {"credentials_missing", "credentials_malformed", "refresh_refused", "refresh_ended", "tenant_malformed"}
)


class UpstreamFailed(CrossdockError):
    """Raised when a provider did not do what was asked.

    `code` is stable; `is_final` says that trying again changes nothing until a person does something; `wait_seconds`
    is how long it is left alone, because it wants to be or we had better; `passes` says that a try within seconds may
    do; `status` is what was answered, `None` where nothing was or it does not matter.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        is_final: bool = False,
        wait_seconds: float = 0.0,
        passes: bool = False,
        status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.is_final = is_final
        self.wait_seconds = wait_seconds
        self.passes = passes
        self.status = status

    @property
    def is_for_later(self) -> bool:
        """Whether nothing went wrong: the provider has had enough for now, and the work may go on later."""
        return self.code in _FOR_LATER

    @property
    def is_a_persons(self) -> bool:
        """Whether only a person can mend it, so that not even a try on another day may do."""
        return self.code in _A_PERSONS

    @property
    def left_alone_seconds(self) -> float:
        """How much of the wait is the provider's own word, which a person has to keep to as well."""
        return 0.0 if self.code in _OUR_WAITS else self.wait_seconds


@dataclass(frozen=True, slots=True)
class Pace:
    """How often an API may be asked by one asker, whichever worker does; every try counts."""

    api: str
    asker: str
    quota: Quota


class Upstream:
    """The way to providers of one worker; for any number of threads."""

    def __init__(
        self,
        settings: Settings,
        client: valkey.Client,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.settings = settings
        self.sleep = sleep
        self._client = client
        self._clock = clock
        self._quotas = Quotas(client)

    def now(self) -> datetime:
        """The present instant; a job's own is that of its beginning."""
        return self._clock()

    def call(
        self,
        what: str,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        repeatable: bool = True,
        pace: Pace | None = None,
    ) -> Reply:
        """The 2xx reply; `what` names the call in the log, where neither its headers nor its query stand.

        Raises:
            UpstreamFailed: there was none, after as many tries as the kind of failure is worth.
        """
        tries = Retrying(
            retry=retry_if_exception(lambda error: isinstance(error, UpstreamFailed) and error.passes),
            stop=stop_after_attempt(TRIES if repeatable else 1) | stop_after_delay(TRYING_SECONDS),
            wait=_wait,
            sleep=self.sleep,
            reraise=True,
        )

        def once() -> Reply:
            if pace is not None:
                self._keep(pace)
            reply = self.exchange(what, method, url, headers=headers, body=body)
            if failure := judge(reply):
                raise failure
            return reply

        reply: Reply = tries(once)
        return reply

    def exchange(
        self,
        what: str,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        timeout_seconds: float | None = None,
        max_bytes: int | None = None,
    ) -> Reply:
        """One try: the reply, whatever its status; none is made of a host whose circuit is open.

        Raises:
            UpstreamFailed: there was no reply.
        """
        try:
            return guarded_call(
                self._client,
                self.settings,
                method,
                url,
                what=what,
                headers=headers,
                body=body,
                timeout_seconds=timeout_seconds or self.settings.upstream_timeout_seconds,
                max_bytes=max_bytes or self.settings.upstream_max_bytes,
            )
        except CircuitOpen as error:
            raise UpstreamFailed("circuit_open", str(error), wait_seconds=CIRCUIT_SECONDS) from error
        except EgressRefused as error:
            passes = error.code == "host_unresolvable"
            raise UpstreamFailed(error.code, error.message, is_final=not passes, passes=passes) from error
        except _UNSENDABLE:
            words = "The credentials cannot be sent: they have a line break or a character that no header may carry"
            # From nothing: what was raised quotes them.
            raise UpstreamFailed("credentials_malformed", words, is_final=True) from None
        except requests.RequestException as error:
            words = f"{urlsplit(url).netloc} did not answer: {type(error).__name__}"
            raise UpstreamFailed("unreachable", words, passes=True) from error

    def _keep(self, pace: Pace) -> None:
        """Wait for a place in the window that all workers share."""
        waited = 0.0
        while wait := self._quotas.take(pace.api, "requests", pace.asker, pace.quota, now=self._clock()):
            waited += wait
            if waited > PATIENCE_SECONDS:
                words = f"{pace.api} is asked as often as it may be already"
                raise UpstreamFailed("too_many_requests", words, wait_seconds=wait)
            self.sleep(wait)


def judge(reply: Reply) -> UpstreamFailed | None:
    """What a reply comes to; `None` for one that is well."""
    status = reply.status
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return None
    words = f"it answered {status}"
    if status in _TOO_MANY:
        wait = retry_after(reply)
        return UpstreamFailed("too_many_requests", words, wait_seconds=wait, passes=wait <= PATIENCE_SECONDS)
    if status in _DENIED:
        return UpstreamFailed("denied", f"{words}: it does not accept the token", is_final=True, status=status)
    if status in _SHUT:
        return UpstreamFailed("account_shut", f"{words}: the account there is shut", wait_seconds=SHUT_SECONDS)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        wait = retry_after(reply)
        return UpstreamFailed("server_error", words, wait_seconds=wait, passes=wait <= PATIENCE_SECONDS)
    return UpstreamFailed("not_accepted", words, is_final=True)


def retry_after(reply: Reply) -> float:
    """The seconds that a reply's Retry-After asks for; 0 without one that can be read."""
    text = reply.headers.get("Retry-After", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        at = parse_http_date(text)
        seconds = 0.0 if at is None else (at - utc_now()).total_seconds()
    return min(max(seconds, 0.0), RETRY_AFTER_MAX_SECONDS) if seconds == seconds else 0.0  # noqa: PLR0124  # NaN


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.wait_seconds if isinstance(error, UpstreamFailed) else 0.0
    return max(min(asked, PATIENCE_SECONDS), wait_random_exponential(multiplier=0.5, max=PATIENCE_SECONDS)(state))
