"""A shop's access token while it lasts, and the next one, exchanged for the refresh token before it ends.

Comes in: a job. Left behind: the integration's credentials with the new pair, sealed, in one UPDATE that only counts
while they are what was read. One process renews at a time; the others wait and find what it has left.

**A process that dies between Shopify's answer and the commit** leaves the pair before. Shopify takes its refresh token
again until the one that it gave for it is used, for 30 days at most, so whoever comes next renews with it and nothing
is lost. (No write before the call could help: what there is to write, only the answer tells.) Would Shopify not take it
again, that is a refusal like any other, and a person connects the shop again.

| Shopify says                | what is left                                  | what follows                          |
|-----------------------------|-----------------------------------------------|---------------------------------------|
| a new pair                  | the new pair                                  | the call is made with it              |
| `invalid_grant`             | no refresh token, and that it was refused     | final: a person connects again        |
| another 4xx                 | the pair before                               | final: a person mends the app's names |
| nothing, 429, 5xx, nonsense | the pair before                               | tried again as any work that failed   |
| (not asked: it has ended)   | the pair before                               | final: a person connects again        |

Source: shopify.dev, offline access tokens, and its changelog of 2026-08-28 on refreshes, read 2026-11.
"""

from dataclasses import replace
from http import HTTPStatus
from typing import Final

from sqlalchemy import select

from shared import logs
from shared.clock import to_json
from shared.db.engine import transaction
from shared.db.tables import integrations as integrations_table
from shared.integrations import open_credentials, renew_credentials
from shared.shopify_grant import HEADERS, Grant, grant_of, read_answer, read_grant, refresh_form, token_url
from shared.shopify_shop import login_url
from workers.sync.job import Job
from workers.sync.token_lock import token_lock
from workers.sync.upstream import UpstreamFailed, judge

# A token that ends sooner is renewed first: longer than any call takes, and two clocks' seconds differ by less.
FRESH_SECONDS: Final = 300.0
AGAIN_SECONDS: Final = 60.0
ANSWER_BYTES: Final = 100_000
REFUSED: Final = "refresh_refused"
ENDED: Final = "refresh_ended"
# Source: RFC 6749, 5.2: the refresh token is invalid, expired, revoked, or another client's.
_INVALID: Final = "invalid_grant"

_log = logs.get("upstream")


class ShopToken:
    """The token of one shop for the time of one job."""

    def __init__(self, job: Job) -> None:
        job.credential("access_token")
        self._job = job
        self._grant = _present(grant_of(job.credentials))

    @property
    def is_renewable(self) -> bool:
        """Whether it came with one to renew it with, even if Shopify has refused that since."""
        return self._grant.refresh_token is not None or self._grant.is_refused

    def fresh(self) -> str:
        """The token, renewed if it ends soon.

        Raises:
            UpstreamFailed: it ends, and there is no other to be had.
        """
        if self._grant.ends_within(FRESH_SECONDS, now=self._job.upstream.now()):
            self._renew()
        return self._grant.access_token

    def renewed(self) -> str:
        """Another token than the last, which the shop has refused before its time.

        Raises:
            UpstreamFailed: there is none to be had.
        """
        self._renew()
        return self._grant.access_token

    def _renew(self) -> None:
        job, mine = self._job, self._grant.access_token
        with token_lock(job.context.engine, job.claim.integration_id):
            sealed, stored = self._read()
            now = job.upstream.now()
            if stored.access_token != mine and not stored.ends_within(FRESH_SECONDS, now=now):
                self._grant = stored  # by another process, or a person who has connected the shop again
            else:
                self._grant = self._put(sealed, self._ask(stored))
        if self._grant.is_refused:
            raise self._refused()

    def _ask(self, stored: Grant) -> Grant:
        """What Shopify gives for the refresh token, or the grant without it when it refuses that."""
        job, now = self._job, self._job.upstream.now()
        if stored.is_refused:
            raise self._refused()
        if stored.refresh_token is None or (stored.refresh_ends_at is not None and stored.refresh_ends_at <= now):
            raise UpstreamFailed(
                ENDED, f"The token has ended, and what renewed it too. {self._advice()}", is_final=True
            )
        if not (job.settings.shopify_client_id and job.secrets):
            words = "To renew the token, CROSSDOCK_SHOPIFY_CLIENT_ID and the source's secret are needed"
            raise UpstreamFailed("app_unknown", words, is_final=True)
        reply = job.upstream.exchange(
            "shopify.renew",
            "POST",
            token_url(job.settings, job.tenant),
            headers=HEADERS,
            body=refresh_form(job.settings, refresh_token=stored.refresh_token, secret=job.secrets[0]),
            max_bytes=ANSWER_BYTES,
        )
        failure, answer = judge(reply), read_answer(reply.body)
        if failure is None:
            renewed = read_grant(answer, now=now, before=stored)
            if renewed is None:
                raise UpstreamFailed("answer_malformed", "Shopify's answer has no token")
            return renewed
        if reply.status < HTTPStatus.INTERNAL_SERVER_ERROR and answer.get("error") == _INVALID:
            return replace(stored, refresh_token=None, refresh_ends_at=None, is_refused=True)
        if failure.is_final:
            words = f"Shopify answered {reply.status} when the token was to be renewed. Compare the client id and the "
            words += f"source's newest secret with the app's. If they are right: {self._advice()}"
            raise UpstreamFailed("renewal_denied", words, is_final=True)
        # It is one try, and without a Retry-After "too many" would be asked again at once.
        raise UpstreamFailed(failure.code, failure.message, wait_seconds=max(failure.wait_seconds, AGAIN_SECONDS))

    def _read(self) -> tuple[str, Grant]:
        """The grant as it is kept now, and how it is sealed."""
        job = self._job
        query = select(integrations_table.c.credentials).where(integrations_table.c.id == job.claim.integration_id)
        with transaction(job.context.engine) as connection:
            sealed = connection.execute(query).scalar()
        grant = grant_of(open_credentials(job.context.ring, job.claim.integration_id, sealed))
        return sealed or "", _present(grant)

    def _put(self, sealed: str, grant: Grant) -> Grant:
        """The grant, now kept; or the one that a person has connected the shop with meanwhile."""
        job = self._job
        with transaction(job.context.engine) as connection:
            is_kept = renew_credentials(
                connection, job.context.ring, job.claim.integration_id, grant.credentials(), as_read=sealed
            )
        _log.info(
            "token.refused" if grant.is_refused else "token.renewed",
            integration_id=str(job.claim.integration_id),
            is_kept=is_kept,
            ends_at=None if grant.access_ends_at is None else to_json(grant.access_ends_at),
        )
        return grant if is_kept else self._read()[1]

    def _refused(self) -> UpstreamFailed:
        return UpstreamFailed(REFUSED, f"Shopify does not renew the token. {self._advice()}", is_final=True)

    def _advice(self) -> str:
        login = login_url(self._job.settings, self._job.tenant, source_path=self._job.source["path"])
        return f"The shop's owner connects it again at {login}"


def _present(grant: Grant | None) -> Grant:
    """The grant, if there is one.

    Raises:
        UpstreamFailed: `credentials_missing`: the shop was let go, or a person has taken them away.
    """
    if grant is None:
        raise UpstreamFailed("credentials_missing", "The integration has no access_token.", is_final=True)
    return grant
