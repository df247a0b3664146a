"""A merchant of a story: an account with its sources and subscriptions, and the sums of what became of its webhooks.

Every story has merchants of its own, so that one stack serves them all.
"""

import itertools
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from shared import accounts, directory, integrations, sources, subscriptions
from shared.clock import utc_now
from shared.db.engine import transaction
from shared.subscription_fields import check
from tests.doubles.crm import Crm
from tests.doubles.shop import Load, Report, Shop, Webhook, post
from tests.pipeline.stack import PROCESSES, Stack
from tests.waiting import until

_numbers = itertools.count(1)

# Quick retries: a story waits for the real schedule, so it is a short one.
DEFAULTS = {"events": ["*"], "retry_attempts": 8, "retry_delay_seconds": 0.3, "disable_after": 10_000}


@dataclass(frozen=True)
class Subscription:
    """A subscription and what its receiver knows."""

    id: UUID
    secret: str
    url: str


@dataclass
class Merchant:
    """One account."""

    stack: Stack
    account_id: UUID
    slug: str
    subscriptions: list[Subscription] = field(default_factory=list)

    @classmethod
    def open(cls, stack: Stack) -> "Merchant":
        """A new account."""
        slug = f"merchant-{next(_numbers)}"
        with transaction(stack.engine) as connection:
            account = accounts.create(connection, slug=slug, now=utc_now())
        return cls(stack, account["id"], slug)

    def source(self, provider: str, *, shop: str = "", **values: Any) -> tuple[UUID, str, str]:
        """A source of its own: id, path and secret. `shop` becomes its one integration."""
        with transaction(self.stack.engine) as connection:
            row, secret = sources.create(
                connection,
                self.stack.ring,
                account_id=self.account_id,
                provider=provider,
                now=utc_now(),
                **{"path": f"{self.slug}-{provider}", **values},
            )
            if shop:
                integrations.create(
                    connection,
                    self.stack.ring,
                    account_id=self.account_id,
                    source_id=row["id"],
                    external_id=shop,
                    now=utc_now(),
                )
        with self.stack.engine.connect() as connection:
            directory.publish(connection, self.stack.client)
        path = str(row["path"])
        until(lambda: self._is_listed(path), what=f"the ingress to know {path}")
        return row["id"], path, secret or values["secrets"][0]

    def rotate(self, source_id: UUID) -> str:
        """A new secret for a source, beside the old one."""
        with transaction(self.stack.engine) as connection:
            _, secret = sources.rotate(
                connection, self.stack.ring, source_id, account_id=self.account_id, now=utc_now()
            )
        with self.stack.engine.connect() as connection:
            directory.publish(connection, self.stack.client)
        return str(secret)

    def shop(self) -> Shop:
        """A Shopify shop that posts to a source of its own."""
        domain = f"{self.slug}.myshopify.com"
        _, path, secret = self.source("shopify", shop=domain)
        return Shop(path=path, secret=secret, domain=domain)

    def subscribe(self, crm: Crm, path: str = "/", **values: Any) -> Subscription:
        """A subscription to everything, with quick retries; its path at the CRM takes what is signed for it alone."""
        url = crm.url(path)
        checked = check(self.stack.settings, {**DEFAULTS, "name": url, "url": url, **values})
        with transaction(self.stack.engine) as connection:
            row, secret = subscriptions.create(
                connection,
                self.stack.ring,
                self.stack.settings,
                account_id=self.account_id,
                checked=checked,
                now=utc_now(),
            )
        crm.trust(path, secret)
        made = Subscription(row["id"], secret, url)
        self.subscriptions.append(made)
        return made

    def post(self, *webhooks: Webhook) -> Report:
        """Post these in turn, again until each is accepted."""
        return post(self.stack.ingress_url, webhooks)

    def load(self, *sequences: list[Webhook]) -> Load:
        """Post these sequences side by side, in the background."""
        return Load(self.stack.ingress_url, sequences).start()

    def close(self) -> None:
        """Delete the subscriptions, so that what a story left undelivered does not disturb the next."""
        with transaction(self.stack.engine) as connection:
            for subscription in self.subscriptions:
                subscriptions.remove(connection, subscription.id, account_id=self.account_id, now=utc_now())

    # What became of it

    def messages(self) -> Counter[str]:
        """How many messages are in which state."""
        return self._count("SELECT state, count(*) FROM messages WHERE account_id = :account GROUP BY 1")

    def events(self) -> Counter[str]:
        """How many events there are of which type."""
        return self._count("SELECT type, count(*) FROM events WHERE account_id = :account GROUP BY 1")

    def deliveries(self, subscription: Subscription | None = None) -> Counter[str]:
        """How many deliveries are in which state, of one subscription or of all."""
        return self._count(
            "SELECT state, count(*) FROM deliveries WHERE account_id = :account"
            " AND (CAST(:only AS uuid) IS NULL OR subscription_id = :only) GROUP BY 1",
            only=None if subscription is None else str(subscription.id),
        )

    def event_ids(self) -> list[str]:
        """The ids of all events, in their order."""
        rows = self.stack.rows("SELECT id FROM events WHERE account_id = :account ORDER BY id", account=self.account_id)
        return [str(row.id) for row in rows]

    def settled(self) -> bool:
        """Whether nothing is under way any more."""
        return not {"pending", "leased"} & set(self.deliveries())

    def wait_messages(self, count: int) -> Counter[str]:
        """The messages by state, once there are `count`."""
        until(lambda: self.messages().total() >= count, what=f"{count} messages", told=self.story)
        return self.messages()

    def wait_delivered(self, count: int, subscription: Subscription | None = None) -> None:
        """Return when `count` deliveries are delivered."""
        until(
            lambda: self.deliveries(subscription)["delivered"] >= count,
            what=f"{count} deliveries to arrive",
            told=self.story,
        )

    def story(self) -> str:
        """All that is known of this merchant, for whoever waits in vain."""
        attempts = self.stack.rows(
            "SELECT verdict, status, error_code, error, count(*) FROM attempts WHERE account_id = :account"
            " GROUP BY 1, 2, 3, 4",
            account=self.account_id,
        )
        reasons = self.stack.rows(
            "SELECT state, reason_code, reason, count(*) FROM messages WHERE account_id = :account GROUP BY 1, 2, 3",
            account=self.account_id,
        )
        return (
            f"{self.slug}: messages {dict(self.messages())} {reasons}, events {dict(self.events())},"
            f" deliveries {dict(self.deliveries())}, attempts {attempts}; running:"
            f" {[name for name in PROCESSES if self.stack.is_running(name)]}"
        )

    def _count(self, statement: str, **values: object) -> Counter[str]:
        return Counter({row[0]: row[1] for row in self.stack.rows(statement, account=self.account_id, **values)})

    def _is_listed(self, path: str) -> bool:
        # An unsigned request tells a source that is known (401) from one that is not (404).
        report = post(self.stack.ingress_url, [Webhook(f"/api/webhooks/{path}", {}, b"{}", "")], patience_seconds=0)
        return report.refused == [401]
