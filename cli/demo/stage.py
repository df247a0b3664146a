"""The stage: four accounts, a source each, and the subscriptions that the demo delivers to.

Comes in: an empty database and the CRM's address. Left behind: rows, as an operator would make them by the API.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from cli.acting import secret_of
from cli.demo.crm import FAILS_EVERY, SLOW_SECONDS, Crm, Desk
from cli.demo.stories import SHOPS
from cli.station import Station
from shared import accounts, integrations, keys, sources, subscriptions
from shared.providers import samples
from shared.providers.registry import PROVIDERS
from shared.states import Role
from shared.subscription_fields import Checked, check

TOPICS = ("customers/create", "customers/update", "customers/delete")
DISABLE_AFTER = 7
RETRY_DELAY_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Owner:
    """An account and the one source that it has."""

    provider: str
    slug: str
    title: str
    path: str  # of the source
    shops: tuple[str, ...] = ()
    topics: tuple[str, ...] | None = None  # None: all


OWNERS = (
    Owner("shopify", "lumiere", "Maison Lumière", "shopify", SHOPS, TOPICS),
    Owner("amazon", "quayside", "Quayside Goods", "amazon"),
    Owner("flipkart", "sutra", "सूत्र Textiles", "flipkart"),
    Owner("robaws", "peeters", "Peeters Dak", "robaws/customers"),
)


@dataclass(frozen=True, slots=True)
class Cast:
    """Who is on the stage."""

    key: str  # a superuser key
    accounts: dict[str, UUID]  # by provider
    paths: dict[str, str]  # of the sources, by provider
    secrets: dict[str, bytes]  # what each provider signs with
    settings: dict[str, dict[str, Any]]  # of the sources, by provider
    public_url: str  # the ingress as the providers were told it
    subscriptions: dict[str, UUID]  # by the name of the CRM's desk
    events: dict[str, Sequence[str]]  # what each subscribes to
    providers: dict[str, str]  # whose events each gets


def desks() -> list[Desk]:
    """The CRM's desks: four that work, one that is slow, one that is out of order."""
    return [
        Desk("shop-crm", fails_every=FAILS_EVERY),
        Desk("shop-archive", seconds=SLOW_SECONDS),
        Desk("shop-legacy", dead=True),
        Desk("orders-crm", fails_every=FAILS_EVERY),
        Desk("parcels-crm", fails_every=FAILS_EVERY),
        Desk("works-crm", fails_every=FAILS_EVERY),
    ]


def build(station: Station, crm: Crm) -> Cast:
    """Make it all, in one transaction, and tell the CRM its secrets."""
    now = station.now()
    wanted: dict[str, tuple[str, list[str], dict[str, Any]]] = {
        "shop-crm": ("shopify", ["*"], {"retry_attempts": 6}),
        "shop-archive": ("shopify", ["user.created"], {}),
        "shop-legacy": ("shopify", ["user.*"], {"disable_after": DISABLE_AFTER, "disable_after_seconds": 0.0}),
        "orders-crm": ("amazon", ["order.*", "feed.finished", "report.finished"], {"retry_attempts": 6}),
        "parcels-crm": ("flipkart", ["*"], {"retry_attempts": 6}),
        "works-crm": ("robaws", ["user.created", "user.updated"], {"retry_attempts": 6}),
    }
    checked = {name: _check(station, crm, name, events, more) for name, (_, events, more) in wanted.items()}
    with station.transaction() as connection:
        _, key = keys.create(connection, account_id=None, name="demo", role=Role.SUPERUSER, now=now)
        owners: dict[str, UUID] = {}
        secrets: dict[str, bytes] = {}
        for owner in OWNERS:
            owners[owner.provider], secrets[owner.provider] = _settle(connection, station, owner, now=now)
        made: dict[str, UUID] = {}
        for name, (provider, _, _) in wanted.items():
            row, secret = subscriptions.create(
                connection,
                station.ring,
                station.settings,
                account_id=owners[provider],
                checked=checked[name],
                now=now,
            )
            made[name] = row["id"]
            crm.desks[name].secret = secret
    station.publish()
    return Cast(
        key=key,
        accounts=owners,
        paths={owner.provider: owner.path for owner in OWNERS},
        secrets=secrets,
        settings={owner.provider: dict(samples.SETTINGS[owner.provider]) for owner in OWNERS},
        public_url=station.settings.public_url.rstrip("/"),
        subscriptions=made,
        events={name: events for name, (_, events, _) in wanted.items()},
        providers={name: provider for name, (provider, _, _) in wanted.items()},
    )


def _settle(connection: Connection, station: Station, owner: Owner, *, now: datetime) -> tuple[UUID, bytes]:
    """The account's id, and what its provider signs with."""
    account_id: UUID = accounts.create(connection, slug=owner.slug, title=owner.title, now=now)["id"]
    source, secret = sources.create(
        connection,
        station.ring,
        account_id=account_id,
        provider=owner.provider,
        path=owner.path,
        settings=samples.SETTINGS[owner.provider],
        allowed_topics=owner.topics,
        now=now,
    )
    for shop in owner.shops:
        integrations.create(
            connection, station.ring, account_id=account_id, source_id=source["id"], external_id=shop, now=now
        )
    provider = PROVIDERS[owner.provider]
    return account_id, secret_of(provider, ((secret or "").encode(),), station.settings, now=now)


def _check(station: Station, crm: Crm, name: str, events: list[str], more: dict[str, Any]) -> Checked:
    fields = {"name": name, "url": crm.url(name), "events": events, "retry_delay_seconds": RETRY_DELAY_SECONDS, **more}
    return check(station.settings, fields)
