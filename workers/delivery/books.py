"""The window's books: everything that it reads from and writes to the database, each in its own short transaction.

Comes in: calls on one thread. Left behind: what `claim`, `outcome` and `leases` leave. A process that dies inside one
leaves nothing of that one.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from random import Random

import redis
from sqlalchemy import text
from sqlalchemy.exc import InterfaceError, OperationalError

from shared import lanes, logs, queues
from shared.clock import after
from shared.db.engine import transaction
from shared.destinations.contract import Verdict
from shared.ids import new_id
from workers.context import Context
from workers.delivery import leases, outcome
from workers.delivery.claim import Claim, Claimed, DueLane, claim, survey
from workers.delivery.holdings import MOST_BYTES
from workers.delivery.outcome import Recorded, Result
from workers.delivery.subscribers import Subscribers
from workers.quotas import Quotas

# A claim that a crash of the server takes back was never more than a promise to ourselves: it need not be on disk.
_RELAXED = text("SET LOCAL synchronous_commit = off")

_log = logs.get("delivery")


class Books:
    """One process's books; used by one thread at a time, but for `subscribers.get`."""

    def __init__(self, context: Context, *, rng: Random) -> None:
        self._context = context
        self._settings = context.settings
        self._rng = rng
        self._counters: Counter[str] = Counter()
        self.subscribers = Subscribers(context.ring)
        self.quotas = Quotas(context.client)

    def survey(self, now: datetime) -> list[DueLane]:
        """The lanes with something due; strays of closed lanes are put where they belong on the way."""
        with transaction(self._context.engine) as connection:
            found = survey(connection, now=now, in_flight=self._settings.subscription_in_flight)
            if found.inactive or found.deleted:
                lanes.settle_strays(connection, inactive=found.inactive, deleted=found.deleted, now=now)
        return found.due

    def claim(
        self, wants: Mapping[str, int], our_claims: Sequence[str], now: datetime, most_bytes: int = MOST_BYTES
    ) -> Claim:
        """Lease deliveries, and know their subscribers."""
        with transaction(self._context.engine) as connection:
            connection.execute(_RELAXED)
            made = claim(
                connection,
                wants,
                claim_id=str(new_id()),
                our_claims=our_claims,
                circuit_failures=self._settings.circuit_failures,
                in_flight=self._settings.subscription_in_flight,
                most_bytes=most_bytes,
                now=now,
                lease_until=after(now, self._settings.lease_seconds),
            )
            self.subscribers.refresh(connection, made.versions)
        for subscription_id, count in made.superseded.items():
            _log.info("delivery.superseded", subscription_id=subscription_id, deliveries=count)
        return made

    def record(self, results: Sequence[Result], now: datetime) -> Recorded:
        """Write results down. One that cannot be written costs itself only, and its delivery does not hang on it."""
        try:
            recorded = self._write(results, now)
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, the others must not be sent again for it
            if len(results) == 1:
                return self._record_bare(results[0], error, now)
            recorded = Recorded()
            for half in (results[: len(results) // 2], results[len(results) // 2 :]):
                part = self.record(half, now)
                recorded.counts.update(part.counts)
                recorded.closed |= part.closed
        return recorded

    def _write(self, results: Sequence[Result], now: datetime) -> Recorded:
        with transaction(self._context.engine) as connection:
            recorded = outcome.record(connection, results, settings=self._settings, now=now, rng=self._rng)
        self._counters.update({name: n for name, n in recorded.counts.items() if name.startswith("attempts:")})
        for result in results:
            _tell(result)
        return recorded

    def _record_bare(self, result: Result, error: Exception, now: datetime) -> Recorded:
        """Write down what a result came to without a word of its reply; or, if not even that, that it is over.

        Left leased it would be sent again with every lease, for ever, and no try be counted.
        """
        # Not the error's text: it holds the values that were bound.
        code = getattr(getattr(error, "orig", None), "pgcode", None)
        about = {"delivery_id": result.claimed.delivery_id, "error": type(error).__name__, "sqlstate": code}
        _log.error("delivery.unrecordable", **about)
        try:
            recorded = self._write([outcome.bare(result)], now)
        except (OperationalError, InterfaceError):
            raise
        except Exception as again:  # noqa: BLE001  # as above
            _log.error("delivery.buried", **about | {"error": type(again).__name__})
            with transaction(self._context.engine) as connection:
                recorded = outcome.bury(connection, result, now=now)
        recorded.counts["unrecordable"] += 1
        return recorded

    def give_back(self, unsent: Sequence[Claimed], flown: bool, now: datetime) -> int:  # passed on
        """Hand leases back that were not used, or of which nobody knows whether they were (`flown`)."""
        with transaction(self._context.engine) as connection:
            return leases.give_back(
                connection,
                [claimed.delivery_id for claimed in unsent],
                sorted({claimed.claim_id for claimed in unsent}),
                flown=flown,
                now=now,
            )

    def flush_counters(self) -> None:
        """Add what was counted to the counters in Valkey, as far as it can be reached."""
        counted, self._counters = self._counters, Counter()
        if not counted:
            return
        try:
            with self._context.client.pipeline(transaction=True) as pipe:
                for name, number in counted.items():
                    pipe.hincrby(queues.COUNTERS, name, number)
                pipe.execute()
        except redis.RedisError:
            self._counters.update(counted)


def _tell(result: Result) -> None:
    """One line an attempt; of those that went well only at DEBUG, for they are many and their rows say the same."""
    if result.answer is None:
        return
    went_well = result.judgement.verdict is Verdict.DELIVERED
    (_log.debug if went_well else _log.info)(
        "delivery.attempted",
        delivery_id=result.claimed.delivery_id,
        subscription_id=result.claimed.subscription_id,
        event_id=result.claimed.event_id,
        number=result.claimed.attempts + 1,
        verdict=result.judgement.verdict.value,
        status=result.answer.status,
        error_code=result.judgement.code,
        duration_ms=result.answer.duration_ms,
    )
