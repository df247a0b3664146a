"""The stage: two accounts, a source each, and the subscriptions that the demo delivers to.

Comes in: an empty database and the CRM's address. Left behind: rows, as an operator would make them by the API.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from cli.demo.crm import FAILS_EVERY, SLOW_SECONDS, Crm, Desk
from cli.demo.plan import SHOPS
from cli.station import Station
from shared import accounts, integrations, keys, sources, subscriptions
from shared.states import Role
from shared.subscription_fields import Checked, check

TOPICS = ("customers/create", "customers/update", "customers/delete")
DISABLE_AFTER = 7
RETRY_DELAY_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Cast:
    """Who is on the stage."""

    key: str  # a superuser key
    accounts: dict[str, UUID]  # by provider
    paths: dict[str, str]  # of the sources, by provider
    secrets: dict[str, bytes]  # of the sources, by provider
    subscriptions: dict[str, UUID]  # by the name of the CRM's desk
    events: dict[str, Sequence[str]]  # what each subscribes to
    providers: dict[str, str]  # whose events each gets


def desks() -> list[Desk]:
    """The CRM's desks: two that work, one that is slow, one that is out of order."""
    return [
        Desk("shop-crm", fails_every=FAILS_EVERY),
        Desk("shop-archive", seconds=SLOW_SECONDS),
        Desk("shop-legacy", dead=True),
        Desk("works-crm", fails_every=FAILS_EVERY),
    ]


def build(station: Station, crm: Crm) -> Cast:
    """Make it all, in one transaction, and tell the CRM its secrets."""
    now = station.now()
    wanted: dict[str, tuple[str, list[str], dict[str, Any]]] = {
        "shop-crm": ("shopify", ["*"], {"retry_attempts": 6}),
        "shop-archive": ("shopify", ["user.created"], {}),
        "shop-legacy": ("shopify", ["user.*"], {"disable_after": DISABLE_AFTER, "disable_after_seconds": 0.0}),
        "works-crm": ("robaws", ["user.created", "user.updated"], {"retry_attempts": 6}),
    }
    checked = {name: _check(station, crm, name, events, more) for name, (_, events, more) in wanted.items()}
    with station.transaction() as connection:
        _, key = keys.create(connection, account_id=None, name="demo", role=Role.SUPERUSER, now=now)
        owners: dict[str, UUID] = {}
        secrets: dict[str, bytes] = {}
        for provider, slug, title in (("shopify", "lumiere", "Maison Lumière"), ("robaws", "peeters", "Peeters Dak")):
            owners[provider] = accounts.create(connection, slug=slug, title=title, now=now)["id"]
            source, secret = sources.create(
                connection,
                station.ring,
                account_id=owners[provider],
                provider=provider,
                path="shopify" if provider == "shopify" else "robaws/customers",
                allowed_topics=TOPICS if provider == "shopify" else None,
                now=now,
            )
            secrets[provider] = (secret or "").encode()
            for shop in SHOPS if provider == "shopify" else ():
                integrations.create(
                    connection,
                    station.ring,
                    account_id=owners[provider],
                    source_id=source["id"],
                    external_id=shop,
                    now=now,
                )
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
        paths={"shopify": "shopify", "robaws": "robaws/customers"},
        secrets=secrets,
        subscriptions=made,
        events={name: events for name, (_, events, _) in wanted.items()},
        providers={name: provider for name, (provider, _, _) in wanted.items()},
    )


def _check(station: Station, crm: Crm, name: str, events: list[str], more: dict[str, Any]) -> Checked:
    fields = {"name": name, "url": crm.url(name), "events": events, "retry_delay_seconds": RETRY_DELAY_SECONDS, **more}
    return check(station.settings, fields)
