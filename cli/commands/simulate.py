"""`crossdock simulate`: act as a provider.

Comes in: a provider and a topic, and for a generic source its preset, which says what it is sent and in which form.
Left behind: what the ingress took. Killed in the middle, it has sent what it has sent; every webhook has a delivery id
of its own.
"""

import asyncio
import statistics
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import aiohttp
import click

from cli import output, stack
from cli.acting import call, secret_of
from cli.station import Station, at_work
from shared import directory
from shared.clock import utc_now
from shared.errors import Unacceptable
from shared.providers import samples
from shared.providers.contract import Provider, Sample
from shared.providers.registry import PROVIDERS
from shared.settings import current

IN_FLIGHT = 50
TENANT = "simulated.myshopify.com"


@dataclass(frozen=True, slots=True)
class _Target:
    provider: Provider
    topic: str
    url: str
    public_url: str  # as the provider was told it, which some sign
    secret: bytes
    tenant: str
    settings: dict[str, Any]


@dataclass
class _Tally:
    statuses: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)  # ms
    seconds: float = 0.0
    last: str = ""


@click.command("simulate")
@click.argument("provider_name", metavar="PROVIDER", required=False)
@click.argument("topic", required=False)
@click.option("--list", "lists", is_flag=True, help="List the topics, of PROVIDER or of all, rather than send any.")
@click.option("--path", help="The source's path; that of the provider's only source unless given.")
@click.option("--url", help="Send to this URL instead of this machine's ingress; needs --secret.")
@click.option("--secret", help="What to sign with; the source's own unless given.")
@click.option(
    "--preset",
    type=click.Choice(list(samples.families("generic"))),
    help="Of the generic source at --url; one of ours has its own.",
)
@click.option("--tenant", help="The shop it is from; one of the source's integrations unless given.")
@click.option(
    "--count", default=1, show_default=True, type=click.IntRange(min=1), help="How many, each a new customer."
)
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="How many a second; at once unless given.")
@click.option("--first", default=1, show_default=True, type=click.IntRange(min=1), help="The first customer's number.")
@output.json_option
def command(
    *,
    provider_name: str | None,
    topic: str | None,
    lists: bool,
    count: int,
    rate: float | None,
    first: int,
    as_json: bool,
    **given: Any,
) -> None:
    """Act as a provider: sign sample webhooks and send them.

    Sends what the provider would send, to a source of a running stack, whose secret it looks up itself; or to any URL,
    with --secret. Tells the statuses and how long the answers took.

    A generic source is sent what senders of its preset post, in their form and signed as they sign: JSON, an array, a
    form. --list tells which topics there are. An update tells something new each second; give it the same --first as
    the creation.

    Amazon signs with a private key of its own, so its webhooks are a stand-in's, which an ingress believes that has the
    same CROSSDOCK_SNS_STAND_IN; or give a key as PEM with --secret.

    \b
    crossdock simulate --list
    crossdock simulate shopify customers/create
    crossdock simulate robaws client.updated --path robaws/customers --count 1000 --rate 50
    crossdock simulate generic contact.propertyChange --path hubspot
    CROSSDOCK_SNS_STAND_IN=var/sns crossdock simulate amazon ORDER_CHANGE
    crossdock simulate shopify customers/update --url https://hooks.example.com/api/webhooks/shopify --secret "$S"
    """
    if provider_name is not None and provider_name not in PROVIDERS:
        raise Unacceptable("provider_unknown", f"Providers are: {', '.join(sorted(PROVIDERS))}.")
    if lists:
        rows = _rows(PROVIDERS if provider_name is None else [provider_name])
        output.show_rows(rows, ["provider", "preset", "topic"], as_json=as_json, empty="")
        return
    if provider_name is None or topic is None:
        raise click.UsageError("PROVIDER and TOPIC are needed; --list tells which there are.")
    _check_topic(topic, provider_name, [row["topic"] for row in _rows([provider_name])])
    target = _target(PROVIDERS[provider_name], topic, **given)
    _check_topic(topic, f"this {provider_name} source", samples.topics(provider_name, target.settings))
    tally = asyncio.run(_send(target, range(first, first + count), rate))
    _tell(target, tally, as_json=as_json)
    if set(tally.statuses) != {"200"}:
        raise SystemExit(1)


def _rows(names: Iterable[str]) -> list[dict[str, str]]:
    """Every topic that there is a sample of, with the preset whose it is."""
    return [
        {"provider": name, "preset": preset, "topic": topic}
        for name in names
        for preset, topics in samples.families(name).items()
        for topic in topics
    ]


