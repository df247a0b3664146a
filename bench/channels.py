"""What every provider sends, genuinely signed: for the mixed load.

Comes in: a stack and where to deliver to. Left behind: an account a provider, with a source of it and one subscription
to everything, and the stand-in's folder, all of them the stack's own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

from bench.stack import Stack
from cli.acting import Call, call, secret_of
from shared import accounts, directory, sources, subscriptions
from shared.clock import utc_now
from shared.providers import samples, sns
from shared.providers.contract import Headers, Provider, Request, Sample, Source
from shared.providers.registry import PROVIDERS
from shared.subscription_fields import check

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
NUMBERS = 10_000  # of records that a topic has to itself
BIG_LINES = 250  # of the largest order
# Not part of the load, since a worker would act on them: erase, export, ask Amazon.
ACTED_ON = frozenset({"app/uninstalled", *sns.CONFIRMATIONS})


@dataclass(frozen=True, slots=True)
class Channel:
    """One provider and the source that it posts to."""

    provider: Provider
    source: Source
    path: str
    secret: bytes

    @property
    def topics(self) -> tuple[str, ...]:
        """Every topic that there is a sample of."""
        return samples.topics(self.provider.name)

    @property
    def load_topics(self) -> list[str]:
        """Those that a load of running processes may have."""
        return [topic for topic in self.topics if topic not in ACTED_ON | self.provider.obligatory]

    def tenant(self, topic: str) -> str:
        """A shop of its own for each topic: what is said in one changes nothing in another."""
        return f"{topic.replace('/', '-').replace('_', '-')}.myshopify.com" if self.provider.has_tenants else ""

    def call(self, topic: str, turn: int, *, origin: str, body: bytes | None = None) -> Call:
        """The request about a topic in its `turn`: every second one is a change of what the last was about."""
        number = 1 + self.topics.index(topic) * NUMBERS + turn // 2 % NUMBERS
        at, tenant = EPOCH + timedelta(seconds=turn), self.tenant(topic)
        made = samples.make(self.provider.name, topic, number=number, at=at, tenant=tenant) if body is None else body
        sample = Sample(
            topic=topic,
            body=made,
            secret=self.secret,
            tenant=tenant,
            delivery_id=str(UUID(int=(0x7 << 76) | (0x2 << 62) | (self.topics.index(topic) << 32) | turn)),
            now=at if self.provider.name == "shopify" else utc_now(),
            url=f"/api/webhooks/{self.path}",
            settings=self.source.settings,
        )
        return call(self.provider, sample, f"{origin}/api/webhooks/{self.path}")

    def request(self, topic: str, turn: int, *, body: bytes | None = None) -> Request:
        """The same as the ingress has it in hand."""
        made = self.call(topic, turn, origin="", body=body)
        headers = Headers((name.replace("_", "-"), value) for name, value in made.headers)
        beneath = made.url.partition("?")[0].removeprefix(f"/api/webhooks/{self.path}")
        return Request(made.method, made.url, headers, made.body, url=made.url, beneath=beneath)


def open_channels(stack: Stack, *, url: str) -> list[Channel]:
    """An account a provider, with a source of it and a subscription that delivers everything to `url`."""
    now, ring, settings = utc_now(), stack.ring, stack.settings
    checked = check(settings, {"name": "mixed", "url": url, "events": ["*"]})
    channels = []
    with stack.engine.begin() as connection:
        for name, provider in PROVIDERS.items():
            account_id = accounts.create(connection, slug=f"mixed-{name}", now=now)["id"]
            chosen = samples.SETTINGS[name]
            path = f"mixed/{name}"
            row, secret = sources.create(
                connection,
                ring,
                account_id=account_id,
                provider=name,
                path=path,
                settings=chosen,
                any_tenant=True,
                now=now,
            )
            own = (secret or "").encode()
            signs_with = secret_of(provider, (own,), settings, now=now)
            channels.append(Channel(provider, Source(str(row["id"]), name, (own,), chosen), path, signs_with))
            subscriptions.create(connection, ring, settings, account_id=account_id, checked=checked, now=now)
    with stack.engine.connect() as connection, stack.client as client:
        directory.publish(connection, client)
    return channels


def wire(made: Call) -> bytes:
    """A call as it goes over the wire."""
    path = made.url.removeprefix("http://").partition("/")[2]
    lines = [f"{made.method} /{path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(made.body)}"]
    lines += [f"{name}: {value}" for name, value in made.headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + made.body


def big_order(turn: int) -> bytes:
    """An order of 250 lines, as Shopify sends it."""
    made = samples.make("shopify", "orders/create", number=9_000_000 + turn, at=EPOCH + timedelta(seconds=turn))
    order: dict[str, Any] = orjson.loads(made)
    lines: list[Mapping[str, Any]] = order["line_items"]
    order["line_items"] = [
        {**lines[place % len(lines)], "id": order["id"] + place + 1, "sku": f"QUAY-{place:03d}"}
        for place in range(BIG_LINES)
    ]
    return orjson.dumps(order)
