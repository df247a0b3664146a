"""One shop of the double: what it sells, who may read it, what it may spend, and whom it tells."""

import itertools
import secrets
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.doubles.shopify.order import Order
from tests.doubles.shopify.webhooks import FAILURES, Owed, webhook

# Source: shopify.dev, offline access tokens, read 2026-11.
TOKEN_SECONDS = 3600
REFRESH_SECONDS = 90 * 86_400
API_VERSION = "2026-10"


@dataclass
class Bucket:
    """What queries may cost: it leaks at `restore_rate` points a second."""

    maximum: float = 2000.0
    restore_rate: float = 100.0
    available: float = 2000.0
    at: float = field(default_factory=time.monotonic)

    def look(self) -> float:
        now = time.monotonic()
        self.available = min(self.maximum, self.available + (now - self.at) * self.restore_rate)
        self.at = now
        return self.available

    def spend(self, points: float) -> bool:
        if self.look() < points:
            return False
        self.available -= points
        return True


@dataclass
class Shop:
    """A shop's state, which tests read and change."""

    domain: str
    secret: str
    allow_http: bool = False
    scopes: tuple[str, ...] = ()
    token: str | None = None
    token_ends: datetime | None = None
    refresh_token: str | None = None
    refresh_ends: datetime | None = None
    used: str | None = None  # the refresh token that the present one was given for
    renewals: int = 0
    code: str | None = None
    bucket: Bucket = field(default_factory=Bucket)
    subscriptions: list[dict[str, Any]] = field(default_factory=list)
    owed: list[Owed] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)  # how often in a row, by subscription
    products: list[dict[str, Any]] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=lambda: {"name": "Kettles & Co", "currencyCode": "EUR"})
    collections: list[dict[str, Any]] = field(default_factory=list)
    discounts: list[dict[str, Any]] = field(default_factory=list)
    denied: set[str] = field(default_factory=set)  # root fields without their scope; `locations`: their names too
    refused_topics: set[str] = field(default_factory=set)
    webhook_version: str | None = None  # what the app's own settings have it be; None: that of the request
    unmended: set[str] = field(default_factory=set)  # fields of a subscription that an update leaves as they are
    taken_although_unlisted: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)  # the root fields, in order
    throttled: int = 0
    tells_cost: bool = True  # in `extensions.cost`, which a real shop leaves out now and then
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    def grant(self, now: datetime, *, expiring: bool) -> dict[str, Any]:
        """The shop's one token from now on; with what it takes to renew it, if it is to end."""
        self.token = f"shpat_{secrets.token_hex(16)}"
        self.token_ends = self.refresh_token = self.refresh_ends = self.used = None
        granted = {"access_token": self.token, "scope": ",".join(self.scopes)}
        if not expiring:
            return granted
        self.refresh_token = f"shprt_{secrets.token_hex(16)}"
        self.token_ends = now + timedelta(seconds=TOKEN_SECONDS)
        self.refresh_ends = now + timedelta(seconds=REFRESH_SECONDS)
        return granted | {
            "expires_in": TOKEN_SECONDS,
            "refresh_token": self.refresh_token,
            "refresh_token_expires_in": REFRESH_SECONDS,
        }

    def renew(self, given: object, now: datetime, *, forgiving: bool) -> dict[str, Any] | None:
        """The next token for a refresh token; `None` for one that is unknown, has ended or was used.

        A forgiving shop takes the used one again until the one that it gave for it is used.
        """
        known = {self.refresh_token} | ({self.used} if forgiving else set())
        if given is None or given not in known or self.refresh_ends is None or self.refresh_ends <= now:
            return None
        self.renewals += 1
        granted = self.grant(now, expiring=True)
        self.used = str(given)
        return granted

    def throw_out(self) -> None:
        """Uninstall the app: nothing that it has is good any more."""
        self.token = self.token_ends = self.refresh_token = self.refresh_ends = self.used = None

    def takes(self, token: str | None, now: datetime) -> bool:
        """Whether this is the shop's token, and has not ended."""
        return token is not None and token == self.token and (self.token_ends is None or now < self.token_ends)

    def number(self) -> int:
        """The next id."""
        return next(self._numbers)

    def subscribe(self, topic: str, uri: str, *, version: str = API_VERSION, **given: Any) -> dict[str, Any]:
        """Register a webhook, as another client of the same app would, who asks in `version`."""
        made = {
            "id": f"gid://shopify/WebhookSubscription/{self.number()}",
            "topic": topic,
            "uri": uri,
            "format": "JSON",
            "filter": None,
            "includeFields": [],
            "metafieldNamespaces": [],
            "apiVersion": {"handle": self.webhook_version or version},
            **given,
        }
        self.subscriptions.append(made)
        return made

    def unsubscribe(self, subscription: dict[str, Any]) -> None:
        """Take a webhook away; nothing is owed to it any more."""
        self.subscriptions = [one for one in self.subscriptions if one is not subscription]
        self.owed = [one for one in self.owed if one.subscription is not subscription]
        self.failed.pop(subscription["id"], None)

    def add_products(self, count: int, *, variants: int = 1, levels: int = 1, metafields: int = 1) -> None:
        """Put products on sale, each with so many variants at so many places."""
        for _ in range(count):
            number = self.number()
            product: dict[str, Any] = {
                "id": f"gid://shopify/Product/{number}",
                "title": f"Kettle № {number}",
                "handle": f"kettle-{number}",
                "status": "ACTIVE",
                "updatedAt": "2026-11-01T10:00:00Z",
                "metafields": [
                    {"id": f"gid://shopify/Metafield/{number}{k}", "namespace": "care", "key": f"k{k}", "value": "1"}
                    for k in range(metafields)
                ],
            }
            product["variants"] = [_variant(product, number, v, levels) for v in range(variants)]
            self.products.append(product)

    def add_discount(self, kind: str, *, codes: int = 0, **more: Any) -> dict[str, Any]:
        """Give a discount of this type, with so many codes; those of automatic ones have no `codes` at all."""
        number = self.number()
        discount: dict[str, Any] = {"__typename": kind, "title": f"Discount № {number}", **more}
        if kind.startswith("DiscountCode"):
            discount["codes"] = [{"id": f"gid://shopify/DiscountRedeemCode/{k}", "code": f"C{k}"} for k in range(codes)]
        self.discounts.append({"id": f"gid://shopify/DiscountNode/{number}", "discount": discount})
        return discount

    def order(self) -> Order:
        """A new order, as yet without lines."""
        made = Order(self.number())
        self.orders.append(made)
        return made

    def tell(self, topic: str, payload: dict[str, Any]) -> list[int]:
        """Post a signed webhook to everyone registered for `topic` (`products/update`); the statuses, 0 for no answer.

        What is not accepted is owed, and `post` tries it again.
        """
        wanted = topic.replace("/", "_").upper()
        told = [
            webhook(
                one, topic, payload, shop=self.domain, secret=self.secret, webhook_id=f"{self.domain}-{self.number()}"
            )
            for one in self.subscriptions
            if one["topic"] == wanted
        ]
        self.owed += told
        for one in told:
            self._post(one)
        return [one.statuses[-1] for one in told]

    def post(self) -> bool:
        """Post what is owed, each once and in its order; whether nothing is owed any more."""
        for one in list(self.owed):
            if one in self.owed:  # else its subscription was deleted meanwhile
                self._post(one)
        return not self.owed

    def _post(self, one: Owed) -> None:
        """Post one; a subscription that has failed eight times in a row is deleted without a word."""
        subscription_id = one.subscription["id"]
        if one.post():
            self.failed.pop(subscription_id, None)
            self.owed.remove(one)
            return
        self.failed[subscription_id] += 1
        if self.failed[subscription_id] >= FAILURES:
            self.unsubscribe(one.subscription)
        elif one.is_given_up:
            self.owed.remove(one)


def _variant(product: dict[str, Any], number: int, place: int, levels: int) -> dict[str, Any]:
    own = f"{number}{place:03}"
    return {
        "id": f"gid://shopify/ProductVariant/{own}",
        "sku": f"K-{number}-{place}",
        "price": "19.90",
        "availableForSale": True,
        "product": product,
        "inventoryItem": {
            "id": f"gid://shopify/InventoryItem/{own}",
            "tracked": True,
            "inventoryLevels": [
                {
                    "id": f"gid://shopify/InventoryLevel/{own}{location}",
                    "location": {"id": f"gid://shopify/Location/{location}", "name": f"Warehouse {location}"},
                    "quantities": [{"name": "available", "quantity": number % 7}],
                }
                for location in range(levels)
            ],
        },
    }