def _check_topic(topic: str, whose: str, topics: Iterable[str]) -> None:
    known = list(dict.fromkeys(topics))  # several presets have some in common
    if topic not in known:
        raise Unacceptable("topic_unknown", f"Topics of {whose} with a sample are: {', '.join(known)}.")


def _target(
    provider: Provider,
    topic: str,
    *,
    path: str | None,
    url: str | None,
    secret: str | None,
    preset: str | None,
    tenant: str | None,
) -> _Target:
    if preset is not None and (url is None or provider.name != "generic"):
        raise click.UsageError("--preset is of a generic source at --url.")
    given = None if secret is None else secret.encode()
    if url is not None:
        if given is None and provider.envelope is None:
            raise click.UsageError("--url needs --secret.")
        signed_with = given or secret_of(provider, (), current(), now=utc_now())
        elsewhere = {} if preset is None else {"preset": preset}
        return _Target(provider, topic, url, url, signed_with, TENANT if tenant is None else tenant, elsewhere)
    with at_work() as station:
        listing_path, listing = _listing(station, provider, path)
        running = stack.addresses(station.settings.data_dir) or stack.addresses_of(current())
        signed_with = given or secret_of(provider, listing.source.secrets, current(), now=station.now())
    own = sorted(listing.tenants or ()) if provider.has_tenants else [""]
    return _Target(
        provider=provider,
        topic=topic,
        url=f"{running.ingress}/api/webhooks/{listing_path}",
        public_url=f"{current().public_url.rstrip('/')}/api/webhooks/{listing_path}",
        secret=signed_with,
        tenant=tenant if tenant is not None else own[0] if own else TENANT,
        settings=dict(listing.source.settings),
    )


def _listing(station: Station, provider: Provider, path: str | None) -> tuple[str, directory.Listing]:
    known = directory.load(station.client, station.ring, now=station.now())
    mine = {at: listing for at, listing in known.items() if listing.source.provider == provider.name}
    if path is not None:
        if path not in mine:
            raise Unacceptable("source_unknown", f"There is no {provider.name} source at {path!r}.")
        return path, mine[path]
    if not mine:
        raise Unacceptable(
            "source_unknown", f"There is no such source; `crossdock sources add {provider.name}` adds one."
        )
    if len(mine) > 1:
        raise Unacceptable("source_needed", f"Name one with --path: {', '.join(sorted(mine))}.")
    return next(iter(mine.items()))


async def _send(target: _Target, customers: range, rate: float | None) -> _Tally:
    tally = _Tally()
    places = asyncio.Semaphore(IN_FLIGHT)
    started = time.monotonic()
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(timeout=timeout) as session, asyncio.TaskGroup() as group:
        for index, customer in enumerate(customers):
            if rate is not None:
                await asyncio.sleep(max(0.0, started + index / rate - time.monotonic()))
            await places.acquire()
            sending = group.create_task(_post(session, target, customer, tally))
            sending.add_done_callback(lambda _: places.release())
    tally.seconds = time.monotonic() - started
    return tally


async def _post(session: aiohttp.ClientSession, target: _Target, customer: int, tally: _Tally) -> None:
    now = utc_now()
    posted = samples.posted(
        target.provider.name,
        target.topic,
        number=customer,
        at=now,
        tenant=target.tenant,
        settings=target.settings,
    )
    sample = Sample(
        topic=target.topic,
        body=posted.body,
        content_type=posted.content_type,
        secret=target.secret,
        tenant=target.tenant,
        delivery_id=str(uuid4()),
        now=now,
        url=target.public_url,
        settings=target.settings,
    )
    made = call(target.provider, sample, target.url)
    started = time.monotonic()
    try:
        async with session.request(made.method, made.url, data=made.body, headers=made.headers) as answer:
            tally.last = (await answer.text())[:500]
            tally.statuses[str(answer.status)] += 1
    except (aiohttp.ClientError, TimeoutError) as error:
        tally.last = repr(error)
        tally.statuses[type(error).__name__] += 1
    tally.latencies.append((time.monotonic() - started) * 1000)


def _tell(target: _Target, tally: _Tally, *, as_json: bool) -> None:
    latencies = sorted(tally.latencies)
    cuts = statistics.quantiles(latencies, n=100, method="inclusive") if len(latencies) > 1 else latencies * 99
    row = {
        "url": target.url,
        "topic": target.topic,
        "tenant": target.tenant,
        "sent": len(latencies),
        "statuses": dict(tally.statuses),
        "p50_ms": round(cuts[49], 1),
        "p99_ms": round(cuts[98], 1),
        "per_second": round(len(latencies) / tally.seconds, 1) if tally.seconds else None,
        "last_answer": tally.last,
    }
    output.show_one(row, as_json=as_json)
